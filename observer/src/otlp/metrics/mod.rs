//! Counts of verdicts and durations of exchanges, as OTLP metrics: cumulative, bounded in number.

mod histogram;

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;

use histogram::Histogram;
use lru::LruCache;
use observer_core::healing::{Span, VERDICT};
use observer_core::judged::{Address, Exchange, ExchangeId, Log, Role};
use observer_core::text::Text;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram as HistogramMessage, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::attribute::{
    NETWORK_PROTOCOL_NAME, NETWORK_PROTOCOL_VERSION,
};
use opentelemetry_semantic_conventions::resource::{HOST_NAME, SERVICE_NAME, SERVICE_VERSION};
use rustix::system::uname;

use super::encode::{attribute, scope};
use super::report::Counted;
use crate::cli::export::Signal;

/// Series of one metric, at most; what is beyond counts as one (`otel.metric.overflow`).
const MAX_SERIES: usize = 2_000;

/// Exchanges whose spans may still come, to become exemplars.
const RECENT: usize = 8_192;

/// Whose exchange it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Edge {
    service: Text,
    peer: Text,
    outbound: bool,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Judged {
    edge: Edge,
    /// Of a call.
    verdict: Option<&'static str>,
    /// Whether a request came with a context.
    context: Option<bool>,
}

/// Everything measured so far.
#[derive(Debug)]
pub(super) struct Metrics {
    exchanges: HashMap<Option<Judged>, u64>,
    lines: HashMap<Option<(Text, &'static str)>, u64>,
    durations: HashMap<Option<Arc<Edge>>, Histogram>,
    recent: LruCache<ExchangeId, (Arc<Edge>, f64)>,
    start: u64,
}

impl Metrics {
    /// Nothing yet; it is `now`, nanoseconds since 1970.
    pub fn new(now: u64) -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(RECENT).expect("not zero");
        Self {
            exchanges: HashMap::new(),
            lines: HashMap::new(),
            durations: HashMap::new(),
            recent: LruCache::sparse(LIMIT),
            start: now,
        }
    }

    /// Counts an exchange.
    pub fn exchange(&mut self, x: &Exchange) {
        let edge = edge(x);
        let judged = Judged {
            edge: edge.clone(),
            verdict: x.verdict.map(|v| v.name()),
            context: (x.role == Role::Server).then_some(x.context.is_some()),
        };
        *series(&mut self.exchanges, judged) += 1;
        if let Some(nanos) = x.duration_ns {
            let edge = Arc::new(edge);
            // Durations fit the 53 bits for 104 days.
            #[expect(clippy::cast_precision_loss, reason = "a duration, not an id")]
            let seconds = nanos as f64 / 1e9;
            series(&mut self.durations, Arc::clone(&edge)).add(seconds);
            self.recent.push(x.id, (edge, seconds));
        }
    }

    /// Counts a line.
    pub fn line(&mut self, log: &Log) {
        let key = (log.service.clone(), log.verdict.name());
        *series(&mut self.lines, key) += 1;
    }

    /// A span was made of an exchange: an example of its duration.
    pub fn span(&mut self, span: &Span) {
        if let Some((edge, seconds)) = self.recent.pop(&span.exchange)
            && let Some(histogram) = self.durations.get_mut(&Some(edge))
        {
            histogram.example(seconds, span);
        }
    }

    /// Everything as one request, and what became of exports; it is `now`.
    pub fn request(&self, now: u64, exports: &[(Signal, Counted)]) -> ExportMetricsServiceRequest {
        let times = (self.start, now);
        let mut metrics = vec![
            counter(
                "observer.exchanges",
                "Requests and calls, by verdict",
                "{exchange}",
                points(&self.exchanges, times, judged_attributes),
            ),
            counter(
                "observer.log.lines",
                "Logged events, by verdict",
                "{line}",
                points(&self.lines, times, |(service, verdict)| {
                    vec![
                        attribute("observer.service", service.as_str()),
                        attribute(VERDICT, *verdict),
                    ]
                }),
            ),
            counter(
                "observer.export.items",
                "What was exported, or discarded",
                "{item}",
                export_points(exports, times),
            ),
            self.durations(times),
        ];
        metrics.retain(|metric| match &metric.data {
            Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
            Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
            _ => false,
        });
        if metrics.is_empty() {
            return ExportMetricsServiceRequest::default();
        }
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(own_resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    schema_url: SCHEMA_URL.to_owned(),
                }],
                schema_url: SCHEMA_URL.to_owned(),
            }],
        }
    }

    fn durations(&self, times: (u64, u64)) -> Metric {
        let points = self.durations.iter().map(|(edge, histogram)| {
            let edge = edge.as_deref();
            histogram.point(edge.map_or_else(overflow, edge_attributes), times)
        });
        Metric {
            name: "observer.exchange.duration".to_owned(),
            description: "From a request's first byte to its response's last".to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Histogram(HistogramMessage {
                data_points: points.collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })),
            ..Metric::default()
        }
    }
}

/// The series of `key`; of what is beyond the bound, that of `None`.
fn series<K: Hash + Eq, V: Default>(all: &mut HashMap<Option<K>, V>, key: K) -> &mut V {
    let key = Some(key);
    let fits = all.len() < MAX_SERIES || all.contains_key(&key);
    all.entry(if fits { key } else { None }).or_default()
}

fn edge(x: &Exchange) -> Edge {
    let address = || match &x.peer {
        // A client's port is another one each time.
        Address::Tcp(tcp) if x.role == Role::Server => tcp.ip().to_canonical().to_string().into(),
        other => other.to_string().into(),
    };
    Edge {
        service: x.service.clone(),
        peer: x.peer_service.clone().unwrap_or_else(address),
        outbound: x.role == Role::Client,
        protocol: x.protocol,
    }
}

fn edge_attributes(edge: &Edge) -> Vec<KeyValue> {
    let direction = if edge.outbound { "outbound" } else { "inbound" };
    let mut attributes = vec![
        attribute("observer.service", edge.service.as_str()),
        attribute("observer.peer", edge.peer.as_str()),
        attribute("observer.direction", direction),
    ];
    if let Some((name, version)) = edge.protocol.split_once('/') {
        attributes.push(attribute(NETWORK_PROTOCOL_NAME, name));
        attributes.push(attribute(NETWORK_PROTOCOL_VERSION, version));
    }
    attributes
}

fn judged_attributes(judged: &Judged) -> Vec<KeyValue> {
    let mut attributes = edge_attributes(&judged.edge);
    if let Some(verdict) = judged.verdict {
        attributes.push(attribute(VERDICT, verdict));
    }
    if let Some(context) = judged.context {
        attributes.push(attribute("observer.context", context));
    }
    attributes
}

fn overflow() -> Vec<KeyValue> {
    vec![attribute("otel.metric.overflow", true)]
}

fn points<K>(
    all: &HashMap<Option<K>, u64>,
    times: (u64, u64),
    attributes: impl Fn(&K) -> Vec<KeyValue>,
) -> Vec<NumberDataPoint> {
    all.iter()
        .map(|(key, count)| {
            let attributes = key.as_ref().map_or_else(overflow, &attributes);
            point(attributes, *count, times)
        })
        .collect()
}

fn point(attributes: Vec<KeyValue>, count: u64, (start, now): (u64, u64)) -> NumberDataPoint {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(count)),
        ..NumberDataPoint::default()
    }
}

fn export_points(exports: &[(Signal, Counted)], times: (u64, u64)) -> Vec<NumberDataPoint> {
    let outcomes = exports.iter().flat_map(|(signal, counted)| {
        [
            (*signal, "accepted", counted.accepted),
            (*signal, "overflowed", counted.overflowed),
            (*signal, "refused", counted.refused),
            (*signal, "rejected", counted.rejected),
        ]
    });
    outcomes
        .filter(|(_, _, count)| *count > 0)
        .map(|(signal, outcome, count)| {
            let attributes = vec![
                attribute("observer.signal", super::report::plural(signal)),
                attribute("observer.outcome", outcome),
            ];
            point(attributes, count, times)
        })
        .collect()
}

fn counter(name: &str, description: &str, unit: &str, points: Vec<NumberDataPoint>) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(Data::Sum(Sum {
            data_points: points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })),
        ..Metric::default()
    }
}

fn own_resource() -> Resource {
    let host = uname().nodename().to_string_lossy().into_owned();
    Resource {
        attributes: vec![
            attribute(SERVICE_NAME, "observer"),
            attribute(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            attribute(HOST_NAME, host),
        ],
        ..Resource::default()
    }
}

#[cfg(test)]
mod tests {
    use observer_core::judged::{LogVerdict, Verdict};

    use super::*;
    use crate::sink::samples;

    fn named(request: &ExportMetricsServiceRequest, name: &str) -> Data {
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let found = metrics.iter().find(|m| m.name == name);
        found.unwrap().data.clone().unwrap()
    }

    #[test]
    fn exchanges_lines_and_durations_are_counted() {
        let mut metrics = Metrics::new(1);
        for _ in 0..3 {
            metrics.exchange(&samples::client(Verdict::Dropped));
        }
        metrics.exchange(&samples::server());
        metrics.line(&samples::log(LogVerdict::Missing));
        let request = metrics.request(2, &[]);
        let Data::Sum(sum) = named(&request, "observer.exchanges") else {
            panic!("no sum");
        };
        let counts: Vec<_> = sum.data_points.iter().map(|p| p.value).collect();
        assert!(counts.contains(&Some(number_data_point::Value::AsInt(3))));
        assert_eq!(counts.len(), 2);
        let Data::Histogram(durations) = named(&request, "observer.exchange.duration") else {
            panic!("no histogram");
        };
        assert_eq!(durations.data_points.len(), 2);
        assert!(durations.data_points.iter().any(|p| p.count == 3));
    }

    #[test]
    fn series_are_bounded_and_nothing_is_lost() {
        let mut metrics = Metrics::new(1);
        for n in 0..MAX_SERIES + 50 {
            let mut x = samples::client(Verdict::Dropped);
            x.peer_service = Some(n.to_string().into());
            metrics.exchange(&x);
        }
        let Data::Sum(sum) = named(&metrics.request(2, &[]), "observer.exchanges") else {
            panic!("no sum");
        };
        assert_eq!(sum.data_points.len(), MAX_SERIES + 1);
        let rest = sum.data_points.iter().find(|p| p.attributes == overflow());
        let fifty = Some(number_data_point::Value::AsInt(50));
        assert_eq!(rest.unwrap().value, fifty);
    }
}
