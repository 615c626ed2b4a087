//! Tier 2, contexts that threads publish for readers (OTEP 4947): what a thread did while it said that it works in a
//! trace was done for the request that came in with that trace.
//!
//! It is the word of the service's own SDK. Where other evidence names another request, nothing is concluded.
//!
//! Another observer of the host may tell the same in a map that it pins (`traces_ctx_v1` of OpenTelemetry eBPF
//! Instrumentation). It does not ask the service either, so its word is held against what is certain first: who wrote a
//! response worked for its request (`attribution/pinned.rs`).

use super::evidence::{Link, MAX_CANDIDATES, names};
use super::process::Process;
use super::subject::{Subject, Work};
use crate::context::TraceId;
use crate::ids::Seq;
use crate::judged::{Evidence, Reason, Tier};
use crate::record::ExecutionKind;

/// The request that came in with the trace which the thread published, or why none is named.
pub(super) fn declared(process: &Process, subject: &Subject) -> Result<Link, Option<Reason>> {
    let moved = match &subject.work {
        Work::Call(call) => &call.begun.moved,
        Work::Line(line) => &line.line.moved,
        Work::Message(moved) => moved,
    };
    // A write of several events was made when the thread worked for the last of them.
    let batched = matches!(&subject.work, Work::Line(line) if line.line.batched);
    let execution = moved.sole_execution().filter(|_| !batched);
    let Some((execution, trace)) = execution.zip(execution.and_then(|e| e.published())) else {
        return Err(None);
    };
    let trace = TraceId::Wide(trace);
    let (confidence, evidence) = match execution.kind {
        ExecutionKind::Pinned if process.pinned.is_right(moved.tid) => {
            (0.98, Evidence::PinnedContext)
        }
        ExecutionKind::Pinned => return Err(None),
        _ => (0.995, Evidence::PublishedContext),
    };
    // A context that nobody detached says nothing of what comes after its request.
    let in_flight = |request: &Seq| {
        let served = process.served(*request);
        served.is_some_and(|s| {
            let mut contexts = s.carrier.contexts.iter();
            s.since <= subject.time
                && s.until.is_none_or(|until| until >= subject.time)
                && contexts.any(|c| c.trace_id.same_trace(&trace))
        })
    };
    let candidates = process.traces.candidates(&trace).filter(in_flight);
    let found: Vec<Seq> = candidates.take(MAX_CANDIDATES).collect();
    match found[..] {
        [] => Err(None),
        [request] => Ok(Link {
            request,
            tier: Tier::Declared,
            confidence,
            evidence,
        }),
        _ => Err(Some(Reason::SameIdTwice {
            candidates: names(&found),
        })),
    }
}
