//! Makes spans in OpenTelemetry's words.

use super::Healer;
use super::conventions::{attributes, error_type};
use super::ids::{SpanId, SpanKind, TraceId};
use super::span::{Healed, Link, Provenance, Span};
use crate::judged::{Exchange, WallTime};

/// What a span is made of.
pub(super) struct Making<'a> {
    pub exchange: &'a Exchange,
    pub kind: SpanKind,
    pub trace: TraceId,
    pub span: SpanId,
    pub parent: Option<SpanId>,
    pub sampled: bool,
    pub links: Vec<Link>,
    pub provenance: Provenance,
}

impl Healer {
    /// Makes a span.
    pub(super) fn make(&mut self, making: &Making<'_>) {
        let exchange = making.exchange;
        let resource = self.resource(exchange.pid, &exchange.service);
        self.out.push(Healed::Span(Box::new(Span {
            trace_id: making.trace,
            span_id: making.span,
            parent_span_id: making.parent,
            span_kind: making.kind,
            name: self.names.name(exchange),
            start: exchange.start,
            end: end(exchange),
            sampled: making.sampled,
            failed: error_type(exchange, making.kind).is_some(),
            attributes: attributes(exchange, making.kind, making.provenance),
            links: making.links.clone(),
            exchange: exchange.id,
            resource,
        })));
    }
}

/// When an exchange was over; never before it began, whatever the clocks say.
fn end(exchange: &Exchange) -> WallTime {
    let complete = exchange
        .duration_ns
        .map(|d| WallTime(exchange.start.0.saturating_add(d)));
    complete
        .or(exchange.until)
        .map_or(exchange.start, |end| end.max(exchange.start))
}
