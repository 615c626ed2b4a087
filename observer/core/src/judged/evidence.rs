//! Facts that speak for a link.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::facts::ExecutionKind;
use crate::ids::Tid;
use crate::text::{Text, serialize_shown};

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
