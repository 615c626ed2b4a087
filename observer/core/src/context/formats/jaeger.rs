//! Jaeger `uber-trace-id`: `{trace-id}:{span-id}:{parent-span-id}:{flags}`
//! (Jaeger client libraries, "Propagation Format").
//!
//! Ids are hex of either case and may lack leading zeros, so that a trace id of at most 16 digits
//! can be a 64-bit one or a 128-bit one: it is taken as the lower 64 bits. The value may be
//! URL-encoded.

use super::super::fields::Fields;
use super::super::hex::{any_case, low};
use super::super::rule::{Broken, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const NAME: &str = "uber-trace-id";

pub(super) const ROW: Row = Row {
    format: Format::Jaeger,
    title: "Jaeger",
    names: &[NAME],
    repeats: Repeats::Fault,
    read,
    details,
};

declare_rules! {
    FIELDS = "jaeger-fields",
        "The value does not have four fields separated by colons.",
        "Jaeger propagation format, Value";
    TRACE_ID = "jaeger-trace-id",
        "The trace id is not 1 to 32 hex digits.",
        "Jaeger propagation format, trace-id";
    TRACE_ID_ZERO = "jaeger-trace-id-zero",
        "The trace id is zero, which means that there is none.",
        "Jaeger propagation format, trace-id";
    SPAN_ID = "jaeger-span-id",
        "The span id is not 1 to 16 hex digits.",
        "Jaeger propagation format, span-id";
    SPAN_ID_ZERO = "jaeger-span-id-zero",
        "The span id is zero, which means that there is none.",
        "Jaeger propagation format, span-id";
    PARENT_ID = "jaeger-parent-span-id",
        "The parent span id is not at most 16 hex digits.",
        "Jaeger propagation format, parent-span-id";
    FLAGS = "jaeger-flags",
        "The flags are not one or two hex digits.",
        "Jaeger propagation format, flags";
}

const SAMPLED: u128 = 1;
const DEBUG: u128 = 2;
const FIREHOSE: u128 = 8;

fn read(fields: &Fields<'_>) -> Reading {
    let Some(value) = fields.one(NAME)? else {
        return Ok(None);
    };
    let ([trace, span, parent, flags], starts) = split(value)?;
    let broken = |rule, index: usize| Broken::at(rule, NAME, starts[index]);
    let trace_id = match any_case(trace, 32).ok_or(broken(&TRACE_ID, 0))? {
        0 => return Err(broken(&TRACE_ID_ZERO, 0)),
        id if trace.len() <= 16 => TraceId::Narrow(low(id)),
        id => TraceId::Wide(id),
    };
    let parent_id = match any_case(span, 16).ok_or(broken(&SPAN_ID, 1))? {
        0 => return Err(broken(&SPAN_ID_ZERO, 1)),
        id => Some(SpanId::Bits(low(id))),
    };
    if !parent.is_empty() && any_case(parent, 16).is_none() {
        return Err(broken(&PARENT_ID, 2));
    }
    let flags = any_case(flags, 2).ok_or(broken(&FLAGS, 3))?;
    Ok(Some(Found::Ids(Ids {
        trace_id,
        parent_id,
        sampled: Some(flags & SAMPLED != 0),
    })))
}

/// The four fields and where they start.
fn split(value: &[u8]) -> Result<([&[u8]; 4], [usize; 4]), Broken> {
    let mut fields: [&[u8]; 4] = [&[]; 4];
    let mut starts = [0; 4];
    let mut pos = 0;
    for (index, field) in fields.iter_mut().enumerate() {
        let rest = &value[pos..];
        let (end, next) = separator(rest);
        if next.is_some() != (index < 3) {
            return Err(Broken::at(&FIELDS, NAME, pos + end));
        }
        *field = &rest[..end];
        starts[index] = pos;
        pos += next.unwrap_or(end);
    }
    Ok((fields, starts))
}

/// Where the next colon (plain or URL-encoded) begins and, if there is one, ends.
fn separator(rest: &[u8]) -> (usize, Option<usize>) {
    match memchr::memchr2(b':', b'%', rest) {
        Some(at) if rest[at] == b':' => (at, Some(at + 1)),
        Some(at) if rest[at..].len() >= 3 && rest[at..at + 3].eq_ignore_ascii_case(b"%3a") => {
            (at, Some(at + 3))
        }
        // A stray percent sign stays in its field and is refused there.
        Some(_) | None => (rest.len(), None),
    }
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let value = fields.all(NAME).next().unwrap_or_default();
    let Ok(([_, _, parent, flags], _)) = split(value) else {
        return Vec::new();
    };
    let bits = any_case(flags, 2).unwrap_or_default();
    let meaning = match (bits & DEBUG != 0, bits & FIREHOSE != 0) {
        (true, true) => "debug and firehose flags set",
        (true, false) => "debug flag set",
        (false, true) => "firehose flag set",
        (false, false) => "neither debug nor firehose",
    };
    let mut out = vec![("flags", format!("{bits:02x}"), meaning)];
    if any_case(parent, 16).is_some_and(|parent| parent != 0) {
        let text = String::from_utf8_lossy(parent).into_owned();
        out.push((
            "parent span id",
            text,
            "deprecated; the parent of the caller's span",
        ));
    }
    out
}
