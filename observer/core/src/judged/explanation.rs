//! The whole story of one attribution, for the person who doubts it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Attribution, ExchangeId, WallTime};
use crate::ids::{Seq, Tgid, Tid};
use crate::text::Text;

/// Identity of a log line in the output: `l` and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(pub Seq);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", self.0.0)
    }
}

impl Serialize for LogId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is to be explained: a call or a log line, by the id that the output gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SubjectId(pub Seq);

/// Not an id of a call or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an id: calls are named x and a number, log lines l and a number, as in the JSON output"
)]
pub struct NotAnId;

impl FromStr for SubjectId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let number = text.strip_prefix(['x', 'l']).ok_or(NotAnId)?;
        number.parse().map(|n| Self(Seq(n))).map_err(|_| NotAnId)
    }
}

/// The whole story of one attribution.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The call or line, as the output names it.
    pub of: Text,
    /// The process that did it.
    pub pid: Tgid,
    /// The thread that did it.
    pub tid: Tid,
    /// The execution that did it, where the runtime has finer ones than threads.
    pub execution: Option<Text>,
    /// When.
    pub time: WallTime,
    /// Requests that the process was serving then, oldest first.
    pub candidates: Vec<Candidate>,
    /// Each kind of evidence, and what it says.
    pub evidence: Vec<Weighed>,
    /// Requests that came in with the trace-id that it carries.
    pub same_trace: Vec<ExchangeId>,
    /// The request that was chosen.
    pub request: Option<ExchangeId>,
    /// How it was chosen, or why none was.
    pub attribution: Attribution,
}

/// A request that something may have been done for.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// The request.
    pub request: ExchangeId,
    /// The thread that read it.
    pub tid: Tid,
    /// When its first byte was read.
    pub since: WallTime,
    /// When its response was complete; absent while it is not.
    pub until: Option<WallTime>,
    /// What its thread proves.
    pub thread: Text,
}

/// One kind of evidence, and what it says.
#[derive(Clone, Debug, Serialize)]
pub struct Weighed {
    /// The kind.
    pub of: &'static str,
    /// The request that it names.
    pub request: Option<ExchangeId>,
    /// How likely it is right by itself, 0–1.
    pub confidence: Option<f32>,
    /// What it rests on, or why it names none.
    pub says: Text,
}
