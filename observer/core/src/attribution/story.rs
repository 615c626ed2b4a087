//! How a decision came about, for whoever asks.

use std::fmt::Write as _;

use super::evidence::Link;
use super::inference::Silence;
use super::subject::Subject;
use super::trust::KINDS;
use super::{Attributor, Claim, Decision};
use crate::ids::{KernelNanos, Seq, Tid};
use crate::judged::{Attribution, ExchangeId, Inferred, Reason, Weighed};

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
    /// The whole story of a decision, with what was inferred.
    pub(super) fn story(
        &self,
        subject: &Subject,
        now: KernelNanos,
        decision: &Decision,
        inferred: Option<&Result<Inferred, Silence>>,
    ) -> Story {
        let process = self.processes.get(&subject.tgid);
        let owned = self.owned(subject, now);
        let mut evidence = process.map_or_else(Vec::new, |process| {
            let mut strong = self
                .strong(process, subject, owned, now)
                .into_iter()
                .peekable();
            let kinds = NAMES.iter().enumerate();
            let says = kinds.map(|(kind, of)| {
                let found = strong.next_if(|found| found.kind == kind);
                weighed(of, found.map_or(Err(None), |found| found.says))
            });
            says.collect()
        });
        evidence.extend(inferred.map(|inferred| guessed(subject, inferred)));
        Story {
            candidates: process.map_or_else(Vec::new, |p| p.serving_at(subject.time)),
            evidence,
            request: decision.owner.map(|o| o.request),
            same_trace: decision.same_trace.to_vec(),
            attribution: decision.attribution.clone(),
        }
    }
}

/// What timing and templates say, with how likely each request in flight is by them.
fn guessed(subject: &Subject, inferred: &Result<Inferred, Silence>) -> Weighed {
    let mut says = match inferred {
        Ok(inferred) => inferred.to_string(),
        Err(silence) => silence.to_string(),
    };
    let guess = subject.guess.as_ref().and_then(|guess| guess.as_ref().ok());
    for (n, (request, share)) in guess.iter().flat_map(|guess| &guess.shares).enumerate() {
        let before = if n == 0 { "; likely: " } else { ", " };
        let percent = (100.0 * share).floor();
        // A `String` takes everything.
        let _ = write!(says, "{before}{} {percent} %", ExchangeId(*request));
    }
    let inferred = inferred.as_ref().ok();
    Weighed {
        of: "inference (decides nothing)",
        request: inferred.map(|inferred| inferred.request),
        confidence: inferred.map(|inferred| inferred.confidence),
        says: says.into(),
    }
}

/// The kinds of evidence that can contradict each other, in their order.
const NAMES: [&str; KINDS] = [
    "what is declared",
    "executions",
    "threads and messages",
    "threads that worked for each other",
    "threads that were waited for",
    "threads that woke workers",
    "threads that made tasks",
    "events",
    "executions that handed work to others",
];

fn weighed(of: &'static str, says: Result<Link, Option<Reason>>) -> Weighed {
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
