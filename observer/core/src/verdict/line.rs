//! The judgement on a logged event.

use crate::context::line::{Encoding, LineContext, LineId, Relation, relation};
use crate::context::{Carrier, Format, TraceId};
use crate::judged::{LogVerdict, Reason};

/// What is known when a logged event is judged.
#[derive(Clone, Copy, Debug)]
pub struct LineJudgement<'a> {
    /// What the request that it was written for came in with; absent when that is not known.
    pub inbound: Option<&'a Carrier>,
    /// Traces that calls of the same request carry.
    pub own_traces: &'a [TraceId],
    /// Whether requests of this process came in with the id that the line carries.
    pub known: bool,
    /// Whether an id that no remembered request came in with is certainly unknown.
    pub ids_certain: bool,
    /// What the line carries.
    pub carries: &'a LineContext,
    /// Bytes of the line were cut.
    pub cut: bool,
    /// Why it is not known for which request it was written.
    pub reason: Option<&'a Reason>,
}

/// Judges one logged event. One whose request is known, but which can't be judged, comes with a
/// reason.
#[must_use]
pub fn judge_line(judgement: &LineJudgement<'_>) -> (LogVerdict, Option<Reason>) {
    let verdict = verdict(judgement);
    let reason = judgement
        .inbound
        .filter(|_| verdict == LogVerdict::Inconclusive)
        .map(|inbound| match inbound.contexts.is_empty() {
            _ if judgement.cut => Reason::Cut,
            true => Reason::NoInboundContext,
            false => Reason::RecordsLost,
        });
    (verdict, reason)
}

fn verdict(judgement: &LineJudgement<'_>) -> LogVerdict {
    let Some(inbound) = judgement.inbound else {
        return if judgement.reason.is_some_and(Reason::is_contradiction) {
            LogVerdict::Inconclusive
        } else if judgement.reason == Some(&Reason::NoRequest) {
            LogVerdict::Unscoped
        } else if judgement.known {
            // Several requests came in with this id; whichever it is, the line carries it.
            LogVerdict::Linked
        } else {
            LogVerdict::Inconclusive
        };
    };
    let id = &judgement.carries.id;
    match id {
        _ if judgement.cut && !matches!(id, LineId::Id { .. }) => LogVerdict::Inconclusive,
        LineId::None | LineId::Zero { .. } if inbound.contexts.is_empty() => LogVerdict::Absent,
        LineId::None if mentions(judgement.carries, inbound) => LogVerdict::Linked,
        LineId::None => LogVerdict::Missing,
        LineId::Zero { .. } => LogVerdict::Zero,
        LineId::Malformed { .. } if inbound.contexts.is_empty() => LogVerdict::Inconclusive,
        LineId::Malformed { .. } => LogVerdict::Foreign,
        LineId::Id { .. } => {
            let related = |id: &TraceId| {
                let relations = judgement.carries.ids().map(|own| relation(own, id));
                relations.min_by_key(rank).unwrap_or(Relation::Different)
            };
            let best = inbound
                .contexts
                .iter()
                .map(|c| related(&c.trace_id))
                .min_by_key(rank);
            match best {
                Some(Relation::Same | Relation::Reencoded(Encoding::Embedded)) => {
                    LogVerdict::Linked
                }
                Some(Relation::Reencoded(Encoding::Decimal64)) if is_datadog(inbound) => {
                    LogVerdict::Linked
                }
                Some(Relation::Reencoded(_)) => LogVerdict::Reencoded,
                _ if judgement.cut => LogVerdict::Inconclusive,
                _ if judgement.known => LogVerdict::Crossed,
                None if judgement
                    .own_traces
                    .iter()
                    .any(|t| related(t) != Relation::Different) =>
                {
                    LogVerdict::Linked
                }
                None => LogVerdict::Inconclusive,
                Some(Relation::Different) if judgement.ids_certain => LogVerdict::Foreign,
                Some(Relation::Different) => LogVerdict::Inconclusive,
            }
        }
    }
}

/// Whether the line holds the request's trace-id, under whatever name.
fn mentions(carries: &LineContext, inbound: &Carrier) -> bool {
    let known = |id: &u128| {
        inbound
            .contexts
            .iter()
            .any(|c| c.trace_id == TraceId::Wide(*id))
    };
    carries.bare.iter().any(known)
}

/// Whether decimal ids of 64 bits are the request's own notation.
fn is_datadog(inbound: &Carrier) -> bool {
    inbound.contexts.iter().any(|c| c.format == Format::Datadog)
}

/// Closer relations first.
fn rank(relation: &Relation) -> u8 {
    match relation {
        Relation::Same => 0,
        Relation::Reencoded(_) => 1,
        Relation::Different => 2,
    }
}
