//! Tier 3, executions that are finer than threads: goroutines, contexts of asyncio tasks.
//!
//! Threads that serve many requests at once prove nothing, the executions on them do, and looking
//! back: **the execution that writes a response owned the request**, from the moment when it was
//! read. So work of an execution belongs to the request that it answers next, if that had been read
//! before the work was done.
//!
//! An execution that was begun by another one does the work of whoever its parent was serving
//! at that moment, until the response is complete. What goes on after that serves the process (a
//! worker that was started lazily, during some request), so that what it seemed to inherit is
//! withdrawn: hence it is waited for a while after the response.
//!
//! An execution that answers two requests which overlap in time is shared and proves nothing. So an
//! answer counts only after the requests that were open when it was written have been answered too,
//! by then with others known as the owners, or after a bounded wait.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::rest::{Changes, Rest};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::record::{Execution, ExecutionKind};
use crate::text::{Text, printable};

/// Executions that are remembered; beyond that the one that was idle longest is forgotten.
const MAX_LIVES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Processes for which it is remembered why their executions can't be told apart.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Answers that are remembered of one execution.
const MAX_ANSWERS: usize = 256;

/// How far ancestry is followed.
const MAX_DEPTH: usize = 16;

/// How long after a response it is waited whether an execution that was begun for the request goes
/// on, nanoseconds.
pub(super) const OUTLIVES: u64 = 1_000_000_000;

/// How long after an answer it is waited at most for the requests that were open then, nanoseconds.
pub(super) const OVERLAPS: u64 = 5_000_000_000;

/// One life of an execution; identities are given out again, these are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LifeId(u64);

impl LifeId {
    /// Of executions that are followed elsewhere.
    pub(super) const NONE: Self = Self(u64::MAX);

    /// Stands for all that can change of a life.
    fn anything(self) -> u64 {
        self.0.wrapping_mul(2)
    }

    /// Stands for what is known of the answers that it gave.
    fn answered(self) -> u64 {
        self.0.wrapping_mul(2).wrapping_add(1)
    }
}

type Key = (Tgid, ExecutionKind, u64);

/// All executions that are remembered.
#[derive(Debug)]
pub(super) struct Executions {
    current: LruCache<Key, LifeId>,
    lives: LruCache<LifeId, Life>,
    next: u64,
    /// Processes whose executions can't be told apart, and why.
    unavailable: LruCache<Tgid, Text>,
    /// How often lives have changed, by [`LifeId::anything`] and [`LifeId::answered`].
    changes: Changes,
}

#[derive(Debug)]
struct Life {
    id: u64,
    /// Who began it, and when; absent if that was not seen.
    birth: Option<(LifeId, KernelNanos)>,
    /// Requests that it answered, in the order of their responses.
    answers: VecDeque<Answer>,
    /// It answered requests that overlap in time.
    shared: bool,
    active: KernelNanos,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    request: Seq,
    since: KernelNanos,
    until: KernelNanos,
    /// Requests with a lower number had begun by then.
    watermark: Seq,
}

/// For which request an execution did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It answered this request.
    Answered(Seq),
    /// It was begun for this request by the execution that answered it.
    Begun {
        request: Seq,
        /// Identity of the execution that answered.
        by: u64,
    },
    /// It answers several requests at once.
    Shared,
    /// It went on after the request that it was begun for.
    Outlived,
    /// It was not watched, or what would confirm its request was not.
    Unwatched,
    /// Nothing is known.
    Unknown,
}

/// An [`Owner`], and whether that can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) owner: Owner,
    pub(super) settled: bool,
}

impl Finding {
    /// That nothing is known, which may be `settled`.
    pub(super) fn unknown(settled: bool) -> Self {
        let owner = Owner::Unknown;
        Self { owner, settled }
    }
}

/// What is known of a process when an owner is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) time: KernelNanos,
    /// The oldest request that is open in the process.
    pub(super) oldest_open: Option<Seq>,
}

impl Now {
    pub(super) fn all_before_ended(&self, watermark: Seq) -> bool {
        self.oldest_open.is_none_or(|oldest| oldest >= watermark)
    }
}

impl Default for Executions {
    fn default() -> Self {
        Self {
            current: LruCache::sparse(MAX_LIVES),
            lives: LruCache::sparse(MAX_LIVES),
            next: 0,
            unavailable: LruCache::sparse(MAX_PROCESSES),
            changes: Changes::default(),
        }
    }
}

impl Executions {
    /// How often lives have changed.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The executions of a process can't be told apart.
    pub(super) fn unavailable(&mut self, tgid: Tgid, why: &str) {
        self.unavailable.push(tgid, printable(why).into());
    }

    /// The executions of a process can be told apart.
    pub(super) fn available(&mut self, tgid: Tgid) {
        self.unavailable.pop(&tgid);
    }

    /// Why the executions of a process can't be told apart, if that is so.
    pub(super) fn why_unavailable(&self, tgid: Tgid) -> Option<Text> {
        self.unavailable.peek(&tgid).cloned()
    }

    /// An execution did something.
    pub(super) fn acted(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> LifeId {
        let id = self.life(tgid, execution, time);
        if let Some(life) = self.lives.get_mut(&id)
            && life.active < time
        {
            life.active = time;
            self.changes.changed(id.anything());
        }
        id
    }

    /// The life of an execution, which need not have done anything at `time`.
    pub(super) fn life(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> LifeId {
        let key = (tgid, execution.kind, execution.id);
        match self.current.get(&key) {
            Some(id) => *id,
            None => self.begin(key, None, time),
        }
    }

    /// An execution was begun by another one, or by none. What had its identity before has ended.
    pub(super) fn begun(&mut self, tgid: Tgid, child: Execution, time: KernelNanos) {
        let birth = (child.origin != 0).then(|| {
            let parent = Execution {
                id: child.origin,
                origin: 0,
                ..child
            };
            (self.acted(tgid, parent, time), time)
        });
        self.begin((tgid, child.kind, child.id), birth, time);
    }

    fn begin(
        &mut self,
        key: Key,
        birth: Option<(LifeId, KernelNanos)>,
        time: KernelNanos,
    ) -> LifeId {
        let id = LifeId(self.next);
        self.next += 1;
        let life = Life {
            id: key.2,
            birth,
            answers: VecDeque::new(),
            shared: false,
            active: time,
        };
        self.current.push(key, id);
        if let Some((forgotten, _)) = self.lives.push(id, life) {
            self.changes.changed(forgotten.anything());
            self.changes.changed(forgotten.answered());
        }
        id
    }

    /// An execution wrote the response to `request`, which was read at `since`. Requests from
    /// `watermark` on have not begun yet.
    pub(super) fn answered(
        &mut self,
        id: LifeId,
        request: Seq,
        since: KernelNanos,
        until: KernelNanos,
        watermark: Seq,
    ) {
        if let Some(life) = self.lives.get_mut(&id)
            && !life.shared
            && life.answers.iter().any(|a| since < a.until)
        {
            life.shared = true;
            self.changes.changed(id.answered());
        }
        self.answered_alone(id, request, since, until, watermark);
    }

    /// The same of an execution that takes up a request only when it has answered the one before, by design; so what
    /// it did before that was not for this one, whenever it was read.
    pub(super) fn answered_alone(
        &mut self,
        id: LifeId,
        request: Seq,
        since: KernelNanos,
        until: KernelNanos,
        watermark: Seq,
    ) {
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        self.changes.changed(id.anything());
        if life.answers.len() == MAX_ANSWERS {
            life.answers.pop_front();
            self.changes.changed(id.answered());
        }
        // They are searched by when they were over.
        let before = life.answers.back().map_or(until, |last| last.until);
        life.answers.push_back(Answer {
            request,
            since,
            until: until.max(before),
            watermark,
        });
    }

    /// For which request `life` worked at `time`; for how long that holds, if it is not settled, goes to `rest`.
    pub(super) fn follow(
        &self,
        life: LifeId,
        time: KernelNanos,
        now: Now,
        rest: &mut Rest,
    ) -> Finding {
        self.follow_up(life, time, now, rest, 0).0
    }

    /// The same with the answer that it rests on, if it does: who wrote it, and when that was over.
    fn follow_up(
        &self,
        id: LifeId,
        time: KernelNanos,
        now: Now,
        rest: &mut Rest,
        depth: usize,
    ) -> (Finding, Option<(u64, KernelNanos)>) {
        let alone = |owner, settled| (Finding { owner, settled }, None);
        let Some(life) = self.lives.peek(&id) else {
            return alone(Owner::Unknown, true);
        };
        if life.shared {
            return alone(Owner::Shared, true);
        }
        let next = life.answers.partition_point(|answer| answer.until < time);
        let next = life.answers.get(next);
        if let Some(answer) = next.filter(|answer| answer.since <= time) {
            // Later ones do not come before it, whatever else the life does.
            rest.on(&self.changes, id.answered());
            rest.no_longer_than(answer.until, OVERLAPS);
            rest.while_open(answer.watermark);
            let found = Finding {
                owner: Owner::Answered(answer.request),
                settled: now.all_before_ended(answer.watermark)
                    || now.time.since(answer.until) > OVERLAPS,
            };
            return (found, Some((life.id, answer.until)));
        }
        rest.on(&self.changes, id.anything());
        let Some((parent, birth)) = life.birth.filter(|_| depth < MAX_DEPTH) else {
            return alone(Owner::Unknown, false);
        };
        let (found, answer) = self.follow_up(parent, birth, now, rest, depth + 1);
        (inherited(life, time, now, found, answer, rest), answer)
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.unavailable.pop(&tgid);
        cache::remove(&mut self.current, |key, _| key.0 == tgid);
    }
}

/// What a life inherits of what was found for its parent at its birth, which rests on `answer`.
fn inherited(
    life: &Life,
    time: KernelNanos,
    now: Now,
    found: Finding,
    answer: Option<(u64, KernelNanos)>,
    rest: &mut Rest,
) -> Finding {
    let request = match found.owner {
        Owner::Answered(request) | Owner::Begun { request, .. } => request,
        Owner::Shared | Owner::Outlived | Owner::Unwatched | Owner::Unknown => return found,
    };
    let Some((by, until)) = answer else {
        return found;
    };
    if time > until || life.active > until {
        return Finding {
            owner: Owner::Outlived,
            settled: true,
        };
    }
    if now.time.since(until) <= OUTLIVES {
        rest.whatever_is_open();
        rest.no_longer_than(until, OUTLIVES);
    }
    Finding {
        owner: Owner::Begun { request, by },
        settled: found.settled && now.time.since(until) > OUTLIVES,
    }
}

#[cfg(test)]
mod tests;
