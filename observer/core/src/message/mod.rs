//! Messages: what the bytes of a stream say.
//!
//! A conversation is fed the chunks of both directions of one connection and yields
//! [`HttpEvent`]s; a log is fed the writes to one log and yields [`LogLine`]s.

pub mod connection;
pub mod conversation;
pub mod fastcgi;
mod flaw;
pub mod lines;
mod moved;
mod sniff;
mod telemetry;

use std::sync::Arc;

use crate::context::Carrier;
use crate::ids::{KernelNanos, Tid};
use crate::record::{Direction, Execution};
pub use flaw::{Flaw, MessageKind};

pub use crate::stream::Chunk;
use crate::text::Text;

/// What moved a part of a message: who, when and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The thread; of the last part of what is described.
    pub tid: Tid,
    /// Whether one thread moved all parts of what is described.
    pub one_thread: bool,
    /// When the last part moved.
    pub time: KernelNanos,
    /// When the first part moved.
    pub since: KernelNanos,
    /// Whether any part was moved by a call that could not block.
    pub nonblocking: bool,
    /// The execution that moved the first part, where one is known.
    pub execution: Option<Execution>,
    /// Whether that moved all parts.
    pub one_execution: bool,
}

impl Moved {
    /// The execution that moved all parts, where one is known.
    #[must_use]
    pub fn sole_execution(&self) -> Option<Execution> {
        self.execution.filter(|_| self.one_execution)
    }
}

/// Something that the bytes of a connection showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpEvent {
    /// The head of a request is complete. A read one is served here, a written one is a call.
    Request {
        /// Which way the request travelled.
        direction: Direction,
        /// What it says.
        head: RequestHead,
        /// Who moved the head.
        moved: Moved,
    },
    /// The last byte of the oldest request whose end was not told yet has moved. Told of HTTP only.
    RequestEnd {
        /// Who moved its last part.
        moved: Moved,
    },
    /// The head of a final response (not 1xx, except 101) is complete.
    Response {
        /// Which request it answers: its place among the unanswered ones, oldest first. HTTP/1 answers
        /// in order, so there it is always the first.
        nth: usize,
        /// Status code, 101 and 200–599 (others as the peer sent them, at most 999).
        status: u16,
        /// Who moved the head.
        moved: Moved,
    },
    /// The last byte of a response has moved: the exchange is complete. `moved` covers head and body.
    ResponseEnd {
        /// Which request it answers, which is one less unanswered now.
        nth: usize,
        /// Who moved it.
        moved: Moved,
    },
    /// What comes next was lost or cut where it mattered: exchanges that are open on this
    /// connection can no longer be completed, and parsing starts anew at the next message head.
    Lost,
    /// A message breaks the rules of HTTP, so that it can't be read, although nothing of it is missing.
    Malformed {
        /// Which way it travelled.
        direction: Direction,
        /// Which message.
        message: MessageKind,
        /// What is wrong.
        flaw: Flaw,
        /// As after [`Lost`](Self::Lost), open exchanges can no longer be completed.
        ends: bool,
    },
    /// The connection carries something that is not observed; nothing more will be told.
    Ignored(Protocol),
}

/// What a request head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Position of its first byte in the stream, counted from where the connection was first seen.
    pub at: u64,
    /// Method token, at most 32 bytes.
    pub method: Text,
    /// Request target as sent, at most 4096 bytes kept, not yet redacted or escaped.
    pub target: Text,
    /// `Host`, if present, at most 255 bytes.
    pub host: Option<Text>,
    /// Propagation fields.
    pub carrier: Arc<Carrier>,
    /// What it is framed as.
    pub version: Version,
    /// The request delivers telemetry (OTLP, Zipkin, Jaeger, Datadog, …), recognised by path,
    /// content type or user agent: such calls carry no context by design.
    pub telemetry: bool,
}

/// What a request is framed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// FastCGI.
    FastCgi,
}

impl Version {
    /// As the output names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "http/1.0",
            Self::Http11 => "http/1.1",
            Self::FastCgi => "fastcgi",
        }
    }
}

/// What a connection carries, as far as it was recognised.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 with prior knowledge, or after an upgrade.
    Http2,
    /// TLS.
    Tls,
    /// After `CONNECT` or `Upgrade` (WebSocket and others).
    Upgraded,
    /// FastCGI, which is followed once it is recognised.
    FastCgi,
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// Redis.
    Redis,
    /// A log to which something other than text is written.
    NotText,
    /// Anything: the connection was left out because only a share of them is observed.
    LeftOut,
    /// Whatever goes through sockets that are driven through an `io_uring`.
    IoUring,
    /// Not recognised.
    Unknown,
}

/// One logged event: a line, with its continuation lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Text without its final line break, at most 16 KiB, not escaped; invalid UTF-8 replaced.
    pub text: String,
    /// Bytes of it were lost or cut: what it carries can't be known.
    pub cut: bool,
    /// Who wrote it.
    pub moved: Moved,
    /// Other events were written by the same call, so the writer may have flushed a buffer that
    /// other work filled.
    pub batched: bool,
    /// A unique number of the write that completed it, counted per log: lines of one write share it.
    pub write: u64,
}
