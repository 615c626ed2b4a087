//! Elastic APM `elastic-apm-traceparent`: what agents sent before W3C Trace Context was final, with
//! the same grammar as `traceparent` (Elastic APM agents, spec `tracing-distributed-tracing.md`).

use super::super::Format;
use super::{Repeats, Row, traceparent};

const NAME: &str = "elastic-apm-traceparent";

pub(super) const ROW: Row = Row {
    format: Format::ElasticApm,
    title: "Elastic APM traceparent",
    names: &[NAME],
    repeats: Repeats::Fault,
    read: |fields| traceparent::read(fields, NAME),
    details: |fields| traceparent::details(fields, NAME),
};
