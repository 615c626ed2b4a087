//! Contexts: what propagation headers and log lines say about the trace they belong to.

mod id;

pub use id::{SpanId, TraceId};
use serde::Serialize;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    pub raw: String,
}

/// A carrier field that breaks a rule of its format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invalid {
    /// The format whose rule is broken.
    pub format: Format,
    /// The rule, named in kebab-case and stable: for example `trace-id-all-zero`.
    pub rule: &'static str,
    /// The header value, at most 512 bytes, escaped for printing.
    pub raw: String,
}

/// Everything about propagation that one message head carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    /// Valid contexts, at most one per format, W3C first, in the order of [`Format`].
    pub contexts: Vec<Context>,
    /// Formats that were present but invalid.
    pub invalid: Vec<Invalid>,
    /// Keys and values of a valid `tracestate`, in order; empty when absent or invalid.
    pub tracestate: Vec<(String, String)>,
    /// `baggage` members (keys with values), in order; empty when absent or invalid.
    pub baggage: Vec<(String, String)>,
    /// Correlation ids: lower-case header name and value.
    pub correlation: Vec<(String, String)>,
    /// Carrier headers that came more than once although only one is allowed, lower-case.
    pub duplicates: Vec<String>,
}

impl Carrier {
    /// The context that counts when a message carries several: the first in the order of [`Format`].
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        self.contexts.first()
    }
}
