//! Weighs the evidence for a subject: higher tiers win, and where two kinds of evidence name
//! different requests nothing is concluded.

use smallvec::SmallVec;

use super::evidence::{Found, Link, Strong, compared, names};
use super::executions::Owner as Owned;
use super::named::{SameTrace, by_trace, same_trace};
use super::process::Process;
use super::subject::{Hold, Subject, Work};
use super::trust::{AWAITED, Compared, EVENTS, GIVEN, MADE, PASSED};
use super::{Attributor, PATIENCE, RETENTION, before};
use crate::ids::{KernelNanos, Seq};
use crate::judged::{Attribution, Evidence, Inferred, Reason, Tier};

/// What was decided about a subject.
#[derive(Debug)]
pub struct Decision {
    /// The request that it belongs to.
    pub owner: Option<Owner>,
    /// Requests of this process that came in with the trace-id that it carries.
    pub same_trace: SameTrace,
    /// Whether an id that no remembered request came in with is certainly unknown: nothing was
    /// lost lately.
    pub ids_certain: bool,
    /// Why it is not certain, where that is not said otherwise.
    pub ids_doubt: Option<Reason>,
    /// What each strong kind of evidence said, beside what the trace-id said.
    pub(super) compared: Compared,
    /// Whether the trace-id and evidence that needs no id named the same request.
    pub(super) ids_agree: Option<bool>,
    /// The decision in the output's words.
    pub attribution: Attribution,
    /// The likeliest request, where no evidence names one and it is asked for. Nothing is decided by it.
    pub inferred: Option<Inferred>,
}

/// What names a request, in the order of the kinds: mostly one, seldom two.
type Links = SmallVec<[Link; 2]>;

/// A request that something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The request.
    pub request: Seq,
    /// What decided.
    pub tier: Tier,
    /// Whether the execution that served the request did this itself.
    pub same_execution: bool,
}

impl Decision {
    /// The request for which a message was written, if that is known from execution evidence.
    pub(super) fn message_owner(&self) -> Option<Seq> {
        self.owner
            .filter(|o| matches!(o.tier, Tier::Execution | Tier::HandOff))
            .map(|o| o.request)
    }

    /// Whether no request was in flight.
    #[must_use]
    pub fn for_nothing(&self) -> bool {
        self.attribution.reason == Some(Reason::NoRequest)
    }
}

impl Attributor {
    pub(super) fn decision(&self, subject: &Subject, now: KernelNanos) -> Decision {
        let Some(process) = self.processes.get(&subject.tgid) else {
            return undecided(Reason::StillOpen);
        };
        let same_trace = same_trace(process, subject);
        // What is asked on connections that are not observed brings ids as well.
        let since = before(subject.time, RETENTION);
        let unseen = self.losses.overlap(since, subject.time);
        let ids_doubt = match unseen {
            Some(unseen) => Some(unseen.into()),
            None => process.asked_unseen(),
        };
        let ids_certain = ids_doubt.is_none();
        if let Work::Call(call) = &subject.work
            && call.begun.head.telemetry
        {
            return Decision {
                same_trace,
                ids_certain,
                ids_doubt,
                ..undecided(Reason::TelemetryExport)
            };
        }
        let owned = self.owned(subject, now);
        let strong = self.strong(process, subject, owned, now);
        let compared = compared(process, subject, &strong, &same_trace);
        let ids_agree = self.ids_agree(process, subject, &strong, &same_trace);
        let (attribution, request) = match self.weigh(process, subject, strong, &same_trace) {
            (attribution, Some(_))
                if let Some(unseen) = &ids_doubt
                    && rests_on_ids(&attribution)
                    && !process.siblings.are_rare() =>
            {
                (Attribution::none(unseen.clone()), None)
            }
            known => known,
        };
        let owner = request.zip(attribution.tier).map(|(request, tier)| Owner {
            request,
            tier,
            same_execution: match owned.map(|found| found.owner) {
                Some(Owned::Answered(answered)) => answered == request,
                Some(Owned::Begun { .. }) => false,
                _ if subject.is_handed() => false,
                _ => process
                    .served(request)
                    .is_some_and(|s| s.tid == subject.tid),
            },
        });
        Decision {
            owner,
            same_trace,
            ids_certain,
            ids_doubt,
            compared,
            ids_agree,
            attribution,
            inferred: None,
        }
    }

    fn weigh(
        &self,
        process: &Process,
        subject: &Subject,
        found: Strong,
        same_trace: &[Seq],
    ) -> (Attribution, Option<Seq>) {
        let mut strong = Links::new();
        let mut reason = None;
        // What contradicts the ids outweighs what merely says nothing.
        let mut doubted: Option<(Seq, Reason)> = None;
        for Found { kind, says } in found {
            let wakes = match kind {
                AWAITED => Some(self.believes_wakes(process, subject)),
                GIVEN => Some(self.believes_given(process, subject.tgid)),
                MADE | PASSED => Some(process.trust.proven(kind) != Some(false)),
                EVENTS => Some(true),
                _ => None,
            };
            if let Ok(link) = &says
                && let Some(believed) = wakes
                && (believed || process.trust.lost(kind).is_none())
            {
                let contradicts = !same_trace.is_empty() && !same_trace.contains(&link.request);
                // Alone it does not outweigh an id, nor the id it.
                if contradicts && (believed || self.needs_no_ids(process, subject, kind)) {
                    let candidates = names(&[same_trace[0], link.request]);
                    let why = Reason::Conflict { candidates };
                    doubted = doubted.or(Some((link.request, why)));
                    continue;
                }
                if !believed {
                    reason = reason.or(Some(Reason::UnprovenWakes));
                    continue;
                }
            }
            match (says, process.trust.lost(kind)) {
                (Ok(link), Some((disagreed, compared)))
                    if !link.evidence.is_the_request_itself() =>
                {
                    let why = Reason::Distrusted {
                        disagreed,
                        compared,
                    };
                    doubted = doubted.or(Some((link.request, why)));
                }
                (Ok(link), _) => strong.push(link),
                // Where they say something at all, they know better than threads, which tell nothing of executions that
                // work is handed to, nor of a process that serves all requests on one.
                (Err(why), _) if matches!(kind, EVENTS | PASSED) => reason = why.or(reason),
                (Err(why), _) => reason = reason.or(why),
            }
        }
        let mut requests = strong.iter().map(|link| link.request);
        let request = requests.next();
        if let Some(first) = request
            && let Some(other) = requests.find(|other| *other != first)
        {
            return (conflict([first, other]), None);
        }
        let named = by_trace(process, subject, same_trace, request);
        let by_ids = strong.iter().all(|link| link.evidence.is_an_id());
        match (named, request) {
            // Which of both is wrong, the rule or the id that leaked, is not known.
            (Some(named), None)
                if let Some((_, why)) = doubted.take_if(|(other, _)| *other != named.request) =>
            {
                (Attribution::none(why), None)
            }
            (Some(_), _) | (_, Some(_)) if by_ids && let Some(why) = process.ids.doubt(subject) => {
                (Attribution::none(why), None)
            }
            (None, None) if same_trace.is_empty() => {
                self.alone(process, subject, doubted.map(|(_, why)| why).or(reason))
            }
            (None, None) => (
                Attribution::none(Reason::SameIdTwice {
                    candidates: names(same_trace),
                }),
                None,
            ),
            (named, _) => linked(named, strong),
        }
    }

    /// What is left when no evidence names a request.
    fn alone(
        &self,
        process: &Process,
        subject: &Subject,
        reason: Option<Reason>,
    ) -> (Attribution, Option<Seq>) {
        let since = before(subject.time, PATIENCE);
        if let Some(unseen) = self.losses.overlap(since, subject.time) {
            return (Attribution::none(unseen.into()), None);
        }
        if let Work::Line(line) = &subject.work {
            if line.line.cut {
                return (Attribution::none(Reason::Cut), None);
            }
            if line.line.batched {
                return (Attribution::none(Reason::Batched), None);
            }
        }
        if let Some(link) = only_request(process, subject) {
            return linked(Some(link), Links::new());
        }
        let reason = match (&subject.hold, reason) {
            (Hold::Serving(_), Some(reason)) => reason,
            (_, Some(reason)) if tells_more(&reason) => reason,
            (Hold::After(_), _) => Reason::AfterAnswer,
            (Hold::Messages(messages), _) if !self.pipes.for_nothing(messages) => {
                Reason::UnknownMessage
            }
            _ if subject.in_flight > 1 => match self.executions.why_unavailable(subject.tgid) {
                Some(why) => Reason::ExecutionsUnavailable { why },
                None if subject.doer.is_none() && self.turns.is_sampled(subject.tgid) => {
                    Reason::NotWatched
                }
                None => Reason::ManyInFlight {
                    requests: subject.in_flight,
                },
            },
            _ if subject.in_flight == 1 => Reason::OneInFlightUnproven,
            _ if subject.afterwork => Reason::AfterAnswer,
            _ if process.serves_unseen => Reason::ServesUnseen,
            _ if process.paused => Reason::Paused,
            _ if !process.has_served() && self.offspring.is_begun_amid(subject.tgid) => {
                Reason::BegunAmid
            }
            _ if self.offspring.may_serve_earlier(subject.tgid, subject.time) => {
                Reason::JustAttached
            }
            _ => Reason::NoRequest,
        };
        (Attribution::none(reason), None)
    }
}

/// Whether a reason tells more than how many requests were in flight.
fn tells_more(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::SharedExecution
            | Reason::OutlivedRequest
            | Reason::NotWatched
            | Reason::StillOpen
            | Reason::UnprovenWorker
            | Reason::HandedOver
            | Reason::UnprovenWakes
            | Reason::Conflict { .. }
            | Reason::Batched
            | Reason::Distrusted { .. }
    )
}

/// Whether ids that came in are all that names the request.
pub(super) fn rests_on_ids(attribution: &Attribution) -> bool {
    attribution.evidence.iter().all(Evidence::is_an_id)
}

fn undecided(reason: Reason) -> Decision {
    Decision {
        owner: None,
        same_trace: SameTrace::new(),
        ids_certain: false,
        ids_doubt: None,
        compared: Compared::default(),
        ids_agree: None,
        attribution: Attribution::none(reason),
        inferred: None,
    }
}

fn conflict(requests: [Seq; 2]) -> Attribution {
    Attribution::none(Reason::Conflict {
        candidates: names(&requests),
    })
}

/// Agreeing links, the one that decides first.
fn linked(named: Option<Link>, strong: Links) -> (Attribution, Option<Seq>) {
    let mut links = named.into_iter().chain(strong);
    let Some(first) = links.next() else {
        return (Attribution::none(Reason::NoRequest), None);
    };
    let (request, tier) = (first.request, first.tier);
    let mut doubt = 1.0 - first.confidence;
    let mut evidence = Vec::with_capacity(2);
    evidence.push(first.evidence);
    for link in links {
        doubt *= 1.0 - link.confidence;
        evidence.push(link.evidence);
    }
    let attribution = Attribution {
        tier: Some(tier),
        confidence: 1.0 - doubt,
        reason: None,
        evidence,
    };
    (attribution, Some(request))
}

fn only_request(process: &Process, subject: &Subject) -> Option<Link> {
    // What was logged before says nothing about what is in flight now.
    let earlier = matches!(subject.hold, Hold::Record(_));
    if process.blind || subject.afterwork || earlier {
        return None;
    }
    let seen = process.exclusive.proof(subject.template?)?;
    Some(Link {
        request: subject.sole?,
        tier: Tier::Exclusive,
        confidence: 0.95,
        evidence: Evidence::OnlyRequest { seen },
    })
}
