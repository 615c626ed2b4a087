//! Requests that a process serves or has served lately.

use std::sync::Arc;

use std::fmt;

use super::parted::Carrying;
use super::workers::Workers;
use crate::context::Carrier;
use crate::exchange::{Begun, Ended};
use crate::ids::{FileId, KernelNanos, Seq, Tid};
use crate::judged::Reason;

/// Whether one thread is known to have done all the work on a request, and nothing else meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The thread read the request in a way that a thread which serves others at the same time can't.
    Held(Tid),
    /// The same thread wrote the response, and did nothing that speaks against it in between.
    Confirmed(Tid),
    /// Something speaks against it.
    Broken(Broken),
}

/// Why a thread is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It waits for several connections at once.
    Shared,
    /// It took up another request before it had answered.
    Interleaved,
    /// Another thread wrote the response.
    AnsweredElsewhere,
    /// The response was not completed by it.
    Unanswered,
}

impl Claim {
    /// Whether nothing that is still to come can change it for the better.
    #[must_use]
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Held(_))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(tid) => write!(f, "thread {tid} serves it, nothing speaks against it yet"),
            Self::Confirmed(tid) => write!(f, "thread {tid} did all the work on it"),
            Self::Broken(why) => write!(f, "its thread is no evidence: {}", why.reason()),
        }
    }
}

impl Broken {
    /// The reason in the output's words.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Shared => Reason::SharedThread,
            Self::Interleaved => Reason::Interleaved,
            Self::AnsweredElsewhere => Reason::AnsweredElsewhere,
            Self::Unanswered => Reason::Unanswered,
        }
    }
}

/// A request that a process serves or has served lately.
#[derive(Debug)]
pub struct Served {
    /// Its number.
    pub seq: Seq,
    /// Connection that it came in on.
    pub file: FileId,
    /// The thread that read it.
    pub tid: Tid,
    /// When its first byte was read.
    pub since: KernelNanos,
    /// When it ended.
    pub until: Option<KernelNanos>,
    /// What came in.
    pub carrier: Arc<Carrier>,
    /// What its thread proves.
    pub claim: Claim,
    /// It was read without blocking: the claim is good only if the process's threads are known to
    /// serve one request at a time.
    pub tentative: bool,
    /// The thread is by its name a worker that is given one request at a time.
    pub worker: bool,
    /// Another request was in flight when it came in.
    pub overlaps: bool,
    /// No other request was in flight at any time while it was.
    pub alone: bool,
    /// Its process made the call that it is, so that its ids were in there before it came.
    pub own: bool,
    /// The request for which that call was made, once that is known.
    pub asker: Option<Seq>,
    /// Its method, host and path without what looks like a value.
    pub route: u64,
    /// Calls that carried its id.
    pub(super) carrying: Carrying,
}

/// The thread that has read a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    /// What it proves.
    pub(super) claim: Claim,
    /// It is by its name a worker that is given one request at a time.
    pub(super) worker: bool,
}

impl Served {
    pub(super) fn new(begun: &Begun, by: Reader, overlaps: bool, own: bool) -> Self {
        Self {
            seq: begun.seq,
            file: begun.file,
            tid: begun.moved.tid,
            since: begun.moved.since,
            until: None,
            carrier: Arc::clone(&begun.head.carrier),
            claim: by.claim,
            tentative: begun.moved.nonblocking,
            worker: by.worker,
            overlaps,
            alone: !overlaps,
            own,
            asker: None,
            route: Workers::route(begun),
            carrying: Carrying::default(),
        }
    }

    /// Whether it was in flight at `time`, and has ended since.
    pub(super) fn lasted_over(&self, time: KernelNanos) -> bool {
        self.since <= time && self.until.is_some_and(|until| until >= time)
    }

    /// The request has ended: settles the claim. Returns whether it is confirmed.
    pub(super) fn confirm(&mut self, ended: &Ended) -> bool {
        self.until = Some(ended.time);
        let Claim::Held(tid) = self.claim else {
            return false;
        };
        self.claim = match ended.outcome {
            Ok(response) if response.tid == tid && response.one_thread => Claim::Confirmed(tid),
            Ok(_) => Claim::Broken(Broken::AnsweredElsewhere),
            Err(_) if ended.closed_by == Some(tid) => Claim::Confirmed(tid),
            Err(_) => Claim::Broken(Broken::Unanswered),
        };
        matches!(self.claim, Claim::Confirmed(_))
    }
}
