//! The table of formats: a new one is one file here and one line in [`TABLE`].

use super::fields::Fields;
use super::rule::{Broken, Rule};
use super::{Format, SpanId, TraceId};
use crate::text::Text;

mod b3;
mod b3_multi;
mod b3_single;
mod baggage;
mod correlation;
mod datadog;
mod elastic;
mod gcp;
mod jaeger;
mod sw8;
mod traceparent;
mod tracestate;
mod xray;

pub(super) use traceparent::{RANDOM, parse as parse_traceparent};
pub(super) use xray::root as xray_root;

/// What the headers of one format say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Ids of a trace.
    Ids(Ids),
    /// A sampling decision without ids.
    Decision(bool),
    /// `tracestate` members.
    Tracestate(Vec<(Text, Text)>),
    /// `baggage` members.
    Baggage(Vec<(Text, Text)>),
    /// Correlation ids with their header names.
    Correlation(Vec<(Text, Text)>),
}

/// The ids of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub trace_id: TraceId,
    pub parent_id: Option<SpanId>,
    pub sampled: Option<bool>,
}

/// Result of reading the headers of one format: `None` when they say nothing.
pub(super) type Reading = Result<Option<Found>, Broken>;

/// A part of a header, for people: its name, its value as printable text, and what that means.
pub(super) type Detail = (&'static str, String, &'static str);

/// One format.
pub(super) struct Row {
    /// The format for which the headers speak.
    pub format: Format,
    /// What people call it.
    pub title: &'static str,
    /// Its headers, lower-case.
    pub names: &'static [&'static str],
    /// What a repeated header means.
    pub repeats: Repeats,
    /// Reads them.
    pub read: fn(&Fields<'_>) -> Reading,
    /// What else they say; called for valid headers only.
    pub details: fn(&Fields<'_>) -> Vec<Detail>,
}

/// What it means when a header of a format comes more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// A fault of the sender.
    Fault,
    /// The values form one list, in order.
    List,
    /// Nothing.
    Harmless,
}

/// All formats, in the order of [`Format`].
pub(super) static TABLE: &[Row] = &[
    traceparent::ROW,
    tracestate::ROW,
    baggage::ROW,
    b3_single::ROW,
    b3_multi::ROW,
    jaeger::ROW,
    datadog::ROW,
    xray::ROW,
    gcp::ROW,
    sw8::ROW,
    elastic::ROW,
    correlation::ROW,
];

/// The rules of all formats.
pub(super) static RULES: &[&[Rule]] = &[
    traceparent::RULES,
    tracestate::RULES,
    baggage::RULES,
    b3::RULES,
    jaeger::RULES,
    datadog::RULES,
    xray::RULES,
    gcp::RULES,
    sw8::RULES,
];

/// Details of formats whose ids say it all.
fn no_details(_: &Fields<'_>) -> Vec<Detail> {
    Vec::new()
}
