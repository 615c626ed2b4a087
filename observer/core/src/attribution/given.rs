//! Tier 4, tasks that are given directly: who wakes an idle worker hands its task to that very worker.
//!
//! An asynchronous client of Java (`HttpClient.sendAsync`) gives each task to a thread of a cached pool, through a queue
//! that holds nothing (`SynchronousQueue`): the thread that is woken runs the task of the one that woke it. It takes a connection as its first act, and
//! whoever wants the response waits, in one wait, until it has come.
//!
//! A queue that holds tasks looks the same, but there another worker may have taken the task before the one that was woken
//! got to it; and threads wake each other for locks. That shows: the thread whose call it seemed to be goes on before the response has come. So
//! this is believed only in a process where it practically never does, in at least a hundred cases, and whose requests' threads take
//! no connections themselves (they would wake workers for other reasons, too).

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::subject::Hold;
use super::wakes::{DELAY, Other};
use crate::ids::{KernelNanos, Seq, Tgid, Tid};

/// Threads whose history is kept.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// What is kept of one thread's history.
const MAX_HISTORY: usize = 128;

/// What one thread may have done unseen, as far as it is kept.
const MAX_UNSEEN: usize = 32;

/// Calls that are followed, and those of which it is known who gave them.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");

/// How long after it was woken a worker takes a connection for the task that it was given, and how long after that the call
/// is written, nanoseconds. (Measured: 0.08 ms, at most 4.5 ms.)
const AT_ONCE: u64 = 20_000_000;

/// Processes that are counted.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Cases after which it is known how a process's tasks are given.
const MIN_CASES: u32 = 100;

/// Of so many first acts after a wake one may not be the waker's.
const BROKEN: u32 = 1_000;

/// Of so many, one later act may overlap with something that the waker does, and one call may be made by the
/// thread of a request itself.
const OTHERWISE: u32 = 100;

/// What a thread did.
#[derive(Debug)]
enum Past {
    /// It moved bytes, or took a connection.
    Acted(KernelNanos),
    /// It waited.
    Waited {
        since: KernelNanos,
        /// When it was woken, and when it went on.
        woken: KernelNanos,
        until: KernelNanos,
        by: Other,
    },
}

impl Past {
    fn time(&self) -> KernelNanos {
        match self {
            Self::Acted(time) => *time,
            Self::Waited { until, .. } => *until,
        }
    }
}

/// A call of a worker that was woken.
#[derive(Debug)]
struct Call {
    tgid: Tgid,
    worker: Tid,
    by: Other,
    woken: KernelNanos,
    /// When the connection was taken.
    taken: KernelNanos,
    /// When the call was written.
    written: KernelNanos,
    /// Taking the connection was the worker's first act.
    first: bool,
}

/// A thread may have taken the connection of a call between two moments.
#[derive(Clone, Copy, Debug)]
struct Unseen {
    call: Seq,
    since: KernelNanos,
    until: KernelNanos,
}

/// How the tasks of a process are given.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    cases: u32,
    /// First acts after which the waker went on before the response had come.
    broken: u32,
    /// Later ones.
    later: u32,
    /// Calls that the thread of a request made itself.
    own: u32,
}

/// Tasks that were given directly.
#[derive(Debug)]
pub(super) struct Given {
    threads: LruCache<Tid, VecDeque<Past>>,
    /// When threads may have taken connections unseen.
    unseen: LruCache<Tid, VecDeque<Unseen>>,
    calls: LruCache<Seq, Call>,
    /// Calls that have ended, in order, to be looked at a moment later.
    ended: VecDeque<(KernelNanos, Seq)>,
    by: LruCache<Seq, Other>,
    processes: LruCache<Tgid, Habits>,
}

impl Habits {
    fn saw(&mut self, first: bool, went_on: bool) {
        let went_on = u32::from(went_on);
        if first {
            self.cases = self.cases.saturating_add(1);
            self.broken = self.broken.saturating_add(went_on);
        } else {
            self.later = self.later.saturating_add(went_on);
        }
    }
}

impl Default for Given {
    fn default() -> Self {
        Self {
            threads: LruCache::sparse(MAX_THREADS),
            unseen: LruCache::sparse(MAX_THREADS),
            calls: LruCache::sparse(MAX_CALLS),
            ended: VecDeque::new(),
            by: LruCache::sparse(MAX_CALLS),
            processes: LruCache::sparse(MAX_PROCESSES),
        }
    }
}

impl Given {
    /// A thread moved bytes, or took a connection.
    pub(super) fn acted(&mut self, tid: Tid, time: KernelNanos) {
        self.past(tid, Past::Acted(time));
    }

    /// A thread has waited, and was woken by `by`.
    pub(super) fn waited(
        &mut self,
        tid: Tid,
        since: KernelNanos,
        woken: KernelNanos,
        until: KernelNanos,
        by: Other,
    ) {
        let waited = Past::Waited {
            since,
            woken,
            until,
            by,
        };
        self.past(tid, waited);
    }

    fn past(&mut self, tid: Tid, past: Past) {
        let history = self.threads.get_or_insert_mut(tid, VecDeque::new);
        if history.len() == MAX_HISTORY {
            history.pop_front();
        }
        // Records of one thread come nearly in order.
        let at = history.iter().rposition(|p| p.time() <= past.time());
        history.insert(at.map_or(0, |at| at + 1), past);
    }

    /// A thread may have taken the connection of a call at some time between two moments.
    pub(super) fn unseen(&mut self, tid: Tid, call: Seq, since: KernelNanos, until: KernelNanos) {
        if !self.threads.contains(&tid) {
            return;
        }
        let unseen = self.unseen.get_or_insert_mut(tid, VecDeque::new);
        if unseen.len() == MAX_UNSEEN {
            unseen.pop_front();
        }
        unseen.push_back(Unseen { call, since, until });
    }

    /// Whether a worker may have done something else between its being woken and its call.
    fn did_unseen(&self, seq: Seq, call: &Call) -> bool {
        self.unseen.peek(&call.worker).is_some_and(|unseen| {
            let full = unseen.len() == MAX_UNSEEN;
            let forgotten = full && unseen.front().is_some_and(|first| first.until > call.woken);
            let other =
                |u: &Unseen| u.call != seq && u.since <= call.taken && u.until >= call.woken;
            forgotten || unseen.iter().any(other)
        })
    }

    /// The thread of a request makes a call itself.
    pub(super) fn own(&mut self, tgid: Tgid) {
        let habits = self.processes.get_or_insert_mut(tgid, Habits::default);
        habits.own = habits.own.saturating_add(1);
    }

    /// A call was written at `written`, for which the worker `tid` had taken a connection at `taken`.
    pub(super) fn called(
        &mut self,
        (tgid, tid): (Tgid, Tid),
        call: Seq,
        taken: KernelNanos,
        written: KernelNanos,
    ) {
        let Some(history) = self.threads.peek(&tid) else {
            return;
        };
        let mut acted = false;
        for past in history.iter().rev().filter(|past| past.time() < taken) {
            match past {
                Past::Acted(_) => acted = true,
                Past::Waited {
                    woken, until, by, ..
                } => {
                    let at_once = taken.since(*until) <= AT_ONCE && written.since(taken) <= AT_ONCE;
                    if at_once && matches!(by.hold, Hold::Serving(_) | Hold::Born(_)) {
                        let call_of = Call {
                            tgid,
                            worker: tid,
                            by: by.clone(),
                            woken: *woken,
                            taken,
                            written,
                            first: !acted,
                        };
                        self.calls.push(call, call_of);
                    }
                    return;
                }
            }
        }
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, call: Seq, time: KernelNanos) {
        if self.calls.contains(&call) {
            self.ended.push_back((time, call));
        }
    }

    /// Looks at calls that ended a moment ago; at all when `stopping`.
    pub(super) fn look(&mut self, now: KernelNanos, stopping: bool) {
        while let Some((time, seq)) = self.ended.front().copied()
            && (stopping || now.since(time) > 2 * DELAY)
        {
            self.ended.pop_front();
            if let Some(call) = self.calls.pop(&seq) {
                self.judge(seq, call, time);
            }
        }
    }

    fn judge(&mut self, seq: Seq, call: Call, ended: KernelNanos) {
        let Some(history) = self.threads.peek(&call.by.tid) else {
            return;
        };
        // What it did then may be forgotten.
        let forgotten = history.front().is_none_or(|past| past.time() > call.woken)
            && history.len() == MAX_HISTORY;
        if forgotten || self.did_unseen(seq, &call) {
            return;
        }
        let went_on = history
            .iter()
            .any(|past| matches!(past, Past::Acted(time) if (call.woken..=ended).contains(time)));
        let first_wait = history.iter().find_map(|past| match past {
            Past::Waited { since, woken, .. } if *woken > call.woken => Some((*since, *woken)),
            _ => None,
        });
        let waited = first_wait.is_some_and(|(since, woken)| {
            (call.woken..=call.written).contains(&since) && woken >= ended
        });
        // A thread that was started for a request may as well be another worker, which wakes whom it likes.
        if matches!(call.by.hold, Hold::Serving(_)) {
            let habits = self.processes.get_or_insert_mut(call.tgid, Habits::default);
            habits.saw(call.first, went_on);
        }
        if call.first && waited && !went_on {
            self.by.push(seq, call.by);
        }
    }

    /// Who gave a call to the worker that made it, if that is what it looks like.
    pub(super) fn by(&self, call: Seq) -> Option<&Other> {
        self.by.peek(&call)
    }

    /// Whether it is not known yet who gave a call.
    pub(super) fn is_open(&self, call: Seq) -> bool {
        self.calls.contains(&call)
    }

    /// Whether the tasks of a process are given directly, as far as that shows.
    pub(super) fn believes(&self, tgid: Tgid) -> bool {
        self.processes.peek(&tgid).is_some_and(|habits| {
            let rare = |count: u32, n: u32| count.saturating_mul(n) <= habits.cases;
            habits.cases >= MIN_CASES
                && rare(habits.broken, BROKEN)
                && rare(habits.later, OTHERWISE)
                && rare(habits.own, OTHERWISE)
        })
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
    }
}
