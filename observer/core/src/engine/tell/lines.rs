//! Tells of lines of logs.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::common::{By, Common, doubted, inbound, trace_of};
use crate::attribution::{Attributor, Decision, Line};
use crate::context::line::LineId;
use crate::context::{Carrier, TraceId};
use crate::ids::Seq;
use crate::judged::{ExchangeId, Judged, Log, LogContext, LogId};
use crate::summary::Circumstances;
use crate::text::{Text, printable_lines, printable_text};
use crate::verdict::{LineJudgement, judge_line};

/// Requests whose calls' traces are remembered.
const MAX_REQUESTS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Traces that are remembered of one request's calls.
const MAX_TRACES: usize = 16;

/// Traces that calls made for a request carry, for judging lines that carry them.
#[derive(Debug)]
pub(super) struct Traces(LruCache<Seq, Vec<TraceId>>);

impl Traces {
    pub(super) fn new() -> Self {
        Self(LruCache::sparse(MAX_REQUESTS))
    }

    /// Takes note of what a call made for `request` carries.
    pub(super) fn called(&mut self, request: Seq, carrier: &Carrier) {
        let traces = self.0.get_or_insert_mut(request, Vec::new);
        if let Some(context) = carrier.context()
            && !traces.contains(&context.trace_id)
            && traces.len() < MAX_TRACES
        {
            traces.push(context.trace_id.clone());
        }
    }

    fn of(&self, request: Seq) -> &[TraceId] {
        self.0.peek(&request).map_or(&[], Vec::as_slice)
    }
}

/// A line of a log, with the request that it was written for, as far as that is known.
pub(super) fn line(
    common: &mut Common,
    traces: &Traces,
    attributor: &Attributor,
    seq: Seq,
    by: By,
    line: Line,
    decision: Decision,
) -> Judged {
    let request = decision.owner.map(|o| o.request);
    let owner = request.and_then(|r| attributor.served(by.tgid, r));
    let trace = owner.and_then(|s| trace_of(inbound(s)));
    let own_traces = request.map_or(&[][..], |request| traces.of(request));
    let (verdict, doubt) = judge_line(&LineJudgement {
        inbound: owner.map(inbound),
        own_traces,
        known: !decision.same_trace.is_empty(),
        ids_certain: decision.ids_certain,
        carries: &line.context,
        cut: line.line.cut,
        reason: decision.attribution.reason.as_ref(),
    });
    let doubt = doubted(doubt, &decision);
    let shown = match printable_lines(&line.line.text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(shown) => Some(shown),
    };
    let (service, circumstances) = common.circumstances(by.tgid);
    let circumstances = Circumstances {
        trace,
        ..circumstances
    };
    let log = Log {
        id: LogId(seq),
        pid: by.tgid,
        tid: by.tid,
        service,
        source: line.source,
        time: common.wall(by.time),
        line: shown.unwrap_or(line.line.text),
        context: log_context(line.context.id),
        request: request.map(ExchangeId),
        attribution: decision.attribution.or_reason(doubt),
        inferred: decision.inferred,
        verdict,
    };
    common.counter.log(&log, &circumstances);
    Judged::Log(Box::new(log))
}

fn log_context(id: LineId) -> Option<LogContext> {
    let (field, trace_id) = match id {
        LineId::None => return None,
        LineId::Zero { field } => (field, Text::new_static("0")),
        LineId::Id { trace, field } => (field, printable_text(trace.raw())),
        LineId::Malformed { raw, field } => (field, printable_text(&raw)),
    };
    Some(LogContext { field, trace_id })
}
