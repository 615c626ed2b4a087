//! Weighs the evidence for a subject: higher tiers win, and where two kinds of evidence name
//! different requests nothing is concluded.

use super::executions::Finding;
use super::process::Process;
use super::subject::{Hold, Subject, Work};
use super::traces::share_trace;
use super::trust::{Compared, KINDS};
use super::workers::Conduct;
use super::{Attributor, Claim, Owned, PATIENCE, RETENTION, Served, executions};
use crate::context::TraceId;
use crate::context::line::{LineTraceId, Relation, relation};
use crate::ids::{KernelNanos, Seq, Tid};
use crate::judged::{Attribution, Evidence, ExchangeId, Reason, Tier, Weighed};
use crate::record::Execution;

/// Requests that are told as candidates, at most: the latest.
const MAX_CANDIDATES: usize = 8;

/// What was decided about a subject.
#[derive(Debug)]
pub struct Decision {
    /// The request that it belongs to.
    pub owner: Option<Owner>,
    /// Requests of this process that came in with the trace-id that it carries.
    pub same_trace: Vec<Seq>,
    /// Whether an id that no remembered request came in with is certainly unknown: nothing was
    /// lost lately.
    pub ids_certain: bool,
    /// What each strong kind of evidence said, beside what the trace-id said.
    pub(super) compared: Compared,
    /// The decision in the output's words.
    pub attribution: Attribution,
}

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

/// What one kind of evidence says.
struct Found {
    of: &'static str,
    /// The request that it names; or why it names none, if it knows.
    says: Result<Link, Option<Reason>>,
}

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

/// A link with its evidence, before the tiers are compared.
pub(super) struct Link {
    pub(super) request: Seq,
    pub(super) tier: Tier,
    pub(super) confidence: f32,
    pub(super) evidence: Evidence,
}

impl Attributor {
    pub(super) fn decision(&self, subject: &Subject, now: KernelNanos) -> Decision {
        let Some(process) = self.processes.get(&subject.tgid) else {
            return undecided(Reason::StillOpen);
        };
        let same_trace = same_trace(process, subject);
        let ids_certain = !self
            .losses
            .overlap(before(subject.time, RETENTION), subject.time);
        if let Work::Call(call) = &subject.work
            && call.begun.head.telemetry
        {
            return Decision {
                same_trace,
                ids_certain,
                ..undecided(Reason::TelemetryExport)
            };
        }
        let owned = subject.doer.map(|doer| self.owned(subject.tgid, doer, now));
        let strong = self.strong(process, subject, owned);
        let compared = compared(process, subject, &strong, &same_trace);
        let (attribution, request) = self.weigh(process, subject, strong, &same_trace);
        let owner = request.zip(attribution.tier).map(|(request, tier)| Owner {
            request,
            tier,
            same_execution: match owned.map(|found| found.owner) {
                Some(Owned::Answered(answered)) => answered == request,
                Some(Owned::Begun { .. }) => false,
                _ => process
                    .served(request)
                    .is_some_and(|s| s.tid == subject.tid),
            },
        });
        Decision {
            owner,
            same_trace,
            ids_certain,
            compared,
            attribution,
        }
    }

    fn weigh(
        &self,
        process: &Process,
        subject: &Subject,
        found: [Found; KINDS],
        same_trace: &[Seq],
    ) -> (Attribution, Option<Seq>) {
        let mut strong = [const { None }; KINDS];
        let mut reason = None;
        let mut doubted = None;
        for (kind, Found { says, .. }) in found.into_iter().enumerate() {
            match (says, process.trust.lost(kind)) {
                (Ok(link), Some((disagreed, compared)))
                    if !link.evidence.is_the_request_itself() =>
                {
                    doubted = doubted.or(Some(link.request));
                    reason = reason.or(Some(Reason::Distrusted {
                        disagreed,
                        compared,
                    }));
                }
                (Ok(link), _) => strong[kind] = Some(link),
                (Err(why), _) => reason = reason.or(why),
            }
        }
        let mut requests = strong.iter().flatten().map(|link: &Link| link.request);
        let request = requests.next();
        if let Some(first) = request
            && let Some(other) = requests.find(|other| *other != first)
        {
            return (conflict([first, other]), None);
        }
        match (by_trace(process, subject, same_trace, request), request) {
            // Which of both is wrong, the rule or the id that leaked, is not known.
            (Some(named), None) if doubted.is_some_and(|other| other != named.request) => {
                (Attribution::none(reason.unwrap_or(Reason::NoRequest)), None)
            }
            (None, None) if same_trace.is_empty() => self.alone(process, subject, reason),
            (None, None) => (
                Attribution::none(Reason::SameIdTwice {
                    candidates: names(same_trace),
                }),
                None,
            ),
            (named, _) => linked(named, strong),
        }
    }

    /// What each kind of evidence says that is strong enough to contradict another one.
    fn strong(
        &self,
        process: &Process,
        subject: &Subject,
        owned: Option<Finding>,
    ) -> [Found; KINDS] {
        [
            ("correlation ids", declared(process, subject)),
            ("executions", self.finer(process, subject, owned)),
            ("threads and messages", self.executed(process, subject)),
            (
                "threads that worked for each other",
                self.handed(process, subject),
            ),
        ]
        .map(|(of, says)| Found { of, says })
    }

    /// The whole story of a decision.
    pub(super) fn story(&self, subject: &Subject, now: KernelNanos, decision: &Decision) -> Story {
        let process = self.processes.get(&subject.tgid);
        let owned = subject.doer.map(|doer| self.owned(subject.tgid, doer, now));
        let evidence = process.map_or_else(Vec::new, |process| {
            let found = self.strong(process, subject, owned);
            found.into_iter().map(weighed).collect()
        });
        Story {
            candidates: process.map_or_else(Vec::new, |p| p.serving_at(subject.time)),
            evidence,
            request: decision.owner.map(|o| o.request),
            same_trace: decision.same_trace.clone(),
            attribution: decision.attribution.clone(),
        }
    }

    /// Evidence of executions finer than threads, or why there is none.
    fn finer(
        &self,
        process: &Process,
        subject: &Subject,
        owned: Option<Finding>,
    ) -> Result<Link, Option<Reason>> {
        let Some((doer, owned)) = subject.doer.zip(owned) else {
            return Err(None);
        };
        let Execution { kind, id, .. } = doer.execution;
        let (request, confidence, evidence, wait) = match owned.owner {
            Owned::Answered(_) | Owned::Begun { .. } if !owned.settled => {
                return Err(Some(Reason::StillOpen));
            }
            Owned::Answered(request) => {
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

    /// What no evidence of execution gets over: a write of several events, a ring through which anybody may have
    /// read another request meanwhile, and records that were lost
    /// between the beginning of the request and the last thing that the evidence rests on, `wait`
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
        if self.losses.overlap(served.since, until) {
            return Err(Some(Reason::RecordsLost));
        }
        Ok(())
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
            Hold::Born(_) => return Err(None),
            Hold::Nothing(reason) => return Err(reason.clone()),
        };
        Ok(link)
    }

    /// The thread that did all of a request's work, or why there is none.
    fn confirmed(&self, process: &Process, request: Seq) -> Result<Tid, Option<Reason>> {
        let served = process.served(request).ok_or(None)?;
        match served.claim {
            Claim::Confirmed(tid) => match process.workers.conduct(served) {
                // What was lost might have shown that its process does not always do so.
                Conduct::Good if served.tentative && self.lost_lately(served) => {
                    Err(Some(Reason::RecordsLost))
                }
                Conduct::Good => Ok(tid),
                Conduct::Unknown => Err(Some(Reason::UnprovenWorker)),
                Conduct::HandsOver => Err(Some(Reason::HandedOver)),
            },
            Claim::Broken(why) => Err(Some(why.reason())),
            Claim::Held(_) => Err(Some(Reason::StillOpen)),
        }
    }

    fn lost_lately(&self, served: &Served) -> bool {
        let until = served.until.unwrap_or(served.since);
        self.losses.overlap(before(served.since, RETENTION), until)
    }

    /// What is left when no evidence names a request.
    fn alone(
        &self,
        process: &Process,
        subject: &Subject,
        reason: Option<Reason>,
    ) -> (Attribution, Option<Seq>) {
        if self
            .losses
            .overlap(before(subject.time, PATIENCE), subject.time)
        {
            return (Attribution::none(Reason::RecordsLost), None);
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
            return linked(Some(link), [const { None }; KINDS]);
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
                None => Reason::ManyInFlight {
                    requests: subject.in_flight,
                },
            },
            _ if subject.in_flight == 1 => Reason::OneInFlightUnproven,
            _ if subject.afterwork => Reason::AfterAnswer,
            _ if process.serves_unseen => Reason::ServesUnseen,
            _ => Reason::NoRequest,
        };
        (Attribution::none(reason), None)
    }
}

/// Compares evidence with what the trace-id says, where both name requests that were in flight.
fn compared(
    process: &Process,
    subject: &Subject,
    found: &[Found; KINDS],
    same_trace: &[Seq],
) -> Compared {
    let in_flight = |request: &Seq| {
        process.served(*request).is_some_and(|s| {
            s.since <= subject.time && s.until.is_none_or(|until| until >= subject.time)
        })
    };
    let [named] = same_trace else {
        return Compared::default();
    };
    if !in_flight(named) {
        return Compared::default();
    }
    std::array::from_fn(|kind| {
        let link = found.get(kind)?.says.as_ref().ok()?;
        in_flight(&link.request).then_some(link.request == *named)
    })
}

/// Whether a reason tells more than how many requests were in flight.
fn tells_more(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::SharedExecution
            | Reason::OutlivedRequest
            | Reason::StillOpen
            | Reason::UnprovenWorker
            | Reason::HandedOver
            | Reason::Distrusted { .. }
    )
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

fn before(time: KernelNanos, nanos: u64) -> KernelNanos {
    KernelNanos(time.0.saturating_sub(nanos))
}

fn undecided(reason: Reason) -> Decision {
    Decision {
        owner: None,
        same_trace: Vec::new(),
        ids_certain: false,
        compared: Compared::default(),
        attribution: Attribution::none(reason),
    }
}

fn names(requests: &[Seq]) -> Vec<ExchangeId> {
    requests.iter().map(|r| ExchangeId(*r)).collect()
}

fn conflict(requests: [Seq; 2]) -> Attribution {
    Attribution::none(Reason::Conflict {
        candidates: names(&requests),
    })
}

/// Agreeing links, the one that decides first.
fn linked(named: Option<Link>, strong: [Option<Link>; KINDS]) -> (Attribution, Option<Seq>) {
    let mut all = named.iter().chain(strong.iter().flatten());
    let Some(first) = all.next() else {
        return (Attribution::none(Reason::NoRequest), None);
    };
    let (request, tier) = (first.request, first.tier);
    let doubt = all.fold(1.0 - first.confidence, |doubt, l| {
        doubt * (1.0 - l.confidence)
    });
    let attribution = Attribution {
        tier: Some(tier),
        confidence: 1.0 - doubt,
        reason: None,
        evidence: (named.into_iter().chain(strong.into_iter().flatten()))
            .map(|l| l.evidence)
            .collect(),
    };
    (attribution, Some(request))
}

fn declared(process: &Process, subject: &Subject) -> Result<Link, Option<Reason>> {
    let Work::Call(call) = &subject.work else {
        return Err(None);
    };
    let Some((header, requests)) = process.correlations.named_by(&call.begun.head.carrier) else {
        return Err(None);
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

/// The latest requests of the process that came in with the trace that the subject carries.
fn same_trace(process: &Process, subject: &Subject) -> Vec<Seq> {
    let carries = |request: &Seq| {
        let served = process.served(*request);
        served.is_some_and(|s| carries_trace_of(subject, s))
    };
    let mut found: Vec<Seq> = Vec::new();
    let mut look_up = |id: &TraceId| {
        let room = MAX_CANDIDATES - found.len();
        found.extend(process.traces.candidates(id).filter(carries).take(room));
    };
    match &subject.work {
        Work::Call(call) => {
            let contexts = &call.begun.head.carrier.contexts;
            contexts.iter().for_each(|c| look_up(&c.trace_id));
        }
        Work::Line(line) => {
            let fields = line.context.ids().flat_map(LineTraceId::candidates);
            let bare = line.context.bare.iter().map(|id| TraceId::Wide(*id));
            fields.chain(bare).for_each(|id| look_up(&id));
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

fn by_trace(
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

fn only_request(process: &Process, subject: &Subject) -> Option<Link> {
    if process.blind || subject.afterwork {
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
