//! Synthetic spans, and log records with the trace that they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::ids::{SpanId, SpanKind, TraceId};
use super::severity::Severity;
use crate::ids::Tgid;
use crate::judged::{ExchangeId, LogVerdict, Tier, WallTime};

/// What healing makes.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Healed {
    /// A span that the application did not make.
    Span(Box<Span>),
    /// A logged event, with its trace if that is known.
    #[serde(rename = "log-record")]
    Log(Box<LogRecord>),
}

/// What made a span or record: the resource in OpenTelemetry's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Resource {
    /// Name of the service.
    pub service: String,
    /// The process.
    pub pid: Tgid,
    /// Further attributes, by name.
    pub attributes: BTreeMap<String, String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
    /// A share.
    Double(f64),
    /// Yes or no.
    Bool(bool),
}

/// Attributes in the order in which they were set; no name comes twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub Vec<(&'static str, Value)>);

impl Attributes {
    /// Adds one.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A span that goes on elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

/// How a span is known to belong where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Provenance {
    /// The evidence that joins it to its parent; absent where a trace begins.
    pub tier: Option<Tier>,
    /// Probability that it and what lies above it is where it belongs, 0–1.
    pub confidence: f32,
    /// The judgement that made it necessary.
    pub verdict: Option<&'static str>,
}

/// A span that stands for one side of an exchange.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// The trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span that it was done for.
    pub parent_span_id: Option<SpanId>,
    /// Side of the exchange.
    pub span_kind: SpanKind,
    /// Name of low cardinality.
    pub name: String,
    /// When it began.
    pub start: WallTime,
    /// When it ended.
    pub end: WallTime,
    /// Whether the trace is sampled.
    pub sampled: bool,
    /// Whether it failed, as OpenTelemetry's conventions for HTTP have it.
    pub failed: bool,
    /// Attributes.
    pub attributes: Attributes,
    /// Traces in which the work goes on.
    pub links: Vec<Link>,
    /// The exchange.
    pub exchange: ExchangeId,
    /// What it was seen of.
    #[serde(flatten, serialize_with = "service")]
    pub resource: Arc<Resource>,
}

/// A logged event with the trace that it belongs to.
#[derive(Clone, Debug, Serialize)]
pub struct LogRecord {
    /// When it was written.
    pub time: WallTime,
    /// The text, escaped for printing except for line breaks.
    pub line: String,
    /// `stdout`, `stderr` or `file:PATH`.
    pub source: String,
    /// The trace that it was written in; absent if that is not known.
    pub trace_id: Option<TraceId>,
    /// The span of the request that it was written for, where that is known.
    pub span_id: Option<SpanId>,
    /// Whether the trace is sampled.
    pub sampled: bool,
    /// The line did not say its trace.
    pub healed: bool,
    /// How important it calls itself.
    pub severity: Option<Severity>,
    /// What the trace rests on.
    #[serde(skip)]
    pub provenance: Provenance,
    /// The judgement on the line.
    pub verdict: LogVerdict,
    /// What wrote it.
    #[serde(flatten, serialize_with = "service")]
    pub resource: Arc<Resource>,
}

#[derive(Serialize)]
struct Service<'a> {
    service: &'a str,
    pid: Tgid,
}

fn service<S: Serializer>(resource: &Arc<Resource>, serializer: S) -> Result<S::Ok, S::Error> {
    let short = Service {
        service: &resource.service,
        pid: resource.pid,
    };
    short.serialize(serializer)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<f32> for Value {
    /// As the shares are told elsewhere: without the digits that only the conversion adds.
    fn from(share: f32) -> Self {
        Self::Double((f64::from(share) * 1e6).round() / 1e6)
    }
}
