//! Attributions: for which request something was done, and how that is known.

use std::fmt;

use serde::{Serialize, Serializer};

use super::ExchangeId;
use crate::facts::ExecutionKind;
use crate::ids::Tid;
use crate::losses::Unseen;
use crate::text::{Text, serialize_shown};

/// Kind of evidence that carried an attribution, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The trace-ids are equal.
    Context,
    /// A correlation id that came in went out.
    Declared,
    /// The same execution did both.
    Execution,
    /// The work was seen to move from one execution to another.
    HandOff,
    /// Both are ends of one connection, or of one exchange on it.
    Connection,
    /// No other request was in flight.
    Exclusive,
}

/// For which request something was done, or why that is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// The evidence that decided; absent when none did.
    pub tier: Option<Tier>,
    /// Probability that the link is right, 0–1; 0 without a link.
    pub confidence: f32,
    /// All evidence for the link.
    pub evidence: Vec<Evidence>,
    /// Why there is no link.
    pub reason: Option<Reason>,
}

impl Attribution {
    /// The same, with a reason why nothing is concluded from it.
    #[must_use]
    pub fn or_reason(mut self, reason: Option<Reason>) -> Self {
        self.reason = self.reason.or(reason);
        self
    }

    /// No link, for `reason`.
    #[must_use]
    pub fn none(reason: Reason) -> Self {
        Self {
            tier: None,
            confidence: 0.0,
            evidence: Vec::new(),
            reason: Some(reason),
        }
    }
}

/// A fact that speaks for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Carries the trace-id that the request came in with.
    SameTrace,
    /// Carries the request's correlation id.
    SameCorrelationId {
        /// Lower-case header name.
        header: Text,
    },
    /// The thread published, as it did this, that it works in the trace which the request came in with.
    PublishedContext,
    /// Another observer of the host told, as the thread did this, that it works in that trace.
    PinnedContext,
    /// The thread read the request, did nothing else in between, and wrote the response.
    ServingThread(Tid),
    /// The thread answered the request and then went on with the same connection.
    AfterResponse(Tid),
    /// The thread took a message, which the request's thread had written, from an in-process pipe or socket pair.
    PipeMessage {
        /// The thread that wrote the message.
        writer: Tid,
    },
    /// The execution wrote the response to the request, and to no other meanwhile.
    AnsweringExecution {
        /// What it is.
        kind: ExecutionKind,
        /// Its identity in its process.
        id: u64,
    },
    /// The execution was begun, at whatever remove, by the one that wrote the response, while it served the request.
    BegunExecution {
        /// What it is.
        kind: ExecutionKind,
        /// Its identity in its process.
        id: u64,
        /// The execution that wrote the response.
        by: u64,
    },
    /// The execution works on what others hand to it, and had last taken something from the one that wrote the response, while
    /// that served the request.
    Received {
        /// What it is.
        kind: ExecutionKind,
        /// Its identity in its process.
        id: u64,
        /// The execution that wrote the response.
        by: u64,
    },
    /// The execution took the connection for this call, whoever moved the bytes.
    TookConnection,
    /// The thread, which worked for the request, took the connection last before another thread
    /// wrote the call.
    Taken {
        /// The thread that took it.
        taker: Tid,
        /// By connecting it; otherwise by looking whether it is alive.
        connected: bool,
    },
    /// The execution, which wrote the response to the request, took the connection last before another thread
    /// wrote the call.
    TakenByExecution {
        /// What it is.
        kind: ExecutionKind,
        /// Its identity in its process.
        id: u64,
        /// By connecting it; otherwise by looking whether it is alive.
        connected: bool,
    },
    /// The thread was started for the request, and ended with it.
    Spawned {
        /// The thread that started it.
        parent: Tid,
    },
    /// The thread was started after the request had come in, wrote its response, and ended.
    AnsweringThread(Tid),
    /// A thread that served the request waited, and its thread woke that one when it was done.
    Awaited {
        /// The thread that waited.
        waiter: Tid,
    },
    /// A thread that worked for the request gave its executor the work that another thread then did.
    Submitted {
        /// The thread that gave it.
        by: Tid,
    },
    /// A thread that worked for the request logged through a queue what another thread then wrote.
    Logged {
        /// The thread that logged it.
        by: Tid,
    },
    /// A thread that worked for the request woke an idle thread, which made the call at once, and waited until
    /// the response had come.
    Given {
        /// The thread that woke the other.
        by: Tid,
    },
    /// The thread ran a task of its pool that a thread which served the request had made meanwhile.
    Made {
        /// The thread that made it.
        by: Tid,
    },
    /// The proxy wrote it in an event of the request's, and passed its response on to the request.
    Relayed,
    /// The proxy logged it right after the response to the request, as it always does.
    LoggedAnswer,
    /// No other request was in flight, and work of this kind was never seen without one.
    OnlyRequest {
        /// How often such work was seen.
        seen: u32,
    },
}

impl Evidence {
    /// Whether it is about what wrote the response itself, so that it holds in every runtime: where trace-ids
    /// name other requests, it is these that leak.
    #[must_use]
    pub fn is_the_request_itself(&self) -> bool {
        matches!(
            self,
            Self::ServingThread(_) | Self::AfterResponse(_) | Self::AnsweringExecution { .. }
        )
    }

    /// Whether it is an id that came in, or a context that is published: one that leaks brings all of them along.
    #[must_use]
    pub fn is_an_id(&self) -> bool {
        matches!(
            self,
            Self::SameTrace | Self::SameCorrelationId { .. } | Self::PublishedContext
        )
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameTrace => f.write_str("carries the request's trace-id"),
            Self::SameCorrelationId { header } => write!(f, "carries the request's {header}"),
            Self::PublishedContext => {
                f.write_str("its thread published the request's trace as the one it works in")
            }
            Self::PinnedContext => f.write_str(
                "another observer told that its thread works in the request's trace, as it did rightly of answers",
            ),
            Self::ServingThread(tid) => {
                write!(
                    f,
                    "thread {tid} read the request, served nothing else, and wrote its response"
                )
            }
            Self::AfterResponse(tid) => {
                write!(
                    f,
                    "thread {tid} wrote the response and stayed with its connection"
                )
            }
            Self::PipeMessage { writer } => {
                write!(
                    f,
                    "came through an in-process pipe from thread {writer}, which served the request"
                )
            }
            Self::AnsweringExecution { kind, id } => {
                write!(f, "{kind} {id} wrote the response to the request")
            }
            Self::BegunExecution { kind, id, by } => write!(
                f,
                "{kind} {id} was begun by {kind} {by} while that served the request"
            ),
            Self::Received { kind, id, by } => write!(
                f,
                "{kind} {id} did what {kind} {by}, which served the request, had handed to it"
            ),
            Self::TookConnection => f.write_str("took the connection for this call"),
            Self::Taken { taker, connected } => {
                let how = if *connected { "connected" } else { "took" };
                write!(
                    f,
                    "thread {taker}, which worked for the request, {how} its connection last"
                )
            }
            Self::TakenByExecution {
                kind,
                id,
                connected,
            } => {
                let how = if *connected { "connected" } else { "took" };
                write!(
                    f,
                    "{kind} {id}, which worked for the request, {how} its connection last"
                )
            }
            Self::Spawned { parent } => {
                write!(
                    f,
                    "thread {parent} started its thread for the request, with which it ended"
                )
            }
            Self::AnsweringThread(tid) => write!(
                f,
                "thread {tid} was started after the request had come in, wrote its response, and ended"
            ),
            Self::Awaited { waiter } => write!(
                f,
                "thread {waiter}, which served the request, waited until its thread was done"
            ),
            Self::Submitted { by } => write!(
                f,
                "thread {by}, which worked for the request, gave the work to the pool whose thread did it"
            ),
            Self::Logged { by } => write!(
                f,
                "thread {by}, which worked for the request, put it into the logger's queue whose thread wrote it"
            ),
            Self::Given { by } => write!(
                f,
                "thread {by}, which worked for the request, woke the idle thread that made the call, and waited for it"
            ),
            Self::Made { by } => write!(
                f,
                "thread {by}, on which the request was worked for, made the task that its thread ran"
            ),
            Self::Relayed => f.write_str(
                "was written in an event of the request's, to which its response was passed on",
            ),
            Self::LoggedAnswer => f.write_str(
                "was logged right after the response to the request, as it is after each of this kind",
            ),
            Self::OnlyRequest { seen } => write!(
                f,
                "the only request in flight; such work was seen {seen} times, never without a request"
            ),
        }
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No request was in flight: start-up, timers, background work.
    NoRequest,
    /// Several requests were in flight and nothing tells them apart.
    ManyInFlight {
        /// How many.
        requests: usize,
    },
    /// One request was in flight, but that alone is not yet evidence.
    OneInFlightUnproven,
    /// The thread serves several requests at once, so it tells nothing.
    SharedThread,
    /// The request's response was written by another thread than the one that read it.
    AnsweredElsewhere,
    /// The thread read another request before it had answered this one.
    Interleaved,
    /// The thread reads requests without blocking, and it is not shown yet that the threads of this
    /// process serve one request at a time.
    UnprovenWorker,
    /// Requests of this kind are often answered by another thread than the one that read them.
    HandedOver,
    /// The request was never answered, so its thread can't be confirmed.
    Unanswered,
    /// The request had not ended when the observer stopped waiting.
    StillOpen,
    /// Several requests were in flight, and what tells executions of this runtime apart can't be had.
    ExecutionsUnavailable {
        /// Why not.
        why: Text,
    },
    /// Its execution answers several requests at once, so it tells nothing.
    SharedExecution,
    /// Its execution went on after the request during which it was begun: it serves the process.
    OutlivedRequest,
    /// Turns of its event loop are watched for a share of the time only, and it, or what would confirm its request, happened outside.
    NotWatched,
    /// It came after its thread's, or the process's last, answer, and nothing shows whether it still belongs to it.
    AfterAnswer,
    /// Its thread works on a message from a pipe, and for which request that was written is not known.
    UnknownMessage,
    /// Several requests carry the same id.
    SameIdTwice {
        /// The requests.
        candidates: Vec<ExchangeId>,
    },
    /// An id alone names its request, and ids and other evidence have named different requests in this process.
    IdsDistrusted {
        /// How often.
        disagreed: u32,
        /// Of how many comparisons.
        compared: u32,
    },
    /// An id alone names its request, and requests of this process have calls of its kind with their ids on both sides of their answers.
    IdsParted {
        /// How many of them.
        parted: u32,
        /// Of how many that had several such calls.
        requests: u32,
    },
    /// Two kinds of evidence name different requests.
    Conflict {
        /// The requests.
        candidates: Vec<ExchangeId>,
    },
    /// What would name its request has named others than the trace-ids did in this process.
    Distrusted {
        /// How often.
        disagreed: u32,
        /// Of how many comparisons.
        compared: u32,
    },
    /// A thread that serves no request did it, and that the threads which woke it, or which it woke, name the right
    /// request is not shown in this process.
    UnprovenWakes,
    /// The process is asked over a protocol that is not observed too, so a request may have been in flight.
    ServesUnseen,
    /// Records were lost while it happened.
    RecordsLost,
    /// System calls were not observed for a time while it happened, or shortly before, to keep within the budget.
    Paused,
    /// One write held several events, so a buffer may have been flushed for other requests.
    Batched,
    /// The bytes that would tell were cut or lost.
    Cut,
    /// The request that it belongs to had no context, so an id in it can't be checked.
    NoInboundContext,
    /// The call says that it is deliberately not traced (`b3: 0`).
    Withheld,
    /// Telemetry on its way to a collector.
    TelemetryExport,
}

impl Reason {
    /// Whether something speaks against what the id says.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Distrusted { .. }
                | Self::IdsDistrusted { .. }
                | Self::IdsParted { .. }
        )
    }

    /// What kind of reason it is, without the particulars of one case.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoRequest => "no request in flight",
            Self::ManyInFlight { .. } => "several requests in flight, nothing tells them apart",
            Self::OneInFlightUnproven => "one request in flight, not yet told from background work",
            Self::SharedThread => "the thread serves several requests at once",
            Self::AnsweredElsewhere => "answered by another thread than the one that read it",
            Self::Interleaved => "the thread took up other work before it had answered",
            Self::UnprovenWorker => "its thread is not known yet to serve one request at a time",
            Self::HandedOver => "such requests are often answered by another thread",
            Self::Unanswered => "the request was never answered by its thread",
            Self::StillOpen => "the request had not ended when judgement was due",
            Self::ExecutionsUnavailable { .. } => {
                "several requests in flight, and the runtime's executions can't be told apart"
            }
            Self::SharedExecution => "the execution answers several requests at once",
            Self::OutlivedRequest => "the execution outlived the request that began it",
            Self::NotWatched => "turns were not watched at the time",
            Self::AfterAnswer => "right after an answer, perhaps not for that request",
            Self::UnknownMessage => "a message from a pipe, unknown for which request",
            Self::SameIdTwice { .. } => "several requests carry the same id",
            Self::IdsDistrusted { .. } => {
                "an id alone names its request, and ids disagreed with other evidence in this process"
            }
            Self::IdsParted { .. } => {
                "an id alone names its request, and calls with such ids come before and after their requests' answers"
            }
            Self::Conflict { .. } => "evidence disagrees",
            Self::Distrusted { .. } => "this evidence disagreed with trace-ids in this process",
            Self::UnprovenWakes => {
                "work of a pool's thread, nobody is proven to have waited for it"
            }
            Self::ServesUnseen => "the process also serves a protocol that is not observed",
            Self::RecordsLost => "records were lost",
            Self::Paused => "nothing was observed for a time, to keep within the budget",
            Self::Batched => "one write held several events",
            Self::Cut => "bytes were cut or lost",
            Self::NoInboundContext => "the request came without context, the id can't be checked",
            Self::Withheld => "deliberately not traced",
            Self::TelemetryExport => "telemetry export",
        }
    }
}

impl From<Unseen> for Reason {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Lost => Self::RecordsLost,
            Unseen::Paused => Self::Paused,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRequest => f.write_str("no request was in flight"),
            Self::ManyInFlight { requests } => {
                write!(
                    f,
                    "{requests} requests were in flight and nothing tells for which one"
                )
            }
            Self::OneInFlightUnproven => f.write_str(
                "one request was in flight, but background work can't be told from its work yet",
            ),
            Self::SharedThread => f.write_str("its thread serves several requests at once"),
            Self::AnsweredElsewhere => {
                f.write_str("the request was answered by another thread than the one that read it")
            }
            Self::Interleaved => {
                f.write_str("its thread took up other work before it had answered")
            }
            Self::UnprovenWorker => f.write_str(
                "its thread read the request without blocking, and is not known yet to serve one at a time",
            ),
            Self::HandedOver => f.write_str(
                "requests of this kind are often answered by another thread than the one that reads them",
            ),
            Self::Unanswered => f.write_str("the request was never answered by its thread"),
            Self::StillOpen => f.write_str("the request had not ended when judgement was due"),
            Self::ExecutionsUnavailable { why } => write!(
                f,
                "several requests were in flight, and the runtime's executions can't be told apart: {why}"
            ),
            Self::SharedExecution => f.write_str("its execution answers several requests at once"),
            Self::OutlivedRequest => f.write_str(
                "its execution was begun during a request and went on after it, so it may serve the process",
            ),
            Self::NotWatched => f.write_str(
                "turns of the event loop are watched for a share of the time, and were not when this was done, or when its request was answered",
            ),
            Self::AfterAnswer => f.write_str(
                "it came right after an answer, and nothing shows whether it still belongs to that request",
            ),
            Self::UnknownMessage => f.write_str(
                "its thread works on a message from a pipe, and for which request that was written is not known",
            ),
            Self::SameIdTwice { candidates } => {
                f.write_str("several requests carry the same id: ")?;
                list(f, candidates)
            }
            Self::IdsDistrusted {
                disagreed,
                compared,
            } => write!(
                f,
                "an id alone names its request, and ids disagreed with other evidence in {disagreed} of {compared} cases in this process"
            ),
            Self::IdsParted { parted, requests } => write!(
                f,
                "an id alone names its request, and {parted} of {requests} requests with several such calls had some before their answer and some after it"
            ),
            Self::Conflict { candidates } => {
                f.write_str("evidence disagrees between requests ")?;
                list(f, candidates)
            }
            Self::Distrusted {
                disagreed,
                compared,
            } => write!(
                f,
                "what would name its request disagreed with the trace-ids in {disagreed} of {compared} cases in this process"
            ),
            Self::UnprovenWakes => f.write_str(
                "a pool's thread did it, and that the threads which it wakes name the right request is not proven",
            ),
            Self::ServesUnseen => f.write_str(
                "the process also serves a protocol that is not observed, so a request may have been in flight",
            ),
            Self::RecordsLost => f.write_str("records were lost meanwhile"),
            Self::Paused => f.write_str(
                "nothing was observed for a time meanwhile, or shortly before, to keep within the budget",
            ),
            Self::Batched => {
                f.write_str("one write held several events, perhaps of several requests")
            }
            Self::Cut => f.write_str("bytes that would tell were cut or lost"),
            Self::NoInboundContext => {
                f.write_str("the request came without a context, so the id can't be checked")
            }
            Self::Withheld => f.write_str("the call says that it is deliberately not traced"),
            Self::TelemetryExport => f.write_str("telemetry on its way to a collector"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, ids: &[ExchangeId]) -> fmt::Result {
    for (i, id) in ids.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{id}")?;
    }
    Ok(())
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}
