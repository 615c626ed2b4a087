//! Apache SkyWalking `sw8`: eight fields separated by dashes
//! (SkyWalking Cross Process Propagation Headers Protocol v3).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::escape::escape;
use super::super::fields::{Fields, offset};
use super::super::rule::{Broken, Rule, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const NAME: &str = "sw8";

pub(super) const ROW: Row = Row {
    format: Format::Sw8,
    title: "Apache SkyWalking",
    names: &[NAME],
    repeats: Repeats::Fault,
    read,
    details,
};

declare_rules! {
    FIELDS = "sw8-fields",
        "The value does not have eight fields separated by dashes.",
        "SkyWalking Cross Process Propagation v3, Standard Header Item";
    SAMPLE = "sw8-sample",
        "The sample field is neither 0 nor 1.",
        "SkyWalking Cross Process Propagation v3, Sample";
    TRACE_ID = "sw8-trace-id",
        "The trace id is not base64 of printable text.",
        "SkyWalking Cross Process Propagation v3, Trace ID";
    SEGMENT_ID = "sw8-segment-id",
        "The parent segment id is not base64 of printable text.",
        "SkyWalking Cross Process Propagation v3, Parent trace segment ID";
    ID_LENGTH = "sw8-id-length",
        "An id is longer than the 128 bytes that the observer keeps.",
        "docs of this program, limits";
    SPAN_ID = "sw8-span-id",
        "The parent span id is not a whole number from 0.",
        "SkyWalking Cross Process Propagation v3, Parent span ID";
    NAMES = "sw8-names",
        "A service, instance, endpoint or address is not base64.",
        "SkyWalking Cross Process Propagation v3, Standard Header Item";
}

/// Longest id kept, in bytes.
const MAX_ID: usize = 128;
/// Room in a span id for `:` and the number of the span in its segment.
const SPAN_NUMBER_ROOM: usize = 11;

fn read(fields: &Fields<'_>) -> Reading {
    let Some(value) = fields.one(NAME)? else {
        return Ok(None);
    };
    let parts = split(value)?;
    let sampled = match parts[0] {
        b"1" => Some(true),
        b"0" => Some(false),
        _ => return Err(Broken::at(&SAMPLE, NAME, 0)),
    };
    let place = |part: &[u8]| offset(value, part);
    let trace_id = id(parts[1], &TRACE_ID, MAX_ID, place(parts[1]))?;
    let segment = id(
        parts[2],
        &SEGMENT_ID,
        MAX_ID - SPAN_NUMBER_ROOM,
        place(parts[2]),
    )?;
    let span: u32 = super::super::hex::decimal(parts[3])
        .and_then(|number| number.try_into().ok())
        .ok_or(Broken::at(&SPAN_ID, NAME, place(parts[3])))?;
    for part in &parts[4..] {
        if BASE64_STANDARD.decode(part).is_err() {
            return Err(Broken::at(&NAMES, NAME, place(part)));
        }
    }
    Ok(Some(Found::Ids(Ids {
        trace_id: TraceId::Text(trace_id.into()),
        parent_id: Some(SpanId::Text(format!("{segment}:{span}").into())),
        sampled,
    })))
}

fn split(value: &[u8]) -> Result<[&[u8]; 8], Broken> {
    let mut parts = value.split(|byte| *byte == b'-');
    let fields = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let enough = memchr::memchr_iter(b'-', value).count() == 7;
    enough.then_some(fields).ok_or(Broken::whole(&FIELDS, NAME))
}

/// The printable text of a base64 field that stands at byte `at`.
fn id(field: &[u8], rule: &'static Rule, limit: usize, at: usize) -> Result<String, Broken> {
    // Longer than any id of that length can be when encoded: not worth decoding.
    if field.len() > limit.div_ceil(3) * 4 {
        return Err(Broken::at(&ID_LENGTH, NAME, at));
    }
    let decoded = BASE64_STANDARD.decode(field).ok();
    let text = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(Broken::at(rule, NAME, at))?;
    if text.len() > limit {
        return Err(Broken::at(&ID_LENGTH, NAME, at));
    }
    Ok(text)
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    const PARTS: [(&str, &str); 4] = [
        ("parent service", "the service of the caller"),
        ("parent instance", "the instance of the caller"),
        ("parent endpoint", "the endpoint that the caller served"),
        ("target address", "the address that the caller used"),
    ];
    let value = fields.all(NAME).next().unwrap_or_default();
    let Ok(parts) = split(value) else {
        return Vec::new();
    };
    let named = PARTS.into_iter().zip(&parts[4..]);
    named
        .map(|((name, meaning), part)| {
            let text = BASE64_STANDARD.decode(part).unwrap_or_default();
            (name, escape(&text, 256), meaning)
        })
        .collect()
}
