//! What the program says beside its output.

use std::fmt::Display;
use std::io::{self, Write};

/// Says `what` on standard error, if somebody still reads that: a terminal may be closed while a recording goes on
/// elsewhere, which `eprintln!` would end with a panic.
pub fn say(what: impl Display) {
    let _ = writeln!(io::stderr(), "observer: {what}");
}
