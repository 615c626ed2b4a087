//! B3 in several headers: `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-ParentSpanId`, `X-B3-Sampled`,
//! `X-B3-Flags`.

use super::super::Format;
use super::super::fields::Fields;
use super::super::rule::Broken;
use super::b3::{
    BAD_FLAGS, BAD_STATE, SPAN_MISSING, TRACE_MISSING, check_parent, span_id, trace_id,
};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

pub(super) const ROW: Row = Row {
    format: Format::B3Multi,
    title: "B3, several headers",
    names: &[TRACE_ID, SPAN_ID, PARENT_ID, SAMPLED, FLAGS],
    repeats: Repeats::Fault,
    read,
    details,
};

fn read(fields: &Fields<'_>) -> Reading {
    let sampled = sampled(fields)?;
    let (trace, span) = match (fields.one(TRACE_ID)?, fields.one(SPAN_ID)?) {
        (Some(trace), Some(span)) => (trace, span),
        (Some(_), None) => return Err(Broken::whole(SPAN_MISSING, TRACE_ID)),
        (None, Some(_)) => return Err(Broken::whole(TRACE_MISSING, SPAN_ID)),
        (None, None) => return Ok(sampled.map(Found::Decision)),
    };
    if let Some(parent) = fields.one(PARENT_ID)? {
        check_parent(parent, PARENT_ID, 0)?;
    }
    Ok(Some(Found::Ids(Ids {
        trace_id: trace_id(trace, TRACE_ID, 0)?,
        parent_id: Some(span_id(span, SPAN_ID, 0)?),
        sampled,
    })))
}

/// The decision: the debug flag implies an accepting one. `true` and `false`, sent by tracers that
/// are older than the specification, are accepted as it recommends.
fn sampled(fields: &Fields<'_>) -> Result<Option<bool>, Broken> {
    let debug = match fields.one(FLAGS)? {
        None | Some(b"0") => false,
        Some(b"1") => true,
        Some(_) => return Err(Broken::at(BAD_FLAGS, FLAGS, 0)),
    };
    let state = match fields.one(SAMPLED)? {
        None => None,
        Some(b"1") => Some(true),
        Some(b"0") => Some(false),
        Some(text) if text.eq_ignore_ascii_case(b"true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case(b"false") => Some(false),
        Some(_) => return Err(Broken::at(BAD_STATE, SAMPLED, 0)),
    };
    Ok(if debug { Some(true) } else { state })
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let mut out = Vec::new();
    if fields.all(FLAGS).next() == Some(b"1") {
        out.push(("flags", "1".to_owned(), "debug: sampled by force"));
    }
    if let Some(parent) = fields.all(PARENT_ID).next() {
        let text = String::from_utf8_lossy(parent).into_owned();
        out.push(("parent span id", text, "the parent of the caller's span"));
    }
    out
}
