//! Processes whose runtime keeps threads for what is to run next, and whether what is told of that holds.
//!
//! That a thread is kept is told by where it waits: near the top of its stack. A thread of a library may wait there in the middle of
//! something, for its time to come or for work. Then it goes on without having been given anything. So where threads were not seen to be given
//! something as it is said of them, what becomes of each is waited for.
//!
//! Where threads are kept is known once the first was seen to wait. One that was given something right before that, as it was about to wait itself, ran two
//! things one after the other, and nothing told the second. How often threads are given something at such a moment shows later: where it
//! never happened in a hundred times, what ran in a thread that began before the first one was kept counts as one thing.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::births::BirthId;
use super::cache;
use crate::ids::{KernelNanos, Tgid, Tid};

/// Processes that are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Threads that are remembered while they are kept.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Of so many threads that were kept, one may do something without having been seen to be given it.
const TOLERATED: u32 = 20;

/// So many threads must have been given something, each after it was seen to wait, for what ran before the first one was kept to count as one thing.
const PROVEN: u32 = 100;

/// What ran in a thread from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lives {
    /// One thing.
    One,
    /// One thing, if threads of the process turn out to be given something only when they wait.
    Presumed,
    /// Perhaps several, one after the other.
    Several,
}

/// How a process keeps threads.
#[derive(Clone, Copy, Debug, Default)]
struct Keeper {
    /// Since when it is certain that it was told whenever a thread was given something to run; `None` while it is not.
    since: Option<KernelNanos>,
    /// Threads that were told to be kept and were given something to run next.
    shown: u32,
    /// Such as did something without having been given anything.
    broken: u32,
    /// Threads that were given something when they were not seen to wait, or it was not seen which.
    early: u32,
}

impl Keeper {
    fn gives_only_to_waiting(self) -> bool {
        self.early == 0 && self.broken == 0
    }
}

/// All that is known of kept threads.
#[derive(Debug)]
pub(super) struct Keepers {
    processes: LruCache<Tgid, Keeper>,
    /// Threads that are kept, and the last birth in each.
    threads: LruCache<Tid, (Tgid, Option<BirthId>)>,
}

impl Default for Keepers {
    fn default() -> Self {
        Self {
            processes: LruCache::sparse(MAX_PROCESSES),
            threads: LruCache::sparse(MAX_THREADS),
        }
    }
}

impl Keepers {
    /// It is told of a process which threads are kept and given something to run.
    pub(super) fn tells(&mut self, tgid: Tgid, time: KernelNanos) {
        let keeper = self.processes.get_or_insert_mut(tgid, Keeper::default);
        keeper.since.get_or_insert(time);
    }

    /// Some thread of a process was given something to run, and it is not known which; perhaps it won't be told of others either.
    pub(super) fn doubted(&mut self, tgid: Tgid) {
        let keeper = self.processes.get_or_insert_mut(tgid, Keeper::default);
        keeper.since = None;
        keeper.early = keeper.early.saturating_add(1);
    }

    /// What ran in a thread of a process since `born`.
    pub(super) fn lives(&self, tgid: Tgid, born: KernelNanos) -> Lives {
        let Some(keeper) = self.processes.peek(&tgid) else {
            return Lives::One;
        };
        match keeper.since {
            Some(since) if born >= since => Lives::One,
            Some(_) if keeper.gives_only_to_waiting() => Lives::Presumed,
            _ => Lives::Several,
        }
    }

    /// Whether threads of a process were seen to be given something only when they waited, and often.
    pub(super) fn gives_only_to_waiting(&self, tgid: Tgid) -> bool {
        let keeper = self.processes.peek(&tgid);
        keeper.is_some_and(|k| k.gives_only_to_waiting() && k.shown >= PROVEN)
    }

    /// Whether threads of a process were seen to be kept and given something.
    pub(super) fn keeps(&self, tgid: Tgid) -> bool {
        let keeper = self.processes.peek(&tgid);
        keeper.is_some_and(|k| k.shown > 0 && k.broken.saturating_mul(TOLERATED) <= k.shown)
    }

    /// A thread seems to be kept.
    pub(super) fn parked(&mut self, tgid: Tgid, tid: Tid, birth: Option<BirthId>) {
        self.threads.push(tid, (tgid, birth));
    }

    /// A thread is given something to run.
    pub(super) fn given(&mut self, tgid: Tgid, tid: Tid) {
        let waited = self.threads.contains(&tid);
        if let Some(keeper) = self.processes.get_mut(&tgid) {
            let count = if waited {
                &mut keeper.shown
            } else {
                &mut keeper.early
            };
            *count = count.saturating_add(1);
        }
    }

    /// A thread is not kept any more. Returns the last birth in it.
    pub(super) fn unparked(&mut self, tid: Tid) -> Option<BirthId> {
        self.threads.pop(&tid)?.1
    }

    /// A thread does something. If it seemed to be kept, the last birth in it is returned, which has not ended.
    pub(super) fn woke(&mut self, tid: Tid) -> Option<BirthId> {
        if self.threads.is_empty() {
            return None;
        }
        let (tgid, birth) = self.threads.pop(&tid)?;
        if let Some(keeper) = self.processes.get_mut(&tgid) {
            // Or a record was lost.
            keeper.since = None;
            keeper.broken = keeper.broken.saturating_add(1);
        }
        birth
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
        cache::remove(&mut self.threads, |_, (of, _)| *of == tgid);
    }
}
