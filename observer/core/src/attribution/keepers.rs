//! Processes whose runtime keeps threads for what is to run next, and whether what is told of that holds.
//!
//! That a thread is kept is told by where it waits: near the top of its stack. A thread of a library may wait there in the middle of
//! something, for its time to come or for work. Then it goes on without having been given anything. So where threads were not seen to be given
//! something as it is said of them, what becomes of each is waited for.

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

/// How a process keeps threads.
#[derive(Clone, Copy, Debug, Default)]
struct Keeper {
    /// Since when it is certain that it was told whenever a thread was given something to run; `None` while it is not.
    since: Option<KernelNanos>,
    /// Threads that were told to be kept and were given something to run next.
    shown: u32,
    /// Such as did something without having been given anything.
    broken: u32,
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
    }

    /// Whether what ran in a thread of a process since `born` may have been several threads, one after the other.
    pub(super) fn may_be_several(&self, tgid: Tgid, born: KernelNanos) -> bool {
        let keeper = self.processes.peek(&tgid);
        keeper.is_some_and(|k| k.since.is_none_or(|since| born < since))
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
        if self.threads.contains(&tid)
            && let Some(keeper) = self.processes.get_mut(&tgid)
        {
            keeper.shown = keeper.shown.saturating_add(1);
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
