//! What the program says beside its output.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use observer_core::text::printable;

/// Says `what` on standard error, if somebody still reads that: a terminal may be closed while a recording goes on
/// elsewhere, which `eprintln!` would end with a panic. Names of files and processes in it may hold anything: what a terminal would act on
/// is escaped, all but the ends of lines.
pub fn say(what: impl Display) {
    let _ = writeln!(io::stderr(), "observer: {}", shown(&what.to_string()));
}

fn shown(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(shown("one\ntwo"), "one\ntwo");
        assert_eq!(shown("a\u{1b}[31mb\r\u{202e}"), "a\\u{1b}[31mb\\r\\u{202e}");
    }
}
