//! The format of a value that came without its header's name.

use super::super::fields::Fields;
use super::super::formats::{Repeats, Row, TABLE};
use super::{Part, part};

/// What a value says in each format whose grammar it fits; if there is none, what is wrong with it
/// in the format that it looks like; nothing if it looks like none.
pub(super) fn parts(value: &str) -> Vec<Part> {
    let all: Vec<Part> = TABLE
        .iter()
        .filter(|row| is_candidate(row, value))
        .map(|row| read(row, value))
        .collect();
    let fits = |part: &Part| part.broken.is_none();
    if all.iter().any(fits) {
        return all.into_iter().filter(fits).collect();
    }
    let header = resembles(value);
    all.into_iter()
        .filter(|part| header.is_some_and(|header| part.headers == [header]))
        .collect()
}

/// Whether a value can stand alone in a format. Where formats share a grammar, the first is enough.
fn is_candidate(row: &Row, value: &str) -> bool {
    match row.names[0] {
        "x-b3-traceid" | "elastic-apm-traceparent" => false,
        "tracestate" | "baggage" => value.contains('=') && !value.contains("Root="),
        _ => row.repeats != Repeats::Harmless,
    }
}

fn read(row: &Row, value: &str) -> Part {
    let mut fields = Fields::default();
    fields.push(row.names[0], row.repeats == Repeats::List, value.as_bytes());
    part(row, &fields, true)
}

/// The header whose value this is most likely meant to be, if it has the shape of one.
fn resembles(value: &str) -> Option<&'static str> {
    let first = value.split('-').next().unwrap_or_default();
    let count = |wanted: u8| value.bytes().filter(|byte| *byte == wanted).count();
    let (dashes, colons) = (count(b'-'), count(b':'));
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let header = match () {
        () if value.contains("Root=") => "x-amzn-trace-id",
        () if colons > 1 || value.contains("%3") || (colons > 0 && hex(value)) => "uber-trace-id",
        () if dashes >= 6 && matches!(first, "0" | "1") => "sw8",
        () if value.contains(";o=") => "x-cloud-trace-context",
        () if value.contains('=') => "tracestate",
        () if value.split('/').next().is_some_and(hex) && count(b'/') == 1 => {
            "x-cloud-trace-context"
        }
        () if digits && value.len() > 16 => "x-datadog-trace-id",
        () if (14..=34).contains(&first.len()) && dashes > 0 && hex(value) => "b3",
        () if first.len() <= 3 && dashes > 0 && value.len() > 16 && hex(value) => "traceparent",
        () => return None,
    };
    Some(header)
}

/// Whether most of a text is hexadecimal, what separates fields aside; a wrong digit or two are what is looked for.
fn hex(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let separators = text.bytes().filter(|byte| b"-:/".contains(byte)).count();
    let wrong = text.len() - digits - separators;
    digits > 3 * wrong
}
