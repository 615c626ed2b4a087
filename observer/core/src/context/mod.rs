//! Contexts: what propagation headers and log lines say about the trace they belong to.

mod compare;
mod escape;
pub mod explain;
mod extract;
mod fields;
mod formats;
mod hex;
mod id;
pub mod line;
mod rule;
#[cfg(test)]
mod tests;

pub use compare::{baggage_lost, random_flag_changed, tracestate_lost, tracestate_reordered};
pub use extract::{Extractor, extract, is_carrier};
pub use id::{SpanId, TraceId};
pub use rule::{Rule, find_rule, rules};
use serde::Serialize;

use crate::text::Text;

/// Format in which a context is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// W3C Trace Context: `traceparent`, `tracestate`.
    W3c,
    /// B3 in one header: `b3`.
    B3Single,
    /// B3 in several headers: `X-B3-TraceId`, …
    B3Multi,
    /// Jaeger: `uber-trace-id`.
    Jaeger,
    /// Datadog: `x-datadog-trace-id`, …
    Datadog,
    /// AWS X-Ray: `X-Amzn-Trace-Id`.
    Xray,
    /// Google Cloud: `X-Cloud-Trace-Context`.
    Gcp,
    /// Apache SkyWalking: `sw8`.
    Sw8,
    /// Elastic APM: `elastic-apm-traceparent`.
    ElasticApm,
}

/// A valid context.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Context {
    /// Format it was carried in.
    pub format: Format,
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span; absent in formats or uses that carry none.
    pub parent_id: Option<SpanId>,
    /// Whether the caller recorded; absent when deferred or not carried.
    pub sampled: Option<bool>,
    /// The header value (of several headers: the values that matter, joined), at most 512 bytes, escaped for printing.
    pub raw: Text,
}

/// A carrier field that breaks a rule of its format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalid {
    /// The format whose rule is broken.
    pub format: Format,
    /// The rule, named in kebab-case and stable: for example `trace-id-all-zero`. [`find_rule`] explains it.
    pub rule: &'static str,
    /// The header value, at most 512 bytes, escaped for printing.
    pub raw: Text,
}

impl Invalid {
    /// Whether the ids are lost. A broken `tracestate` or `baggage` leaves those of `traceparent` valid.
    #[must_use]
    pub fn breaks_context(&self) -> bool {
        !self.rule.starts_with("tracestate-") && !self.rule.starts_with("baggage-")
    }
}

/// Everything about propagation that one message head carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    /// Valid contexts, at most one per format, W3C first, in the order of [`Format`].
    pub contexts: Vec<Context>,
    /// Formats that were present but invalid.
    pub invalid: Vec<Invalid>,
    /// Keys and values of a valid `tracestate`, in order; empty when absent or invalid.
    pub tracestate: Vec<(Text, Text)>,
    /// `baggage` members (keys with values), in order; empty when absent or invalid.
    pub baggage: Vec<(Text, Text)>,
    /// Correlation ids: lower-case header name and value.
    pub correlation: Vec<(Text, Text)>,
    /// Carrier headers that came more than once although only one is allowed, lower-case.
    pub duplicates: Vec<Text>,
    /// A sampling decision that came without any ids (`b3: 0`, `X-B3-Sampled: 0` alone): B3's way of
    /// saying that there is deliberately nothing to propagate.
    pub decision: Option<bool>,
    /// Carrier headers that came too often to be considered: of a header that may come once, all but
    /// the first two; of `tracestate` and `baggage`, all but the first 64.
    pub excess: u32,
}

impl Carrier {
    /// The context that counts when a message carries several: the first in the order of [`Format`].
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        self.contexts.first()
    }

    /// The first format that was present but whose ids can't be read.
    #[must_use]
    pub fn broken(&self) -> Option<&Invalid> {
        self.invalid.iter().find(|invalid| invalid.breaks_context())
    }

    /// Whether two formats name different traces. Contexts without a parent are left out: gateways
    /// mint them (`X-Amzn-Trace-Id: Root=…`) beside the caller's own.
    #[must_use]
    pub fn formats_disagree(&self) -> bool {
        let mut ids = self
            .contexts
            .iter()
            .filter(|context| context.parent_id.is_some())
            .map(|context| &context.trace_id)
            .filter(|id| !matches!(id, TraceId::Text(_)));
        let Some(first) = ids.next() else {
            return false;
        };
        ids.any(|id| !id.same_trace(first))
    }
}
