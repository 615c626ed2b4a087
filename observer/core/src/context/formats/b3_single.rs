//! B3 in one header, `b3`: `{TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]]`, or a sampling
//! state alone.

use super::super::Format;
use super::super::fields::{Fields, offset};
use super::super::rule::Broken;
use super::b3::{BAD_STATE, SPAN_MISSING, TRAILING, check_parent, span_id, trace_id};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const NAME: &str = "b3";

pub(super) const ROW: Row = Row {
    format: Format::B3Single,
    title: "B3, single header",
    names: &[NAME],
    repeats: Repeats::Fault,
    read,
    details,
};

fn read(fields: &Fields<'_>) -> Reading {
    match fields.one(NAME)? {
        None => Ok(None),
        Some([state]) => Ok(Some(Found::Decision(sampled(&[*state], 0)?))),
        Some(value) => ids(value).map(|ids| Some(Found::Ids(ids))),
    }
}

fn ids(value: &[u8]) -> Result<Ids, Broken> {
    let place = |part: &[u8]| offset(value, part);
    let mut parts = value.split(|byte| *byte == b'-');

    let trace_id = trace_id(parts.next().unwrap_or_default(), NAME, 0)?;
    let Some(span) = parts.next() else {
        return Err(Broken::at(SPAN_MISSING, NAME, value.len()));
    };
    let parent_id = Some(span_id(span, NAME, place(span))?);
    let sampled = match parts.next() {
        Some(state) => Some(sampled(state, place(state))?),
        None => None,
    };
    if let Some(parent) = parts.next() {
        check_parent(parent, NAME, place(parent))?;
    }
    if let Some(more) = parts.next() {
        return Err(Broken::at(TRAILING, NAME, place(more)));
    }
    Ok(Ids {
        trace_id,
        parent_id,
        sampled,
    })
}

fn sampled(state: &[u8], at: usize) -> Result<bool, Broken> {
    match state {
        b"0" => Ok(false),
        b"1" | b"d" => Ok(true),
        _ => Err(Broken::at(BAD_STATE, NAME, at)),
    }
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let value = fields.all(NAME).next().unwrap_or_default();
    let mut out = Vec::new();
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let state = parts.get(2).unwrap_or(&value);
    if *state == b"d" {
        out.push(("sampling state", "d".to_owned(), "debug: sampled by force"));
    }
    if let Some(parent) = parts.get(3) {
        let text = String::from_utf8_lossy(parent).into_owned();
        out.push(("parent span id", text, "the parent of the caller's span"));
    }
    out
}
