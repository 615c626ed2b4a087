//! Log records with the trace that they belong to.

use super::ids::TraceId;
use super::place::Place;
use super::rules::may_carry;
use super::severity::severity;
use super::span::{Healed, LogRecord, Provenance};
use super::{Healer, Hop};
use crate::judged::{Log, LogVerdict};

impl Healer {
    /// Makes records of all lines of a request.
    pub(super) fn records(&mut self, hop: &Hop, place: Option<&Place>) {
        for line in &hop.lines {
            self.record(line, place);
        }
    }

    /// Makes a record of a line; its request is at `place`, if that is known.
    pub(super) fn record(&mut self, log: &Log, place: Option<&Place>) {
        let tier = log.attribution.tier.filter(|tier| may_carry(*tier));
        let place = place.filter(|_| tier.is_some());
        let of_request = place.and_then(|place| place.trace);
        // A line that says its trace knows best, also where the application began one of its own.
        let trace_id = said(log).or(of_request);
        let here = place.filter(|_| trace_id.is_some() && trace_id == of_request);
        let lacked = log.verdict.is_loss() || log.verdict == LogVerdict::Absent;
        let resource = self.resource(log.pid, &log.service);
        self.out.push(Healed::Log(Box::new(LogRecord {
            time: log.time,
            line: log.line.clone(),
            source: log.source.to_string(),
            trace_id,
            span_id: here.and_then(|place| place.span),
            sampled: here.is_none_or(|place| place.sampled),
            healed: here.is_some() && lacked,
            severity: severity(&log.line),
            provenance: Provenance {
                tier,
                confidence: here.map_or(1.0, |p| p.confidence) * log.attribution.confidence,
                verdict: Some(log.verdict.name()),
            },
            verdict: log.verdict,
            resource,
        })));
    }
}

/// The trace that a line says rightly, or at least not provably wrongly.
fn said(log: &Log) -> Option<TraceId> {
    let trusted = matches!(log.verdict, LogVerdict::Linked | LogVerdict::Inconclusive);
    let context = log.context.as_ref().filter(|_| trusted)?;
    TraceId::said(&context.trace_id)
}
