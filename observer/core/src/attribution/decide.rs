//! Weighs the evidence for a subject: higher tiers win, and where two kinds of evidence name
//! different requests nothing is concluded.

use super::process::Process;
use super::subject::{Hold, Line, Subject, Work};
use super::traces::{key, share_trace};
use super::workers::Conduct;
use super::{Attributor, Claim, PATIENCE, RETENTION, Served};
use crate::context::TraceId;
use crate::context::line::{LineTraceId, Relation, find_hex_ids, relation};
use crate::ids::{KernelNanos, Seq, Tid};
use crate::judged::{Attribution, Evidence, ExchangeId, Reason, Tier};

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
    /// Whether the thread that read the request did this too.
    pub same_thread: bool,
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

/// A link with its evidence, before the tiers are compared.
pub(super) struct Link {
    pub(super) request: Seq,
    pub(super) tier: Tier,
    pub(super) confidence: f32,
    pub(super) evidence: Evidence,
}

impl Attributor {
    pub(super) fn decision(&self, subject: &Subject) -> Decision {
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
        let (attribution, request) = self.weigh(process, subject, &same_trace);
        let owner = request.zip(attribution.tier).map(|(request, tier)| Owner {
            request,
            tier,
            same_thread: process
                .served(request)
                .is_some_and(|s| s.tid == subject.tid),
        });
        Decision {
            owner,
            same_trace,
            ids_certain,
            attribution,
        }
    }

    fn weigh(
        &self,
        process: &Process,
        subject: &Subject,
        same_trace: &[Seq],
    ) -> (Attribution, Option<Seq>) {
        let executed = self.executed(process, subject);
        let declared = declared(process, subject);
        if let Err(Some(reason @ Reason::Conflict { .. })) = executed {
            return (Attribution::none(reason), None);
        }
        let (strong, reason) = match (executed, declared) {
            (Ok(a), Ok(b)) if a.request != b.request => {
                return (conflict([a.request, b.request]), None);
            }
            (Ok(a), Ok(b)) => (vec![b, a], None),
            (Ok(a), Err(_)) => (vec![a], None),
            (Err(reason), Ok(b)) => (vec![b], reason),
            (Err(reason), Err(other)) => (Vec::new(), other.or(reason)),
        };
        let named = by_trace(
            process,
            subject,
            same_trace,
            strong.first().map(|l| l.request),
        );
        match (strong.is_empty(), named) {
            (false, Some(link)) => linked(std::iter::once(link).chain(strong).collect()),
            (false, None) => linked(strong),
            (true, Some(link)) => linked(vec![link]),
            (true, None) if !same_trace.is_empty() => (
                Attribution::none(Reason::SameIdTwice {
                    candidates: names(same_trace),
                }),
                None,
            ),
            (true, None) => self.alone(process, subject, reason),
        }
    }

    /// Evidence of execution and hand-off, or why there is none.
    fn executed(&self, process: &Process, subject: &Subject) -> Result<Link, Option<Reason>> {
        let own = self.held(process, subject, &subject.hold);
        let link = match (own, self.by_taker(process, subject)) {
            (Ok(own), Ok(other)) if own.request != other.request => {
                return Err(Some(Reason::Conflict {
                    candidates: names(&[own.request, other.request]),
                }));
            }
            (Ok(link), _) | (Err(_), Ok(link)) => link,
            (Err(reason), Err(other)) => return Err(reason.or(other)),
        };
        if let Work::Line(line) = &subject.work
            && line.line.batched
        {
            return Err(Some(Reason::Batched));
        }
        let served = process.served(link.request).ok_or(None)?;
        let until = served.until.map_or(subject.time, |u| u.max(subject.time));
        if self.losses.overlap(served.since, until) {
            return Err(Some(Reason::RecordsLost));
        }
        Ok(link)
    }

    /// The request of a thread that does what `hold` says.
    pub(super) fn held(
        &self,
        process: &Process,
        subject: &Subject,
        hold: &Hold,
    ) -> Result<Link, Option<Reason>> {
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
                let request = self.pipes.owner(messages).ok_or(None)?;
                let writer = self.confirmed(process, request)?;
                Link {
                    request,
                    tier: Tier::HandOff,
                    confidence: 0.99,
                    evidence: Evidence::PipeMessage { writer },
                }
            }
            Hold::Born(birth) => self.by_birth(process, subject, *birth)?,
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
            return linked(vec![link]);
        }
        let reason = match (&subject.hold, reason) {
            (Hold::Serving(_), Some(reason)) | (_, Some(reason @ Reason::OutlivedRequest)) => {
                reason
            }
            (Hold::After(_), _) => Reason::AfterAnswer,
            (Hold::Messages(messages), _) if !self.pipes.for_nothing(messages) => {
                Reason::UnknownMessage
            }
            _ if subject.in_flight > 1 => Reason::ManyInFlight {
                requests: subject.in_flight,
            },
            _ if subject.in_flight == 1 => Reason::OneInFlightUnproven,
            _ if subject.afterwork => Reason::AfterAnswer,
            _ => Reason::NoRequest,
        };
        (Attribution::none(reason), None)
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
fn linked(links: Vec<Link>) -> (Attribution, Option<Seq>) {
    let Some(first) = links.first() else {
        return (Attribution::none(Reason::NoRequest), None);
    };
    let request = first.request;
    let doubt = links.iter().map(|l| 1.0 - l.confidence).product::<f32>();
    let attribution = Attribution {
        tier: Some(first.tier),
        confidence: 1.0 - doubt,
        reason: None,
        evidence: links.into_iter().map(|l| l.evidence).collect(),
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
    let mut latest = requests.iter().rev().copied();
    match (latest.next(), latest.next()) {
        (Some(request), None) => Ok(Link {
            request,
            tier: Tier::Declared,
            confidence: 0.995,
            evidence: Evidence::SameCorrelationId {
                header: header.to_owned(),
            },
        }),
        (None, _) => Err(None),
        _ => {
            let latest: Vec<Seq> = requests
                .iter()
                .rev()
                .take(MAX_CANDIDATES)
                .copied()
                .collect();
            Err(Some(Reason::SameIdTwice {
                candidates: names(&latest),
            }))
        }
    }
}

/// The latest requests of the process that came in with the trace that the subject carries.
fn same_trace(process: &Process, subject: &Subject) -> Vec<Seq> {
    let keys = match &subject.work {
        Work::Call(call) => {
            let own = &call.begun.head.carrier.contexts;
            own.iter().map(|c| key(&c.trace_id)).collect()
        }
        Work::Line(line) => line_keys(line),
        Work::Message => Vec::new(),
    };
    let mut found: Vec<Seq> = process
        .traces
        .candidates(keys.into_iter())
        .filter(|r| {
            process
                .served(*r)
                .is_some_and(|s| carries_trace_of(subject, s))
        })
        .take(MAX_CANDIDATES)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn line_keys(line: &Line) -> Vec<u64> {
    let fields = line
        .context
        .ids()
        .flat_map(|id| id.candidates().collect::<Vec<_>>());
    let bare = find_hex_ids(&line.line.text).map(TraceId::Wide);
    fields.chain(bare).map(|id| key(&id)).collect()
}

/// Whether the subject carries the trace that a request came in with.
fn carries_trace_of(subject: &Subject, served: &Served) -> bool {
    let inbound = &served.carrier.contexts;
    match &subject.work {
        Work::Call(call) => share_trace(&call.begun.head.carrier.contexts, inbound),
        Work::Line(line) => {
            let named =
                |id: &LineTraceId, trace: &TraceId| relation(id, trace) != Relation::Different;
            inbound.iter().any(|context| {
                line.context.ids().any(|id| named(id, &context.trace_id))
                    || find_hex_ids(&line.line.text).any(|id| TraceId::Wide(id) == context.trace_id)
            })
        }
        Work::Message => false,
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
