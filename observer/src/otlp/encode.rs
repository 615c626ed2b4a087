//! Spans and log records in OTLP's messages: one resource per observed process.

use std::sync::Arc;

use observer_core::healing::ids::SpanKind;
use observer_core::healing::{
    CONFIDENCE, HEALED, LogRecord, Resource, Span, TIER, VERDICT, Value, tier_name,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1 as trace;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::attribute::{LOG_FILE_PATH, LOG_IOSTREAM};
use opentelemetry_semantic_conventions::resource::{PROCESS_PID, SERVICE_NAME};

/// W3C trace flag: sampled.
const SAMPLED: u32 = 1;

/// It is known whether the parent is in another process (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`).
const HAS_IS_REMOTE: u32 = 0x100;

/// It is (`SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`).
const IS_REMOTE: u32 = 0x200;

/// Spans as one request.
pub(super) fn spans(spans: &[Arc<Span>]) -> ExportTraceServiceRequest {
    let groups = by_resource(spans, |span| &span.resource);
    let resource_spans = groups.into_iter().map(|(resource, spans)| {
        let spans = spans.into_iter().map(span).collect();
        trace::ResourceSpans {
            resource: Some(self::resource(resource)),
            scope_spans: vec![trace::ScopeSpans {
                scope: Some(scope()),
                spans,
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }
    });
    ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    }
}

/// Log records as one request.
pub(super) fn logs(records: &[Arc<LogRecord>]) -> ExportLogsServiceRequest {
    let groups = by_resource(records, |record| &record.resource);
    let resource_logs = groups.into_iter().map(|(resource, records)| {
        let log_records = records.into_iter().map(record).collect();
        logs::ResourceLogs {
            resource: Some(self::resource(resource)),
            scope_logs: vec![logs::ScopeLogs {
                scope: Some(scope()),
                log_records,
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }
    });
    ExportLogsServiceRequest {
        resource_logs: resource_logs.collect(),
    }
}

/// Items of each resource, in the order in which resources come first.
fn by_resource<T>(
    items: &[Arc<T>],
    of: impl Fn(&T) -> &Arc<Resource>,
) -> Vec<(&Resource, Vec<&T>)> {
    let mut groups: Vec<(&Arc<Resource>, Vec<&T>)> = Vec::new();
    for item in items {
        let resource = of(item);
        let same = |(known, _): &&mut (&Arc<Resource>, _)| Arc::ptr_eq(known, resource);
        match groups.iter_mut().find(same) {
            Some((_, items)) => items.push(item),
            None => groups.push((resource, vec![item])),
        }
    }
    groups
        .into_iter()
        .map(|(resource, items)| (&**resource, items))
        .collect()
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "observer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn resource(resource: &Resource) -> ResourceMessage {
    let mut attributes = vec![
        attribute(SERVICE_NAME, resource.service.as_str()),
        attribute(PROCESS_PID, i64::from(resource.pid.0)),
    ];
    let more = resource.attributes.iter();
    attributes.extend(more.map(|(name, value)| attribute(name, value.as_str())));
    ResourceMessage {
        attributes,
        ..ResourceMessage::default()
    }
}

/// An attribute.
pub(super) fn attribute(name: &str, value: impl Into<Value>) -> KeyValue {
    let value = match value.into() {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Int(number) => any_value::Value::IntValue(number),
        Value::Double(share) => any_value::Value::DoubleValue(share),
        Value::Bool(yes) => any_value::Value::BoolValue(yes),
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn flags(sampled: bool) -> u32 {
    if sampled { SAMPLED } else { 0 }
}

fn span(span: &Span) -> trace::Span {
    let (kind, remote) = match span.span_kind {
        SpanKind::Server => (trace::span::SpanKind::Server, IS_REMOTE),
        SpanKind::Client => (trace::span::SpanKind::Client, 0),
    };
    let parent = match span.parent_span_id {
        Some(_) => HAS_IS_REMOTE | remote,
        None => 0,
    };
    let links = span.links.iter().map(|link| trace::span::Link {
        trace_id: link.trace_id.bytes().to_vec(),
        span_id: link.span_id.bytes().to_vec(),
        ..trace::span::Link::default()
    });
    let attributes = span.attributes.0.iter();
    trace::Span {
        trace_id: span.trace_id.bytes().to_vec(),
        span_id: span.span_id.bytes().to_vec(),
        parent_span_id: span
            .parent_span_id
            .map_or_else(Vec::new, |id| id.bytes().to_vec()),
        flags: flags(span.sampled) | parent,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.start.0,
        end_time_unix_nano: span.end.0,
        attributes: attributes
            .map(|(name, value)| attribute(name, value.clone()))
            .collect(),
        links: links.collect(),
        status: span.failed.then(|| trace::Status {
            code: trace::status::StatusCode::Error.into(),
            ..trace::Status::default()
        }),
        ..trace::Span::default()
    }
}

fn record(record: &LogRecord) -> logs::LogRecord {
    let mut attributes = vec![attribute(VERDICT, record.verdict.name())];
    match record.source.split_once(':') {
        Some(("file", path)) => attributes.push(attribute(LOG_FILE_PATH, path)),
        _ if matches!(&*record.source, "stdout" | "stderr") => {
            attributes.push(attribute(LOG_IOSTREAM, record.source.as_str()));
        }
        _ => {}
    }
    if let Some(tier) = record.provenance.tier {
        attributes.push(attribute(TIER, tier_name(tier)));
        attributes.push(attribute(CONFIDENCE, record.provenance.confidence));
    }
    if record.healed {
        attributes.push(attribute(HEALED, true));
    }
    let body = any_value::Value::StringValue(record.line.clone());
    logs::LogRecord {
        time_unix_nano: record.time.0,
        observed_time_unix_nano: record.time.0,
        severity_number: record.severity.map_or(0, |s| i32::from(s.number())),
        severity_text: record.severity.map_or("", |s| s.name()).to_owned(),
        body: Some(AnyValue { value: Some(body) }),
        attributes,
        flags: flags(record.sampled && record.trace_id.is_some()),
        trace_id: record
            .trace_id
            .map_or_else(Vec::new, |id| id.bytes().to_vec()),
        span_id: record
            .span_id
            .map_or_else(Vec::new, |id| id.bytes().to_vec()),
        ..logs::LogRecord::default()
    }
}
