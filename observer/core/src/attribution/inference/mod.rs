//! Tier 7, inference: the likeliest request of work that no evidence links to one, by its timing and by what is
//! usually done for such requests. It is told beside the abstention and decides nothing: no verdict, count, span or
//! parent rests on it. It is off unless asked for.
//!
//! Work must lie within the request. Among the requests in flight, the likeliest is that of whose kind such work is
//! most to be expected at its age (`templates`), as of superposed point processes. That is close to what WAP5 (delays)
//! and TraceWeaver (call templates, nesting) do; unlike them, it is believed only where it can be checked: each guess is made when the
//! work begins, *before* its request can be known and without use of what is certain about other work in flight, and
//! where evidence then names the request, the guess is scored (`scores`), kind by kind. The confidence is the lower end of the
//! interval of that score. Where nothing is certain, there is no score, and nothing is inferred.

mod scores;
mod silence;
mod templates;

use std::num::NonZeroUsize;

use lru::LruCache;
use scores::{Proof, Scores, Sort};
pub(super) use silence::Silence;
use smallvec::SmallVec;
use templates::{MAX_KINDS, Templates};

use super::process::Process;
use super::subject::{Subject, Work};
use super::{Decision, PATIENCE, before};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::judged::{ExchangeId, Inferred, Reason, Tier};
use crate::losses::Losses;

/// Processes that are learned about, at most.
const MAX_PROCESSES: usize = 256;

/// Requests in flight that are told apart, at most.
const MAX_CANDIDATES: usize = 32;

/// Requests of which is known what they probably had done, at most.
const MAX_OPEN: usize = 1_024;

/// How likely a request must be, beside all others in flight and any other cause.
const MIN_SHARE: f64 = 0.9;

/// What is known of all processes.
#[derive(Debug)]
pub(super) struct Inference(LruCache<Tgid, Habits>);

/// What is known of one process.
#[derive(Debug)]
struct Habits {
    templates: Templates,
    scores: Scores,
    /// What was probably done for requests in flight, by kind, as the guesses have it.
    done: LruCache<Seq, SmallVec<[(u64, f64); 4]>>,
}

/// The likeliest request of some work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guess {
    pub(super) request: Seq,
    share: f64,
    candidates: usize,
    /// How likely each one is, where that is to be told.
    pub(super) shares: Vec<(Seq, f64)>,
}

/// Work as it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    pub(super) tgid: Tgid,
    pub(super) kind: u64,
    pub(super) time: KernelNanos,
    /// Whether it is to be told how likely each request is.
    pub(super) tell: bool,
}

impl Inference {
    pub(super) fn new() -> Self {
        const PROCESSES: NonZeroUsize = NonZeroUsize::new(MAX_PROCESSES).expect("not zero");
        Self(LruCache::sparse(PROCESSES))
    }

    /// A process ended, or another one has its number.
    pub(super) fn forget(&mut self, tgid: Tgid) {
        self.0.pop(&tgid);
    }

    /// The likeliest request of work that begins.
    pub(super) fn guess(&mut self, process: &Process, act: Act) -> Result<Box<Guess>, Silence> {
        let habits = self.0.get_mut(&act.tgid).ok_or(Silence::Unknown)?;
        if process.ended_since(act.time) {
            return Err(Silence::Late);
        }
        let mut shares: SmallVec<[(Seq, f64); MAX_CANDIDATES]> = SmallVec::new();
        let mut anyhow = 0.0_f64;
        for served in process.open().filter(|s| s.since < act.time) {
            if shares.len() == MAX_CANDIDATES {
                return Err(Silence::TooMany);
            }
            if !habits.templates.knows(served.route) {
                return Err(Silence::Unknown);
            }
            let age = act.time.since(served.since);
            let done = habits.done_for(served.seq, act.kind);
            let now = habits
                .templates
                .intensity(served.route, act.kind, age, done);
            shares.push((served.seq, now.expected + now.anyhow));
            anyhow = anyhow.max(now.anyhow);
        }
        let total: f64 = shares.iter().map(|(_, share)| share).sum::<f64>() + anyhow;
        if total <= 0.0 {
            return Err(if shares.is_empty() {
                Silence::NoRequest
            } else {
                Silence::Undecided
            });
        }
        for (request, share) in &mut shares {
            *share /= total;
            habits.note_done(*request, act.kind, *share);
        }
        let best = shares.iter().copied().reduce(likelier);
        let (request, share) = best.ok_or(Silence::NoRequest)?;
        Ok(Box::new(Guess {
            request,
            share,
            candidates: shares.len(),
            shares: if act.tell {
                shares.to_vec()
            } else {
                Vec::new()
            },
        }))
    }

    /// Learns from a decision, or infers what it leaves open.
    pub(super) fn decided(
        &mut self,
        process: &Process,
        subject: &Subject,
        decision: &Decision,
        losses: &Losses,
        now: KernelNanos,
    ) -> Result<Inferred, Silence> {
        let kind = subject.template.ok_or(Silence::Excluded)?;
        let since = before(subject.time, PATIENCE);
        if losses.overlap(since, now).is_some() {
            return Err(Silence::Lost);
        }
        if let Some(owner) = decision.owner {
            let habits = self.0.get_or_insert_mut(subject.tgid, Habits::new);
            habits.learn(process, subject, kind, owner.request);
            // That it is the only request in flight would only confirm itself.
            if owner.tier != Tier::Exclusive
                && let Ok((guess, sort)) = claim(process, subject, kind)
            {
                habits.scores.check(sort, guess.request == owner.request);
            }
            return Err(Silence::Certain);
        }
        let open = decision.attribution.reason.as_ref().is_some_and(is_open);
        // An execution that is told apart and linked to no request is none that serves; those that could be checked were.
        if !open || subject.doer.is_some() || !decision.same_trace.is_empty() {
            return Err(Silence::Excluded);
        }
        if process.asked_unseen().is_some() || process.ring {
            return Err(Silence::Unseen);
        }
        if process.exclusive.is_background(kind) {
            return Err(Silence::Background);
        }
        let (guess, sort) = claim(process, subject, kind)?;
        let habits = self.0.peek(&subject.tgid).ok_or(Silence::Unknown)?;
        let Proof { confidence, score } = habits.scores.proof(sort).map_err(Silence::Unproven)?;
        Ok(Inferred {
            request: ExchangeId(guess.request),
            #[expect(clippy::cast_possible_truncation, reason = "a share below one")]
            confidence: confidence as f32,
            candidates: guess.candidates,
            right: score.right,
            checked: score.trials,
        })
    }
}

impl Habits {
    fn new() -> Self {
        const OPEN: NonZeroUsize = NonZeroUsize::new(MAX_OPEN).expect("not zero");
        Self {
            templates: Templates::new(),
            scores: Scores::new(),
            done: LruCache::sparse(OPEN),
        }
    }

    /// How often such work was probably done for a request.
    fn done_for(&self, request: Seq, kind: u64) -> f64 {
        let done = self.done.peek(&request).into_iter().flatten();
        done.filter(|(of, _)| *of == kind)
            .map(|(_, times)| times)
            .sum()
    }

    fn note_done(&mut self, request: Seq, kind: u64, share: f64) {
        let done = self.done.get_or_insert_mut(request, SmallVec::new);
        if let Some((_, times)) = done.iter_mut().find(|(of, _)| *of == kind) {
            *times += share;
        } else if done.len() < MAX_KINDS {
            done.push((kind, share));
        }
    }

    /// Learns from work that lies within its request.
    fn learn(&mut self, process: &Process, subject: &Subject, kind: u64, request: Seq) {
        if let Some(served) = process.served(request)
            && served.since < subject.time
            && served.until.is_none_or(|until| until > subject.time)
        {
            let age = subject.time.since(served.since);
            self.templates.learn(request, served.route, kind, age);
        }
    }
}

/// The guess about some work, if it is one that would be told.
fn claim<'a>(
    process: &Process,
    subject: &'a Subject,
    kind: u64,
) -> Result<(&'a Guess, Sort), Silence> {
    let guess = subject.guess.as_ref().ok_or(Silence::Unknown)?;
    let guess = guess.as_ref().map_err(|why| *why)?;
    if guess.share < MIN_SHARE {
        return Err(Silence::Undecided);
    }
    let over = match &subject.work {
        Work::Call(call) => call.ended.ok_or(Silence::Outside)?.time,
        Work::Line(_) | Work::Message(_) => subject.time,
    };
    let within = |until: Option<KernelNanos>| until.is_none_or(|until| until > over);
    match process.served(guess.request) {
        Some(served) if within(served.until) => {}
        _ => return Err(Silence::Outside),
    }
    let sole = guess.candidates == 1;
    let apart = subject.doer.is_some();
    Ok((guess, Sort { kind, sole, apart }))
}

/// Of two requests the likelier, of equals the earlier.
fn likelier(one: (Seq, f64), other: (Seq, f64)) -> (Seq, f64) {
    if other.1 > one.1 { other } else { one }
}

/// Whether a reason leaves open that the work was done for any of the requests in flight, and the score says something about
/// it: what the threads of a pool do comes later in a request than what looks like it and can be checked, of the thread that serves.
fn is_open(reason: &Reason) -> bool {
    match reason {
        Reason::ManyInFlight { .. }
        | Reason::OneInFlightUnproven
        | Reason::SharedThread
        | Reason::AnsweredElsewhere
        | Reason::Interleaved
        | Reason::Unanswered
        | Reason::StillOpen
        | Reason::ExecutionsUnavailable { .. }
        | Reason::SharedExecution
        | Reason::UnknownMessage
        | Reason::NotWatched => true,
        Reason::NoRequest
        | Reason::BegunAmid
        | Reason::JustAttached
        | Reason::UnprovenWakes
        | Reason::UnprovenWorker
        | Reason::HandedOver
        | Reason::OutlivedRequest
        | Reason::AfterAnswer
        | Reason::SameIdTwice { .. }
        | Reason::Conflict { .. }
        | Reason::Distrusted { .. }
        | Reason::IdsDistrusted { .. }
        | Reason::IdsParted { .. }
        | Reason::ServesUnseen
        | Reason::RecordsLost
        | Reason::Paused
        | Reason::Batched
        | Reason::Cut
        | Reason::NoInboundContext
        | Reason::Withheld
        | Reason::TelemetryExport => false,
    }
}
