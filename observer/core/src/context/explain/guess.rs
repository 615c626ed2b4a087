//! The format of a value that came without its header's name.

use super::super::fields::Fields;
use super::super::formats::{Repeats, Row, TABLE};
use super::{Part, part};

/// What a value says in each format whose grammar it fits; if there is none, what is wrong with it
/// in the format that it looks like.
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
        .filter(|part| part.headers == [header])
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

/// The header whose value this is most likely meant to be.
fn resembles(value: &str) -> &'static str {
    let first = value.split('-').next().unwrap_or_default().len();
    let dashes = value.bytes().filter(|byte| *byte == b'-').count();
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match () {
        () if value.contains("Root=") => "x-amzn-trace-id",
        () if value.contains(':') || value.contains("%3") => "uber-trace-id",
        () if dashes >= 6 => "sw8",
        () if value.contains('=') && !value.contains(";o=") => "tracestate",
        () if value.contains('/') || value.contains(";o=") => "x-cloud-trace-context",
        () if digits && value.len() > 16 => "x-datadog-trace-id",
        () if (14..=34).contains(&first) && dashes > 0 => "b3",
        () => "traceparent",
    }
}
