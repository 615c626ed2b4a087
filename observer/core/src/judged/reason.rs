//! Why nothing is linked.

use std::fmt;

use serde::{Serialize, Serializer};

use super::ExchangeId;
use crate::losses::Unseen;
use crate::text::{Text, serialize_shown};

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
    /// The process is asked over a protocol that is not observed too, so a request may have come in unseen.
    ServesUnseen,
    /// Its process was begun by another one while that served requests, and has served none itself.
    BegunAmid,
    /// Watching began so shortly before that a request which had come in earlier may have been in flight.
    JustAttached,
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
            Self::BegunAmid => "its process was begun during another process's requests",
            Self::JustAttached => "watching had just begun",
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
                "the process also serves a protocol that is not observed, so a request may have come in unseen",
            ),
            Self::BegunAmid => f.write_str(
                "its process was begun by another one while that served requests, perhaps for one of them",
            ),
            Self::JustAttached => f.write_str(
                "watching had just begun, and a request that had come in before may have been in flight",
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
