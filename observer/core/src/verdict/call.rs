//! The judgement on a client exchange: what came in, against what went out.

use crate::context::{Carrier, Context, baggage_lost, tracestate_lost, tracestate_reordered};
use crate::judged::{Finding, Reason, Verdict};
use crate::text::Text;

/// What is known when a call is judged.
#[derive(Clone, Copy, Debug)]
pub struct CallJudgement<'a> {
    /// What the request that the call was done for came in with; absent when that is not known.
    pub inbound: Option<&'a Carrier>,
    /// What came in with the requests of this process that carry the call's trace.
    pub same_trace: &'a [&'a Carrier],
    /// What the call carries.
    pub outbound: &'a Carrier,
    /// Whether a trace-id that no remembered request came in with is certainly unknown.
    pub ids_certain: bool,
    /// Why it is not known for which request the call was done.
    pub reason: Option<&'a Reason>,
}

/// Judges one call. A call whose request is known, but which can't be judged, comes with a reason.
#[must_use]
pub fn judge_call(judgement: &CallJudgement<'_>) -> (Verdict, Vec<Finding>, Option<Reason>) {
    let outbound = judgement.outbound;
    let verdict = match judgement.inbound {
        Some(inbound) => against(inbound, judgement),
        None if judgement.reason.is_some_and(Reason::is_contradiction) => Verdict::Inconclusive,
        None if !judgement.same_trace.is_empty() => among(judgement.same_trace, outbound),
        None if judgement.reason == Some(&Reason::NoRequest) => for_nothing(outbound),
        None => Verdict::Inconclusive,
    };
    let mut findings = findings(outbound);
    if judgement.reason == Some(&Reason::TelemetryExport) {
        findings.push(Finding::TelemetryExport);
    }
    let carried = matches!(
        verdict,
        Verdict::Propagated | Verdict::Forwarded | Verdict::Translated
    );
    if let Some(inbound) = judgement.inbound.filter(|_| carried) {
        changes(inbound, outbound, &mut findings);
    }
    let unjudged = verdict == Verdict::Inconclusive && judgement.inbound.is_some();
    (verdict, findings, unjudged.then(|| doubt(judgement)))
}

/// Why a call whose request is known is not judged.
fn doubt(judgement: &CallJudgement<'_>) -> Reason {
    let outbound = judgement.outbound;
    if outbound.contexts.is_empty() && outbound.decision.is_some() {
        Reason::Withheld
    } else {
        Reason::RecordsLost
    }
}

/// The call's request is known.
fn against(inbound: &Carrier, judgement: &CallJudgement<'_>) -> Verdict {
    let outbound = judgement.outbound;
    if inbound.contexts.is_empty() {
        return without_inbound(inbound, outbound);
    }
    if outbound.contexts.is_empty() {
        return match (outbound.broken(), outbound.decision) {
            (Some(_), _) => Verdict::Mangled,
            (None, Some(_)) => Verdict::Inconclusive,
            (None, None) => Verdict::Dropped,
        };
    }
    if let Some(verdict) = same(inbound, outbound) {
        return verdict;
    }
    if !judgement.same_trace.is_empty() {
        return Verdict::Crossed;
    }
    if judgement.ids_certain {
        Verdict::Restarted
    } else {
        Verdict::Inconclusive
    }
}

/// Nothing valid came in.
fn without_inbound(inbound: &Carrier, outbound: &Carrier) -> Verdict {
    if !outbound.contexts.is_empty() {
        return Verdict::Originated;
    }
    let made_here = outbound
        .broken()
        .is_some_and(|out| !inbound.invalid.iter().any(|i| i.raw == out.raw));
    if made_here {
        Verdict::Mangled
    } else {
        Verdict::Absent
    }
}

/// The call's trace is known, but it is one of several requests that came in with it.
fn among(requests: &[&Carrier], outbound: &Carrier) -> Verdict {
    let mut verdicts = requests
        .iter()
        .filter_map(|inbound| same(inbound, outbound));
    let Some(first) = verdicts.next() else {
        return Verdict::Inconclusive;
    };
    if first == Verdict::Forwarded || verdicts.any(|v| v == Verdict::Forwarded) {
        return Verdict::Forwarded;
    }
    first
}

fn for_nothing(outbound: &Carrier) -> Verdict {
    if outbound.contexts.is_empty() {
        Verdict::Absent
    } else {
        Verdict::Originated
    }
}

/// How the inbound trace went out; nothing if it did not.
fn same(inbound: &Carrier, outbound: &Carrier) -> Option<Verdict> {
    let mut carried = outbound
        .contexts
        .iter()
        .filter(|o| inbound.contexts.iter().any(|i| same_trace(i, o)))
        .peekable();
    carried.peek()?;
    let mut verdict = Verdict::Translated;
    for out in carried {
        if let Some(came) = inbound.contexts.iter().find(|i| i.format == out.format) {
            if came.parent_id.is_some() && came.parent_id == out.parent_id {
                return Some(Verdict::Forwarded);
            }
            verdict = Verdict::Propagated;
        }
    }
    Some(verdict)
}

fn same_trace(a: &Context, b: &Context) -> bool {
    a.trace_id.same_trace(&b.trace_id)
}

/// What the outbound message shows by itself.
fn findings(outbound: &Carrier) -> Vec<Finding> {
    let mut findings: Vec<Finding> = outbound
        .invalid
        .iter()
        .map(|i| Finding::InvalidContext {
            format: i.format,
            rule: i.rule,
            raw: i.raw.clone(),
        })
        .collect();
    findings.extend(
        outbound
            .duplicates
            .iter()
            .map(|h| Finding::DuplicateHeader { header: h.clone() }),
    );
    if outbound.formats_disagree() {
        findings.push(Finding::FormatsDisagree);
    }
    findings
}

/// What changed on the way through.
fn changes(inbound: &Carrier, outbound: &Carrier, findings: &mut Vec<Finding>) {
    if let (Some(i), Some(o)) = (
        inbound.context().and_then(|c| c.sampled),
        outbound.context().and_then(|c| c.sampled),
    ) && i != o
    {
        findings.push(Finding::SampledChanged {
            inbound: i,
            outbound: o,
        });
    }
    let owned = |keys: Vec<&str>| keys.into_iter().map(Text::new).collect::<Vec<_>>();
    let keys = owned(tracestate_lost(inbound, outbound));
    if !keys.is_empty() {
        findings.push(Finding::TracestateLost { keys });
    } else if tracestate_reordered(inbound, outbound) {
        findings.push(Finding::TracestateReordered);
    }
    let keys = owned(baggage_lost(inbound, outbound));
    if !keys.is_empty() {
        findings.push(Finding::BaggageLost { keys });
    }
}
