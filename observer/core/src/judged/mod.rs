//! Judged things: what the pipeline tells the sinks. Their JSON form is the output contract
//! (docs/output.md): every object has `kind`; fields may be added, none is renamed.

mod attribution;
mod cause;
pub mod counts;
mod evidence;
mod explanation;
mod inferred;
mod line_cause;
mod loss;
mod reason;
mod sampling;
mod summary;
mod time;
mod verdict;
pub mod wilson;

use std::net::SocketAddr;

pub use attribution::{Attribution, Tier};
pub use cause::Cause;
pub use evidence::Evidence;
pub use explanation::{Candidate, Explanation, LogId, NotAnId, SubjectId, Weighed};
pub use inferred::Inferred;
pub use loss::{Loss, LossKind};
pub use reason::Reason;
pub use sampling::{Sampling, Shares, share};
use serde::{Deserialize, Serialize, Serializer};
pub use summary::{
    Counts, EdgeSummary, Estimate, ExecutionsCount, LogSummary, NoEstimate, NotEstimated,
    NotObserved, Rate, ReasonCount, ServiceSummary, Summary, Unreadable, WhyCount,
};
pub use time::{ClockAnchor, WallTime};
pub use verdict::{Finding, LogVerdict, Verdict};

use crate::context::Context;
use crate::ids::{Identity, Seq, Tgid, Tid};
use crate::message::Flaw;
use crate::text::{Text, serialize_shown};

/// One thing that the pipeline tells.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Judged {
    /// A request and its response as one process saw them.
    Exchange(Box<Exchange>),
    /// A logged event.
    Log(Box<Log>),
    /// How one of these was attributed, when that was asked for.
    Explanation(Box<Explanation>),
    /// Something that was not seen.
    Loss(Loss),
    /// Another share of connections is observed from now on.
    Sampling(Sampling),
    /// Counts of everything told; the last object.
    Summary(Box<Summary>),
}

/// Side of an exchange that a process is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It read the request and wrote the response.
    Server,
    /// It wrote the request and read the response.
    Client,
}

/// Why an exchange has no complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfinished {
    /// The connection was closed first.
    Closed,
    /// The connection was reset, or failed otherwise.
    Reset,
    /// The process ended, or ran another program.
    Exited,
    /// No answer within the time that the observer waits.
    TimedOut,
    /// Bytes were lost or cut where the exchange's end would have been seen.
    Lost,
    /// A message broke the rules of HTTP, so that where it ends can't be known.
    Malformed,
    /// The observer stopped first.
    Stopped,
}

/// Address of one end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket's path, escaped for printing; empty when unnamed.
    Unix(Text),
    /// Not known.
    Unknown,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(SocketAddr::V4(addr)) => {
                let [a, b, c, d] = addr.ip().octets();
                let mut digits = itoa::Buffer::new();
                for (octet, after) in [(a, "."), (b, "."), (c, "."), (d, ":")] {
                    f.write_str(digits.format(octet))?;
                    f.write_str(after)?;
                }
                f.write_str(digits.format(addr.port()))
            }
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

/// The name of an exchange in the output: `x` and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub Seq);

impl std::fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("x")?;
        f.write_str(itoa::Buffer::new().format(self.0.0))
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

impl std::str::FromStr for ExchangeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = text.strip_prefix('x').ok_or(NotAnId)?;
        number.parse().map(|n| Self(Seq(n))).map_err(|_| NotAnId)
    }
}

/// A request and its response as one process saw them.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Its name, unique in this output.
    pub id: ExchangeId,
    /// Side that the process is on.
    pub role: Role,
    /// The process.
    pub pid: Tgid,
    /// The thread that read (server) or wrote (client) the request.
    pub tid: Tid,
    /// Name of the process's service.
    pub service: Text,
    /// Protocol with version: `http/1.0`, `http/1.1` or `fastcgi`.
    pub protocol: &'static str,
    /// Whether the bytes were encrypted on the wire.
    pub tls: bool,
    /// When the first byte of the request moved.
    pub start: WallTime,
    /// From the first byte of the request to the last of the response, nanoseconds; absent if unfinished.
    pub duration_ns: Option<u64>,
    /// Request method.
    pub method: Text,
    /// Request target, escaped; query values redacted unless asked for.
    pub target: Text,
    /// `Host` of the request, escaped.
    pub host: Option<Text>,
    /// Response status; absent if none was seen.
    pub status: Option<u16>,
    /// This side's address.
    pub local: Address,
    /// The other side's address.
    pub peer: Address,
    /// The service at the other side, when it is observed as well.
    pub peer_service: Option<Text>,
    /// Context that the request carried.
    pub context: Option<Context>,
    /// Client: the server exchange that it was done for.
    pub request: Option<ExchangeId>,
    /// Server: the client exchange at the other end of the connection, when it is observed as well.
    pub parent: Option<ExchangeId>,
    /// Client: how `request` was found, or why not.
    pub attribution: Option<Attribution>,
    /// Client: the likeliest request where no evidence names one, if that was asked for. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inferred: Option<Inferred>,
    /// Client: the judgement.
    pub verdict: Option<Verdict>,
    /// Facts beside the verdict.
    pub findings: Vec<Finding>,
    /// Why there is no complete response.
    pub unfinished: Option<Unfinished>,
    /// What is wrong with the message, where `unfinished` is that one was malformed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<Flaw>,
    /// When it was over, whether complete or not; absent while it lasts.
    #[serde(skip)]
    pub until: Option<WallTime>,
    /// What names it in every observer that sees it.
    #[serde(skip)]
    pub identity: Identity,
}

/// A logged event.
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    /// Its identity.
    pub id: LogId,
    /// The process that wrote it.
    pub pid: Tgid,
    /// The thread that wrote it.
    pub tid: Tid,
    /// Name of the process's service.
    pub service: Text,
    /// `stdout`, `stderr` or `file:PATH`, escaped.
    pub source: Text,
    /// When it was written.
    pub time: WallTime,
    /// The text, escaped for printing except for line breaks.
    pub line: String,
    /// The id that it carries.
    pub context: Option<LogContext>,
    /// The server exchange that it was written for.
    pub request: Option<ExchangeId>,
    /// How `request` was found, or why not.
    pub attribution: Attribution,
    /// The likeliest request where no evidence names one, if that was asked for. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inferred: Option<Inferred>,
    /// The judgement.
    pub verdict: LogVerdict,
}

/// What a line says about its trace.
#[derive(Clone, Debug, Serialize)]
pub struct LogContext {
    /// Field that holds the id.
    pub field: Text,
    /// The id as written, escaped.
    pub trace_id: Text,
}
