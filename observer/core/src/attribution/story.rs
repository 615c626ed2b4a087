//! How a decision came about, for whoever asks.

use super::evidence::Found;
use super::subject::Subject;
use super::{Attributor, Claim, Decision};
use crate::ids::{KernelNanos, Seq, Tid};
use crate::judged::{Attribution, ExchangeId, Weighed};

/// How a decision came about.
#[derive(Debug)]
pub struct Story {
    /// Requests that were in flight: which, read by which thread, since when, until when, and what
    /// the thread proves.
    pub candidates: Vec<(Seq, Tid, KernelNanos, Option<KernelNanos>, Claim)>,
    /// What each kind of evidence says.
    pub evidence: Vec<Weighed>,
    /// Requests that came in with the trace-id that the subject carries.
    pub same_trace: Vec<Seq>,
    /// The request that was chosen.
    pub request: Option<Seq>,
    /// The decision in the output's words.
    pub attribution: Attribution,
}

impl Attributor {
    /// The whole story of a decision.
    pub(super) fn story(&self, subject: &Subject, now: KernelNanos, decision: &Decision) -> Story {
        let process = self.processes.get(&subject.tgid);
        let owned = self.owned(subject, now);
        let evidence = process.map_or_else(Vec::new, |process| {
            let found = self.strong(process, subject, owned);
            found.into_iter().map(weighed).collect()
        });
        Story {
            candidates: process.map_or_else(Vec::new, |p| p.serving_at(subject.time)),
            evidence,
            request: decision.owner.map(|o| o.request),
            same_trace: decision.same_trace.to_vec(),
            attribution: decision.attribution.clone(),
        }
    }
}

fn weighed(Found { of, says }: Found) -> Weighed {
    match says {
        Ok(link) => Weighed {
            of,
            request: Some(ExchangeId(link.request)),
            confidence: Some(link.confidence),
            says: link.evidence.to_string().into(),
        },
        Err(why) => Weighed {
            of,
            request: None,
            confidence: None,
            says: why.map_or_else(|| "nothing".into(), |why| why.to_string().into()),
        },
    }
}
