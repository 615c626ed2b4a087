//! What each kind of evidence says about a subject that is strong enough to contradict another one.

use smallvec::SmallVec;

use super::executions::{self, Finding, Owner as Owned};
use super::process::Process;
use super::subject::{Doer, Hold, Subject, Work};
use super::trust::{
    AWAITED, Compared, DECLARED, EVENTS, EXECUTIONS, GIVEN, HANDED, MADE, PASSED, THREADS,
};
use super::workers::Conduct;
use super::{Attributor, Claim, RETENTION, Served, before};
use crate::facts::ExecutionKind;
use crate::ids::{KernelNanos, Seq, Tid};
use crate::judged::{Evidence, ExchangeId, Reason, Tier};
use crate::losses::Unseen;
use crate::record::Execution;

/// Requests that are told as candidates, at most: the latest.
pub(super) const MAX_CANDIDATES: usize = 8;

/// What one kind of evidence says.
pub(super) struct Found {
    /// Which kind, as [`trust`](super::trust) numbers them.
    pub(super) kind: usize,
    /// The request that it names; or why it names none, if it knows.
    pub(super) says: Result<Link, Option<Reason>>,
}

/// The kinds that say something, in their order: of most subjects one or two do.
pub(super) type Strong = SmallVec<[Found; 2]>;

/// A link with its evidence, before the tiers are compared.
pub(super) struct Link {
    pub(super) request: Seq,
    pub(super) tier: Tier,
    pub(super) confidence: f32,
    pub(super) evidence: Evidence,
}

impl Link {
    /// What whoever this link is of handed on, as `evidence` says: a little less certain than that link.
    pub(super) fn handed_on(self, evidence: Evidence) -> Self {
        Self {
            request: self.request,
            tier: Tier::HandOff,
            confidence: self.confidence * 0.99,
            evidence,
        }
    }
}

/// What either of two kinds of evidence says, if they do not name different requests; if neither names one, why not.
pub(super) fn either(
    one: Result<Link, Option<Reason>>,
    other: Result<Link, Option<Reason>>,
) -> Result<Link, Option<Reason>> {
    match (one, other) {
        (Ok(one), Ok(other)) if one.request != other.request => Err(Some(Reason::Conflict {
            candidates: names(&[one.request, other.request]),
        })),
        (Ok(link), _) | (Err(_), Ok(link)) => Ok(link),
        (Err(one), Err(other)) => Err(one.or(other)),
    }
}

impl Attributor {
    /// What kinds of evidence say that are strong enough to contradict another one.
    pub(super) fn strong(
        &self,
        process: &Process,
        subject: &Subject,
        owned: Option<Finding>,
        now: KernelNanos,
    ) -> Strong {
        let mut strong = Strong::new();
        let mut found = |kind, says| {
            if !matches!(says, Err(None)) {
                strong.push(Found { kind, says });
            }
        };
        found(DECLARED, declared(process, subject));
        found(EXECUTIONS, self.finer(process, subject, owned));
        found(THREADS, self.executed(process, subject));
        found(HANDED, self.handed(process, subject, now));
        found(AWAITED, self.awaited(process, subject));
        found(GIVEN, self.given(process, subject, now));
        found(MADE, self.made(process, subject, now));
        found(EVENTS, self.relayed(process, subject));
        found(PASSED, self.handed_over(process, subject, now));
        strong
    }

    /// Evidence of executions finer than threads, or why there is none.
    fn finer(
        &self,
        process: &Process,
        subject: &Subject,
        owned: Option<Finding>,
    ) -> Result<Link, Option<Reason>> {
        let (doer, owned) = subject.doer.zip(owned).ok_or(None)?;
        self.executing(process, subject, &doer, owned)
    }

    /// The request of an execution of which `owned` was found.
    pub(super) fn executing(
        &self,
        process: &Process,
        subject: &Subject,
        doer: &Doer,
        owned: Finding,
    ) -> Result<Link, Option<Reason>> {
        let Execution { kind, id, .. } = doer.execution;
        let (request, confidence, evidence, wait) = match owned.owner {
            Owned::Answered(_) | Owned::Begun { .. } if !owned.settled => {
                return Err(Some(Reason::StillOpen));
            }
            Owned::Answered(request) => {
                if kind == ExecutionKind::NodeAsync && Self::outlives(process, subject, request) {
                    return Err(Some(Reason::OutlivedRequest));
                }
                let evidence = Evidence::AnsweringExecution { kind, id };
                (request, 0.999, evidence, 0)
            }
            Owned::Begun { .. } if matches!(subject.work, Work::Call(_)) && !doer.calls() => {
                return Err(None);
            }
            Owned::Begun { request, by } => {
                let evidence = Evidence::BegunExecution { kind, id, by };
                (request, 0.99, evidence, executions::OUTLIVES)
            }
            Owned::Shared => return Err(Some(Reason::SharedExecution)),
            Owned::Outlived => return Err(Some(Reason::OutlivedRequest)),
            Owned::Unwatched => return Err(Some(Reason::NotWatched)),
            Owned::Unknown => return Err(None),
        };
        self.check(process, subject, request, wait)?;
        Ok(Link {
            request,
            tier: Tier::Execution,
            confidence,
            evidence,
        })
    }

    /// Whether the response to a call came only after the answer to a request. A turn of that request may have opened the connection
    /// for another one that waited, of which no id tells.
    fn outlives(process: &Process, subject: &Subject, request: Seq) -> bool {
        let answered = process.served(request).and_then(|served| served.until);
        answered.is_some_and(|answered| subject.lasted_beyond(answered))
    }

    /// What no evidence of execution gets over: a write of several events, a ring through which anybody may have
    /// read another request meanwhile, and records that were lost between the beginning of the request and the last thing that the evidence rests on, `wait`
    /// nanoseconds after it.
    pub(super) fn check(
        &self,
        process: &Process,
        subject: &Subject,
        request: Seq,
        wait: u64,
    ) -> Result<(), Option<Reason>> {
        if let Work::Line(line) = &subject.work
            && line.line.batched
        {
            return Err(Some(Reason::Batched));
        }
        if process.ring {
            return Err(Some(Reason::ServesUnseen));
        }
        let served = process.served(request).ok_or(None)?;
        let until = served.until.map_or(subject.time, |u| u.max(subject.time));
        let until = KernelNanos(until.0.saturating_add(wait));
        match self.losses.overlap(served.since, until) {
            Some(unseen) => Err(Some(unseen.into())),
            None => Ok(()),
        }
    }

    /// Evidence of threads and hand-off, or why there is none.
    fn executed(&self, process: &Process, subject: &Subject) -> Result<Link, Option<Reason>> {
        let link = self.held(process, &subject.hold)?;
        self.check(process, subject, link.request, 0)?;
        Ok(link)
    }

    /// The request of a thread that does what `hold` says.
    pub(super) fn held(&self, process: &Process, hold: &Hold) -> Result<Link, Option<Reason>> {
        let link = match hold {
            Hold::Serving(request) => Link {
                request: *request,
                tier: Tier::Execution,
                confidence: 0.999,
                evidence: Evidence::ServingThread(self.confirmed(process, *request)?),
            },
            Hold::Stayed(request) => Link {
                request: *request,
                tier: Tier::Execution,
                confidence: 0.99,
                evidence: Evidence::AfterResponse(self.confirmed(process, *request)?),
            },
            Hold::After(_) => return Err(None),
            Hold::Messages(messages) => {
                let (request, writer) = self.pipes.owner(messages).ok_or(None)?;
                Link {
                    request,
                    tier: Tier::HandOff,
                    confidence: 0.99,
                    evidence: Evidence::PipeMessage { writer },
                }
            }
            // Of its own it says nothing: what it was started for does.
            Hold::Born(_) | Hold::Item(_) | Hold::Record(_) | Hold::Running(_) => {
                return Err(None);
            }
            Hold::Nothing(reason) => return Err(reason.clone()),
        };
        Ok(link)
    }

    /// The thread that did all of a request's work, or why there is none.
    fn confirmed(&self, process: &Process, request: Seq) -> Result<Tid, Option<Reason>> {
        let served = process.served(request).ok_or(None)?;
        match served.claim {
            Claim::Confirmed(tid) => match process.conduct(served) {
                // What was lost might have shown that its process does not always do so.
                Conduct::Good => match self.lost_lately(served).filter(|_| served.tentative) {
                    Some(unseen) => Err(Some(unseen.into())),
                    None => Ok(tid),
                },
                Conduct::Unknown => Err(Some(Reason::UnprovenWorker)),
                Conduct::HandsOver => Err(Some(Reason::HandedOver)),
            },
            Claim::Broken(why) => Err(Some(why.reason())),
            Claim::Held(_) => Err(Some(Reason::StillOpen)),
        }
    }

    fn lost_lately(&self, served: &Served) -> Option<Unseen> {
        let until = served.until.unwrap_or(served.since);
        self.losses.overlap(before(served.since, RETENTION), until)
    }
}

/// Compares evidence with what the trace-id says, where both name requests that were in flight.
pub(super) fn compared(
    process: &Process,
    subject: &Subject,
    strong: &[Found],
    same_trace: &[Seq],
) -> Compared {
    let in_flight = |request: &Seq| {
        process.served(*request).is_some_and(|s| {
            s.since <= subject.time && s.until.is_none_or(|until| until >= subject.time)
        })
    };
    let mut compared = Compared::default();
    if let [named] = same_trace
        && in_flight(named)
    {
        for Found { kind, says } in strong {
            if let Ok(link) = says
                && in_flight(&link.request)
            {
                compared[*kind] = Some(link.request == *named);
            }
        }
    }
    compared
}

pub(super) fn names(requests: &[Seq]) -> Vec<ExchangeId> {
    requests.iter().map(|r| ExchangeId(*r)).collect()
}

fn declared(process: &Process, subject: &Subject) -> Result<Link, Option<Reason>> {
    let Work::Call(call) = &subject.work else {
        return super::published::declared(process, subject);
    };
    let Some((header, requests)) = process.correlations.named_by(&call.begun.head.carrier) else {
        return super::published::declared(process, subject);
    };
    let mut latest = requests.latest_first();
    match (latest.next(), latest.next()) {
        (Some(request), None) => Ok(Link {
            request,
            tier: Tier::Declared,
            confidence: 0.995,
            evidence: Evidence::SameCorrelationId {
                header: header.into(),
            },
        }),
        (None, _) => Err(None),
        _ => {
            let latest: Vec<Seq> = requests.latest_first().take(MAX_CANDIDATES).collect();
            Err(Some(Reason::SameIdTwice {
                candidates: names(&latest),
            }))
        }
    }
}
