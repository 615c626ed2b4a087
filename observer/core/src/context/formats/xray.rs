//! AWS X-Ray `X-Amzn-Trace-Id`: `Root=1-{8 hex}-{24 hex};Parent={16 hex};Sampled={0|1|?}` in any
//! order, with other fields between them (AWS X-Ray developer guide, "Tracing header").

use super::super::escape::escape;
use super::super::fields::{Fields, offset, trim};
use super::super::hex::{any_case, low};
use super::super::rule::{Broken, Rule, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const NAME: &str = "x-amzn-trace-id";

pub(super) const ROW: Row = Row {
    format: Format::Xray,
    title: "AWS X-Ray",
    names: &[NAME],
    repeats: Repeats::Fault,
    read,
    details,
};

declare_rules! {
    FIELD = "xray-field",
        "A field is not of the form key=value.",
        "AWS X-Ray tracing header";
    ROOT_MISSING = "xray-root-missing",
        "There is no Root field and so no trace id.",
        "AWS X-Ray tracing header, Root";
    ROOT = "xray-root",
        "Root is not of the form 1-{8 hex digits}-{24 hex digits}.",
        "AWS X-Ray tracing header, Root";
    ROOT_ZERO = "xray-root-all-zero",
        "Root is all zeros, which means that there is no trace id.",
        "AWS X-Ray tracing header, Root";
    PARENT = "xray-parent",
        "Parent is not 16 hex digits other than all zeros.",
        "AWS X-Ray tracing header, Parent";
    SAMPLED = "xray-sampled",
        "Sampled is none of 0, 1 and ?.",
        "AWS X-Ray tracing header, Sampled";
}

fn read(fields: &Fields<'_>) -> Reading {
    let Some(value) = fields.one(NAME)? else {
        return Ok(None);
    };
    let mut ids = (None, None, None);
    for part in parts(value) {
        let (key, text) = part?;
        let broken = |rule: &'static Rule| Broken::at(rule, NAME, offset(value, text));
        if key.eq_ignore_ascii_case(b"root") {
            ids.0 = match root(text).ok_or(broken(&ROOT))? {
                0 => return Err(broken(&ROOT_ZERO)),
                id => Some(TraceId::Wide(id)),
            };
        } else if key.eq_ignore_ascii_case(b"parent") {
            let id = any_case(text, 16).filter(|id| text.len() == 16 && *id != 0);
            ids.1 = Some(SpanId::Bits(low(id.ok_or(broken(&PARENT))?)));
        } else if key.eq_ignore_ascii_case(b"sampled") {
            ids.2 = match text {
                b"1" => Some(true),
                b"0" => Some(false),
                b"?" => None,
                _ => return Err(broken(&SAMPLED)),
            };
        }
    }
    let (Some(trace_id), parent_id, sampled) = ids else {
        return Err(Broken::whole(&ROOT_MISSING, NAME));
    };
    Ok(Some(Found::Ids(Ids {
        trace_id,
        parent_id,
        sampled,
    })))
}

/// Keys and values of the fields.
fn parts(value: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), Broken>> {
    let parts = value.split(|byte| *byte == b';').map(trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(move |part| match memchr::memchr(b'=', part) {
        Some(equals) => Ok((trim(&part[..equals]), trim(&part[equals + 1..]))),
        None => Err(Broken::at(&FIELD, NAME, offset(value, part))),
    })
}

/// The 128 bits of `1-{8 hex}-{24 hex}`.
pub(in crate::context) fn root(text: &[u8]) -> Option<u128> {
    let rest = text.strip_prefix(b"1-")?;
    if rest.len() != 33 || rest[8] != b'-' {
        return None;
    }
    let (time, random) = (any_case(&rest[..8], 8)?, any_case(&rest[9..], 24)?);
    Some(time << 96 | random)
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let value = fields.all(NAME).next().unwrap_or_default();
    let mut out = Vec::new();
    for (key, text) in parts(value).flatten() {
        let (name, meaning) = match key {
            b"Self" => ("Self", "the id that the load balancer gave to this hop"),
            b"Lineage" => ("Lineage", "invocation lineage of Lambda"),
            _ => continue,
        };
        out.push((name, escape(text, 128), meaning));
    }
    out
}
