//! What is told of a program that the kernel's verifier refuses. Its log may have more than a hundred thousand lines: it
//! follows the program through all branches, and only the end says what is wrong.

use std::fmt::Write as _;
use std::path::Path;

/// Lines of the log's end that are told.
const LINES: usize = 20;

/// Characters of a line that are told.
const WIDTH: usize = 200;

/// Names the file that gets the whole log.
const VARIABLE: &str = "OBSERVER_VERIFIER_LOG";

/// What to tell of a refusal for the reason `why`, with the verifier's `log`.
pub fn words(why: &str, log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let mut text = format!(
        "this kernel's verifier refuses it ({why}), which on a kernel that is tested (docs/kernels.md) is a fault of the \
         observer: please report it with the output of `uname -r` and these lines"
    );
    if last.len() < lines.len() {
        let whole = whole(log, std::env::var_os(VARIABLE).as_deref().map(Path::new));
        let _ = write!(text, ", the last {LINES} of {} ({whole})", lines.len());
    }
    text.push(':');
    for line in last {
        let line: String = line.chars().take(WIDTH).collect();
        let _ = write!(text, "\n  {line}");
    }
    text
}

/// Where the whole log is, or how to get it.
fn whole(log: &str, file: Option<&Path>) -> String {
    let Some(file) = file else {
        return format!("{VARIABLE}=FILE has all of them written to a file");
    };
    match std::fs::write(file, log) {
        Ok(()) => format!("all of them are in {}", file.display()),
        Err(error) => format!("{} can't be written: {error}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: usize) -> String {
        (0..lines).fold(String::new(), |mut text, n| {
            let _ = writeln!(text, "{n}: (b7) r0 = {n}");
            text
        })
    }

    #[test]
    fn of_a_long_log_the_end_is_told() {
        let text = words("Invalid argument", &log(167_000));
        assert_eq!(text.lines().count(), 1 + LINES);
        assert!(text.contains("the last 20 of 167000"), "{text}");
        assert!(
            text.contains("  166999: (b7)") && !text.contains(" 166979:"),
            "{text}"
        );
        let wide = words("x", &"y".repeat(1_000_000));
        assert!(wide.len() < 1_000, "{}", wide.len());
    }

    #[test]
    fn a_short_log_is_told_as_it_is() {
        let text = words("Invalid argument", &log(3));
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains("the last"), "{text}");
    }

    #[test]
    fn the_whole_log_goes_where_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        assert!(whole("a\nb", Some(&file)).contains("all of them are in"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\nb");
        assert!(whole("a", Some(folder.path())).contains("can't be written"));
        assert!(whole("a", None).contains(VARIABLE));
    }
}
