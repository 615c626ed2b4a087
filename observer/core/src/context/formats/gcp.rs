//! Google Cloud `X-Cloud-Trace-Context`: `TRACE_ID[/SPAN_ID][;o=OPTIONS]`, with a hex trace id and a
//! decimal span id (Google Cloud Trace, "Legacy trace context").

use super::super::fields::Fields;
use super::super::hex::{any_case, decimal};
use super::super::rule::{Broken, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Found, Ids, Reading, Repeats, Row, no_details};

const NAME: &str = "x-cloud-trace-context";

pub(super) const ROW: Row = Row {
    format: Format::Gcp,
    title: "Google Cloud Trace",
    names: &[NAME],
    repeats: Repeats::Fault,
    read,
    details: no_details,
};

declare_rules! {
    TRACE_ID = "gcp-trace-id",
        "The trace id is not 32 hex digits.",
        "Cloud Trace, X-Cloud-Trace-Context, TRACE_ID";
    TRACE_ID_ZERO = "gcp-trace-id-all-zero",
        "The trace id is all zeros, which means that there is none.",
        "Cloud Trace, X-Cloud-Trace-Context, TRACE_ID";
    SPAN_ID = "gcp-span-id",
        "The span id is not a decimal number of 64 bits.",
        "Cloud Trace, X-Cloud-Trace-Context, SPAN_ID";
    OPTIONS = "gcp-options",
        "The options are not of the form o= and a number.",
        "Cloud Trace, X-Cloud-Trace-Context, OPTIONS";
}

fn read(fields: &Fields<'_>) -> Reading {
    let Some(value) = fields.one(NAME)? else {
        return Ok(None);
    };
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    let (ids, options) = value.split_at(end);
    let slash = memchr::memchr(b'/', ids).unwrap_or(ids.len());
    let (trace, span) = ids.split_at(slash);

    let trace_id = match any_case(trace, 32).filter(|_| trace.len() == 32) {
        None => return Err(Broken::at(&TRACE_ID, NAME, 0)),
        Some(0) => return Err(Broken::at(&TRACE_ID_ZERO, NAME, 0)),
        Some(id) => TraceId::Wide(id),
    };
    let parent_id = match span.strip_prefix(b"/") {
        None => None,
        Some(digits) => {
            let id = decimal(digits).ok_or(Broken::at(&SPAN_ID, NAME, slash + 1))?;
            // Zero means that the caller has no span.
            (id != 0).then_some(SpanId::Bits(id))
        }
    };
    let sampled = match options.strip_prefix(b";") {
        None => None,
        Some(text) => {
            let bits = text.strip_prefix(b"o=").and_then(decimal);
            Some(bits.ok_or(Broken::at(&OPTIONS, NAME, end + 1))? & 1 != 0)
        }
    };
    Ok(Some(Found::Ids(Ids {
        trace_id,
        parent_id,
        sampled,
    })))
}
