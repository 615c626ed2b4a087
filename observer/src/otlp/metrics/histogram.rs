//! A histogram of durations, with the latest example.

use observer_core::healing::Span;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, HistogramDataPoint, exemplar};

/// Bounds of the buckets, seconds: those that the conventions name for HTTP durations.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Durations of one series.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    count: u64,
    sum: f64,
    example: Option<Exemplar>,
}

impl Histogram {
    pub fn add(&mut self, seconds: f64) {
        // A bucket holds what is at most its bound.
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum += seconds;
    }

    /// Remembers a span as an example.
    pub fn example(&mut self, seconds: f64, span: &Span) {
        self.example = Some(Exemplar {
            time_unix_nano: span.end.0,
            span_id: span.span_id.bytes().to_vec(),
            trace_id: span.trace_id.bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(seconds)),
            ..Exemplar::default()
        });
    }

    pub fn point(&self, attributes: Vec<KeyValue>, (start, now): (u64, u64)) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: now,
            count: self.count,
            sum: Some(self.sum),
            bucket_counts: self.buckets.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            exemplars: self.example.iter().cloned().collect(),
            ..HistogramDataPoint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut histogram = Histogram::default();
        for seconds in [0.0, 0.005, 0.0051, 11.0] {
            histogram.add(seconds);
        }
        let point = histogram.point(Vec::new(), (1, 2));
        assert_eq!(point.bucket_counts[0], 2);
        assert_eq!(point.bucket_counts[1], 1);
        assert_eq!(point.bucket_counts.last(), Some(&1));
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    }
}
