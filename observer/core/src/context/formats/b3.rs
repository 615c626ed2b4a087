//! What both forms of B3 share: ids, sampling states and rules (openzipkin/b3-propagation).

use super::super::hex::{HexRules, low, lower, lower_digits};
use super::super::rule::{Broken, Rule, declare_rules};
use super::super::{SpanId, TraceId};

declare_rules! {
    TRACE_ID_LENGTH = "b3-trace-id-length",
        "The trace id is neither 16 nor 32 digits long.",
        "B3 Propagation, TraceId";
    TRACE_ID_UPPERCASE = "b3-trace-id-uppercase",
        "The trace id has upper-case hex digits; only lower-case ones are allowed.",
        "B3 Propagation, TraceId";
    TRACE_ID_ILLEGAL = "b3-trace-id-illegal-character",
        "The trace id has a character that is no hex digit.",
        "B3 Propagation, TraceId";
    TRACE_ID_ZERO = "b3-trace-id-all-zero",
        "The trace id is all zeros, which means that there is none.",
        "B3 Propagation, TraceId";
    TRACE_ID_MISSING = "b3-trace-id-missing",
        "There is a span id but no trace id.",
        "B3 Propagation, Identifiers";
    SPAN_ID_LENGTH = "b3-span-id-length",
        "The span id is not 16 digits long.",
        "B3 Propagation, SpanId";
    SPAN_ID_UPPERCASE = "b3-span-id-uppercase",
        "The span id has upper-case hex digits; only lower-case ones are allowed.",
        "B3 Propagation, SpanId";
    SPAN_ID_ILLEGAL = "b3-span-id-illegal-character",
        "The span id has a character that is no hex digit.",
        "B3 Propagation, SpanId";
    SPAN_ID_ZERO = "b3-span-id-all-zero",
        "The span id is all zeros, which means that there is none.",
        "B3 Propagation, SpanId";
    SPAN_ID_MISSING = "b3-span-id-missing",
        "There is a trace id but no span id.",
        "B3 Propagation, Identifiers";
    PARENT_LENGTH = "b3-parent-span-id-length",
        "The parent span id is not 16 digits long.",
        "B3 Propagation, ParentSpanId";
    PARENT_UPPERCASE = "b3-parent-span-id-uppercase",
        "The parent span id has upper-case hex digits; only lower-case ones are allowed.",
        "B3 Propagation, ParentSpanId";
    PARENT_ILLEGAL = "b3-parent-span-id-illegal-character",
        "The parent span id has a character that is no hex digit.",
        "B3 Propagation, ParentSpanId";
    SAMPLING_STATE = "b3-sampling-state",
        "The sampling state is none of 0 (deny), 1 (accept) and d (debug).",
        "B3 Propagation, Sampling State";
    FLAGS = "b3-flags",
        "The debug flag is neither 1 nor 0.",
        "B3 Propagation, Debug Flag";
    TRAILING_DATA = "b3-trailing-data",
        "The value has four fields at most, but more follow.",
        "B3 Propagation, Single Header";
}

pub(super) const TRACE_MISSING: &Rule = &TRACE_ID_MISSING;
pub(super) const SPAN_MISSING: &Rule = &SPAN_ID_MISSING;
pub(super) const BAD_STATE: &Rule = &SAMPLING_STATE;
pub(super) const BAD_FLAGS: &Rule = &FLAGS;
pub(super) const TRAILING: &Rule = &TRAILING_DATA;

const TRACE_ID: HexRules = HexRules {
    length: &TRACE_ID_LENGTH,
    uppercase: &TRACE_ID_UPPERCASE,
    illegal: &TRACE_ID_ILLEGAL,
};
const SPAN_ID: HexRules = HexRules {
    length: &SPAN_ID_LENGTH,
    uppercase: &SPAN_ID_UPPERCASE,
    illegal: &SPAN_ID_ILLEGAL,
};
const PARENT: HexRules = HexRules {
    length: &PARENT_LENGTH,
    uppercase: &PARENT_UPPERCASE,
    illegal: &PARENT_ILLEGAL,
};

/// A trace id that stands at byte `at` of its header.
pub(super) fn trace_id(field: &[u8], header: &'static str, at: usize) -> Result<TraceId, Broken> {
    if field.len() != 16 && field.len() != 32 {
        return Err(Broken::at(&TRACE_ID_LENGTH, header, at));
    }
    match lower_digits(field, &TRACE_ID, header, at)? {
        0 => Err(Broken::at(&TRACE_ID_ZERO, header, at)),
        id if field.len() == 16 => Ok(TraceId::Narrow(low(id))),
        id => Ok(TraceId::Wide(id)),
    }
}

/// A span id that stands at byte `at` of its header.
pub(super) fn span_id(field: &[u8], header: &'static str, at: usize) -> Result<SpanId, Broken> {
    match lower(field, 16, &SPAN_ID, header, at)? {
        0 => Err(Broken::at(&SPAN_ID_ZERO, header, at)),
        id => Ok(SpanId::Bits(low(id))),
    }
}

/// Checks the id of the caller's own parent, which says nothing about this hop.
pub(super) fn check_parent(field: &[u8], header: &'static str, at: usize) -> Result<(), Broken> {
    lower(field, 16, &PARENT, header, at).map(drop)
}
