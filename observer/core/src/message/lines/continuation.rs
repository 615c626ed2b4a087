//! Which lines go on with the event before them: stack traces, pretty-printed JSON.

/// Lines that never begin an event.
const BEGINNINGS: &[&[u8]] = &[
    b"at ",
    b"Caused by",
    b"Suppressed:",
    b"Traceback (most recent call last)",
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"}",
    b"]",
    b")",
];

/// What deciding about the next line needs to know of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// Indentation of its first line, in bytes.
    indent: usize,
    /// In a Python traceback, whose last line is not indented.
    traceback: bool,
}

impl Shape {
    /// The shape of an event that begins with `line`.
    pub fn of(line: &[u8]) -> Self {
        Self {
            indent: indent(line),
            traceback: is_traceback(line),
        }
    }

    /// Whether `line` goes on with the event; takes it in if so.
    pub fn goes_on(&mut self, line: &[u8]) -> bool {
        // Formats that pad their levels begin every line with white space: deeper counts.
        if indent(line) > self.indent {
            return true;
        }
        if BEGINNINGS.iter().any(|b| line.starts_with(b)) || is_omitted(line) {
            self.traceback |= is_traceback(line);
            return true;
        }
        std::mem::take(&mut self.traceback)
    }
}

fn indent(line: &[u8]) -> usize {
    line.iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

fn is_traceback(line: &[u8]) -> bool {
    line.trim_ascii_start()
        .starts_with(b"Traceback (most recent call last)")
}

/// `... 12 more`, as Java shortens a trace.
fn is_omitted(line: &[u8]) -> bool {
    line.strip_prefix(b"... ")
        .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}
