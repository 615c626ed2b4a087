//! Tier 1: the requests that came in with the trace-id which a subject carries.

use smallvec::SmallVec;

use super::evidence::{Link, MAX_CANDIDATES};
use super::process::Process;
use super::served::Served;
use super::subject::{Subject, Work};
use super::traces::share_trace;
use crate::context::TraceId;
use crate::context::line::{LineTraceId, Relation, relation};
use crate::ids::Seq;
use crate::judged::{Evidence, Tier};

/// Requests that came in with one trace; mostly it is one.
pub type SameTrace = SmallVec<[Seq; 4]>;

/// The latest requests of the process that came in with the trace that the subject carries, before it was
/// done: a call of a process to itself brings in a request with its own trace.
pub(super) fn same_trace(process: &Process, subject: &Subject) -> SameTrace {
    let carries = |request: &Seq| {
        let served = process.served(*request);
        served.is_some_and(|s| s.since <= subject.time && carries_trace_of(subject, s))
    };
    let mut found = SameTrace::new();
    let mut look_up = |id: &TraceId| {
        for request in process.traces.candidates(id).filter(carries) {
            if found.len() == MAX_CANDIDATES {
                return;
            }
            found.push(request);
        }
    };
    match &subject.work {
        Work::Call(call) => {
            let contexts = &call.begun.head.carrier.contexts;
            contexts.iter().for_each(|c| look_up(&c.trace_id));
        }
        Work::Line(line) => {
            for id in line.context.ids() {
                id.each_candidate(&mut look_up);
            }
            for bare in &line.context.bare {
                look_up(&TraceId::Wide(*bare));
            }
        }
        Work::Message(_) => {}
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether the subject carries the trace that a request came in with.
fn carries_trace_of(subject: &Subject, served: &Served) -> bool {
    let inbound = &served.carrier.contexts;
    match &subject.work {
        Work::Call(call) => share_trace(&call.begun.head.carrier.contexts, inbound),
        Work::Line(line) => {
            let named =
                |id: &LineTraceId, trace: &TraceId| relation(id, trace) != Relation::Different;
            let bare = |trace: &TraceId| match trace {
                TraceId::Wide(id) => line.context.bare.contains(id),
                TraceId::Narrow(_) | TraceId::Text(_) => false,
            };
            inbound.iter().any(|context| {
                line.context.ids().any(|id| named(id, &context.trace_id)) || bare(&context.trace_id)
            })
        }
        Work::Message(_) => false,
    }
}

/// The one of these requests that the trace-id decides for; `strong` is what other evidence names.
pub(super) fn by_trace(
    process: &Process,
    subject: &Subject,
    same_trace: &[Seq],
    strong: Option<Seq>,
) -> Option<Link> {
    let request = match (strong, same_trace) {
        (Some(strong), _) => {
            process
                .served(strong)
                .filter(|served| carries_trace_of(subject, served))?
                .seq
        }
        // Whoever made the call that it is goes on with the same id.
        (None, [only]) if process.served(*only).is_some_and(|served| served.own) => return None,
        (None, [only]) => *only,
        (None, _) => return None,
    };
    Some(Link {
        request,
        tier: Tier::Context,
        confidence: 0.999,
        evidence: Evidence::SameTrace,
    })
}
