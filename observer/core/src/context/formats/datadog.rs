//! Datadog: `x-datadog-trace-id`, `x-datadog-parent-id`, `x-datadog-sampling-priority`, and the
//! upper half of the trace id in `x-datadog-tags` (dd-trace, "Trace Context Propagation").

use super::super::escape::escape;
use super::super::fields::{Fields, trim};
use super::super::hex::{any_case, decimal, low};
use super::super::rule::{Broken, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const TRACE_ID: &str = "x-datadog-trace-id";
const PARENT_ID: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const TAGS: &str = "x-datadog-tags";

pub(super) const ROW: Row = Row {
    format: Format::Datadog,
    title: "Datadog",
    names: &[TRACE_ID, PARENT_ID, PRIORITY, TAGS],
    repeats: Repeats::Fault,
    read,
    details,
};

declare_rules! {
    TRACE_ID_NUMBER = "datadog-trace-id",
        "The trace id is not a decimal number of 64 bits.",
        "Datadog trace context propagation, x-datadog-trace-id";
    TRACE_ID_ZERO = "datadog-trace-id-zero",
        "The trace id is zero, which means that there is none.",
        "Datadog trace context propagation, x-datadog-trace-id";
    TRACE_ID_MISSING = "datadog-trace-id-missing",
        "There is a parent id but no trace id.",
        "Datadog trace context propagation, x-datadog-trace-id";
    PARENT_ID_NUMBER = "datadog-parent-id",
        "The parent id is not a decimal number of 64 bits.",
        "Datadog trace context propagation, x-datadog-parent-id";
    PRIORITY_NUMBER = "datadog-sampling-priority",
        "The sampling priority is not a whole number.",
        "Datadog trace context propagation, x-datadog-sampling-priority";
}

fn read(fields: &Fields<'_>) -> Reading {
    let Some(trace) = fields.one(TRACE_ID)? else {
        return match fields.one(PARENT_ID)? {
            Some(_) => Err(Broken::whole(&TRACE_ID_MISSING, PARENT_ID)),
            None => Ok(None),
        };
    };
    let lower = match decimal(trace) {
        None => return Err(Broken::at(&TRACE_ID_NUMBER, TRACE_ID, 0)),
        Some(0) => return Err(Broken::at(&TRACE_ID_ZERO, TRACE_ID, 0)),
        Some(id) => id,
    };
    let parent_id = match fields.one(PARENT_ID)? {
        None => None,
        Some(parent) => {
            let parent = decimal(parent).ok_or(Broken::at(&PARENT_ID_NUMBER, PARENT_ID, 0))?;
            // Zero means that the trace starts at the receiver.
            (parent != 0).then_some(SpanId::Bits(parent))
        }
    };
    let trace_id = match fields.one(TAGS)?.and_then(upper_half) {
        Some(high) => TraceId::Wide(u128::from(high) << 64 | u128::from(lower)),
        None => TraceId::Narrow(lower),
    };
    Ok(Some(Found::Ids(Ids {
        trace_id,
        parent_id,
        sampled: sampled(fields)?,
    })))
}

/// Priorities above zero keep the trace; there are two of either kind, and more may come.
fn sampled(fields: &Fields<'_>) -> Result<Option<bool>, Broken> {
    let Some(priority) = fields.one(PRIORITY)? else {
        return Ok(None);
    };
    let number: Option<i32> = std::str::from_utf8(priority)
        .ok()
        .and_then(|text| text.parse().ok());
    match number {
        Some(number) => Ok(Some(number > 0)),
        None => Err(Broken::at(&PRIORITY_NUMBER, PRIORITY, 0)),
    }
}

/// `_dd.p.tid` of the tags: 16 lower-case hex digits. Tracers ignore a malformed one, and so does
/// this; an upper half of zero is as good as none.
fn upper_half(tags: &[u8]) -> Option<u64> {
    let tid = tags
        .split(|byte| *byte == b',')
        .find_map(|tag| trim(tag).strip_prefix(b"_dd.p.tid="))?;
    let lower_case = tid.len() == 16 && !tid.iter().any(u8::is_ascii_uppercase);
    let high = any_case(tid, 16).filter(|high| lower_case && *high != 0)?;
    Some(low(high))
}

fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let mut out = Vec::new();
    if let Some(priority) = fields.all(PRIORITY).next() {
        let meaning = match priority {
            b"-1" => "dropped by the user",
            b"0" => "dropped by the sampler",
            b"1" => "kept by the sampler",
            b"2" => "kept by the user",
            _ => "kept if above zero",
        };
        out.push(("sampling priority", escape(priority, 64), meaning));
    }
    if let Some(tags) = fields.all(TAGS).next() {
        let meaning = match upper_half(tags) {
            Some(_) => "carry the upper half of the trace id",
            None => "carry no upper half of the trace id",
        };
        out.push(("tags", escape(tags, 512), meaning));
    }
    out
}
