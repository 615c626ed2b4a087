//! What becomes of requests, and whether they were answered where they should have been.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ids::{KernelNanos, Seq, Tgid};

/// Requests that are remembered.
const MAX_REQUESTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Processes that are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Of this many requests one may be answered in another's turn; if there are more, nothing of the process counts.
const TOLERATED: u32 = 2_000;

/// Of this many requests one may be answered in a turn of none: after a timer, or in an immediate that a client keeps for whoever
/// comes. If more are, they are woken by what wakes others too.
const TOLERATED_LOST: u32 = 20;

/// Answers after which the process is known well enough not to wait for more.
const KNOWN: u32 = 100;

/// Counts are halved when they reach this, so that what is long past counts less.
const MAX_COUNT: u32 = 4_096;

#[derive(Debug)]
pub(super) struct Requests {
    requests: LruCache<Seq, Request>,
    processes: LruCache<Tgid, Counts>,
}

#[derive(Debug)]
struct Request {
    until: Option<(KernelNanos, Seq)>,
    /// The turn in which it was read was its own.
    followed: bool,
    /// It was answered in a turn of its own.
    proven: bool,
    /// Another request was answered in a turn of it, or something that was begun for it goes on.
    spoilt: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    own: u32,
    foreign: u32,
    /// Answered in a turn of none.
    lost: u32,
}

/// What a request's turns are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known of it.
    Forgotten,
    /// It has not been answered.
    Open,
    /// It was not seen to be answered in one of its turns.
    Unproven,
    /// Its turns serve others too.
    Shared,
    /// It was answered in one of its turns.
    Proven {
        /// When.
        until: KernelNanos,
        /// Requests with a lower number had begun by then.
        watermark: Seq,
        /// So many others were, too, that the process hardly answers requests in others' turns.
        usual: bool,
    },
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            requests: LruCache::new(MAX_REQUESTS),
            processes: LruCache::new(MAX_PROCESSES),
        }
    }
}

impl Requests {
    pub(super) fn begun(&mut self, request: Seq) {
        self.requests.push(
            request,
            Request {
                until: None,
                followed: false,
                proven: false,
                spoilt: false,
            },
        );
    }

    pub(super) fn ended(&mut self, request: Seq, time: KernelNanos, watermark: Seq) {
        if let Some(request) = self.requests.get_mut(&request) {
            request.until = Some((time, watermark));
        }
    }

    /// Whether a request was still to be answered at `time`.
    pub(super) fn is_open(&self, request: Seq, time: KernelNanos) -> bool {
        let request = self.requests.peek(&request);
        request.is_some_and(|r| r.until.is_none_or(|(until, _)| until >= time))
    }

    /// A request was answered in a turn of `owner`.
    pub(super) fn answered_by(&mut self, tgid: Tgid, request: Seq, owner: Option<Seq>) {
        let counts = self.processes.get_or_insert_mut(tgid, Counts::default);
        if counts.own.max(counts.foreign).max(counts.lost) >= MAX_COUNT {
            counts.own /= 2;
            counts.foreign /= 2;
            counts.lost /= 2;
        }
        match owner {
            Some(owner) if owner == request => {
                counts.own += 1;
                if let Some(request) = self.requests.get_mut(&request) {
                    request.proven = true;
                }
            }
            Some(other) => {
                counts.foreign += 1;
                self.spoil(other);
                self.spoil(request);
            }
            None => {
                let request = self.requests.peek(&request);
                counts.lost += u32::from(request.is_some_and(|request| request.followed));
            }
        }
    }

    /// The turn in which a request was read has ended, and was its own.
    pub(super) fn followed(&mut self, request: Seq) {
        if let Some(request) = self.requests.get_mut(&request) {
            request.followed = true;
        }
    }

    /// What was done in turns of a request is not known to be done for it.
    pub(super) fn spoil(&mut self, request: Seq) {
        if let Some(request) = self.requests.get_mut(&request) {
            request.spoilt = true;
        }
    }

    pub(super) fn standing(&self, tgid: Tgid, request: Seq) -> Standing {
        let Some(request) = self.requests.peek(&request) else {
            return Standing::Forgotten;
        };
        let counts = self.processes.peek(&tgid).copied().unwrap_or_default();
        match request.until {
            _ if request.spoilt || counts.mixed() => Standing::Shared,
            None => Standing::Open,
            Some((until, watermark)) if request.proven => Standing::Proven {
                until,
                watermark,
                usual: counts.own >= KNOWN,
            },
            Some(_) => Standing::Unproven,
        }
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
    }
}

impl Counts {
    /// Whether requests are answered elsewhere than in their own turns more than now and then.
    fn mixed(self) -> bool {
        self.foreign * TOLERATED > self.own || self.lost * TOLERATED_LOST > self.own
    }
}
