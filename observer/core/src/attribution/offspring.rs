//! Processes that were seen to begin, and what those that began them did then.
//!
//! A process that another one begins while that serves requests (a command that a handler runs, a child that answers
//! in its parent's place) may work for one of these requests, which are not its own. One that was not seen to begin
//! may have been at work for a request that came in before watching began.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ids::{KernelNanos, Tgid};

/// Processes that are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// How long a request may be in flight that came in before watching began, nanoseconds. Longer ones are rare, and what
/// is said of their work accuses nobody.
const BEFORE: u64 = 5_000_000_000;

/// Processes that were seen to begin.
#[derive(Debug)]
pub(super) struct Offspring {
    /// Whether they were begun amid requests.
    amid: LruCache<Tgid, bool>,
    /// When watching began.
    since: KernelNanos,
}

impl Default for Offspring {
    fn default() -> Self {
        Self {
            amid: LruCache::sparse(MAX_PROCESSES),
            since: KernelNanos(0),
        }
    }
}

impl Offspring {
    /// Watching began.
    pub(super) fn watched_since(&mut self, since: KernelNanos) {
        self.since = since;
    }

    /// A process began, `amid` requests of the one that began it.
    pub(super) fn began(&mut self, child: Tgid, amid: bool) {
        self.amid.push(child, amid);
    }

    /// A process began to run another program.
    pub(super) fn runs_anew(&mut self, tgid: Tgid) {
        self.amid.get_or_insert(tgid, || false);
    }

    /// Whether a process was begun amid requests.
    pub(super) fn is_begun_amid(&self, tgid: Tgid) -> bool {
        self.amid.peek(&tgid).is_some_and(|amid| *amid)
    }

    /// Whether a process may at a moment be at work for a request that came in before watching began.
    pub(super) fn may_serve_earlier(&self, tgid: Tgid, time: KernelNanos) -> bool {
        time.since(self.since) < BEFORE && !self.amid.contains(&tgid)
    }
}
