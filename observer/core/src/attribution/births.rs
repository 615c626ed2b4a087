//! Tiers 3 and 4, births: what a thread does that was started for a request, and ends with it.
//!
//! A thread that is started while its parent works for a request *may* work for that request: it
//! may as well be a pool's thread, which was started then because there was none, and takes whatever
//! lies first in the pool's queue. The difference shows later. A pool's thread lives on; one that was
//! started for the request does nothing after its end, and ends. So nothing is concluded before
//! the thread has ended, and nothing from one that outlives its request.
//!
//! A runtime may keep ended threads and give them to what is to run next (Ruby): what runs in one then has a birth and an
//! end of its own (`keepers`). A life that began before that was told may be several, unless that hardly ever happens.
//!
//! The strongest form needs no parent: a thread that was born after a request had been read, wrote the
//! whole response of that request and of no other, and ended, did all its work for it.

use std::collections::VecDeque;

use super::keepers::{Keepers, Lives};
use super::subject::Hold;
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use hashbrown::HashMap;

/// How long after a request's end a thread that did nothing more may take to end, nanoseconds. (A
/// thread's end is noted after whoever waits for it was woken.)
pub(super) const GRACE: u64 = 1_000_000_000;

/// How long a thread is kept at most for what is to run next, nanoseconds. (Ruby: 3 s, `thread_pthread.c`, `THREAD_CACHE_TIME`.)
const KEEPS: u64 = 5_000_000_000;

/// Threads that are remembered.
const MAX_BIRTHS: usize = 65_536;

/// How long a thread that has ended is remembered, nanoseconds.
const RETENTION: u64 = 60_000_000_000;

/// Number of a thread's birth: thread ids are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BirthId(u64);

#[derive(Debug, Default)]
pub(super) struct Births {
    births: HashMap<BirthId, Birth>,
    /// In the order of their birth.
    order: VecDeque<(KernelNanos, BirthId)>,
    next: u64,
    keepers: Keepers,
}

/// A thread from its birth on.
#[derive(Debug)]
pub(super) struct Birth {
    tgid: Tgid,
    pub(super) tid: Tid,
    parent: Tid,
    /// What the parent was doing.
    pub(super) hold: Hold,
    pub(super) born: KernelNanos,
    pub(super) ended: Option<KernelNanos>,
    /// When it last moved bytes.
    last: KernelNanos,
    /// It runs in a thread that was kept, and has done nothing yet.
    fresh: bool,
    /// Of its end it is only known that its thread seems to be kept.
    kept: bool,
    /// It began before its process was seen to keep threads.
    presumed: bool,
    pub(super) answered: Answered,
    /// It has read a request itself, so it is a server's thread.
    serves: bool,
}

/// Requests that a thread wrote the response of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    None,
    /// It wrote the whole response of this one.
    One(Seq),
    /// Of several, or only a part.
    Several,
}

/// For what a thread that has ended was started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// For this request, of which it wrote the response.
    Answered(Seq),
    /// For what its parent was doing.
    Parent { tid: Tid, hold: Hold },
}

impl Births {
    /// The thread `parent`, which is doing what `hold` says, has started a thread.
    pub(super) fn began(
        &mut self,
        tgid: Tgid,
        parent: Tid,
        child: Tid,
        hold: Hold,
        time: KernelNanos,
    ) -> BirthId {
        self.forget(time);
        let id = BirthId(self.next);
        self.next += 1;
        let birth = Birth {
            tgid,
            tid: child,
            parent,
            hold,
            born: time,
            ended: None,
            last: time,
            fresh: false,
            kept: false,
            presumed: false,
            answered: Answered::None,
            serves: false,
        };
        self.births.insert(id, birth);
        self.order.push_back((time, id));
        id
    }

    pub(super) fn moved(&mut self, id: BirthId, time: KernelNanos) {
        if let Some(birth) = self.births.get_mut(&id) {
            birth.last = birth.last.max(time);
        }
    }

    pub(super) fn serves(&mut self, id: BirthId) {
        if let Some(birth) = self.births.get_mut(&id) {
            birth.serves = true;
        }
    }

    /// A thread wrote the end of a response, and `whole` if all of it.
    pub(super) fn answered(&mut self, id: BirthId, request: Seq, whole: bool) {
        if let Some(birth) = self.births.get_mut(&id) {
            birth.answered = match birth.answered {
                Answered::None if whole => Answered::One(request),
                _ => Answered::Several,
            };
        }
    }

    pub(super) fn ended(&mut self, id: BirthId, time: KernelNanos) {
        if let Some(birth) = self.births.get_mut(&id) {
            birth.ended = Some(time);
            match self.keepers.lives(birth.tgid, birth.born) {
                Lives::One => {}
                Lives::Presumed => birth.presumed = true,
                Lives::Several => birth.serves = true,
            }
        }
    }

    /// What ran in a thread of a process has ended, it seems, and the thread is kept.
    pub(super) fn kept(
        &mut self,
        (tgid, tid): (Tgid, Tid),
        birth: Option<BirthId>,
        time: KernelNanos,
    ) {
        self.keepers.tells(tgid, time);
        self.keepers.parked(tgid, tid, birth);
        if let Some(id) = birth {
            self.ended(id, time);
        }
        if let Some(birth) = birth.and_then(|id| self.births.get_mut(&id)) {
            birth.kept = true;
        }
    }

    /// A thread that was kept ends, or is given something to run: whatever ran in it before is over.
    pub(super) fn over(&mut self, tid: Tid) {
        if let Some(id) = self.keepers.unparked(tid)
            && let Some(birth) = self.births.get_mut(&id)
        {
            birth.kept = false;
        }
    }

    /// A thread of a process that was kept is given something to run: `child`, or it is not known which.
    pub(super) fn given(&mut self, tgid: Tgid, child: Option<Tid>, time: KernelNanos) {
        match child {
            Some(child) => {
                self.keepers.tells(tgid, time);
                self.keepers.given(tgid, child);
                self.over(child);
            }
            None => self.keepers.doubted(tgid),
        }
    }

    /// What a thread that was kept has been given has begun.
    pub(super) fn runs_in_kept(&mut self, id: BirthId) {
        if let Some(birth) = self.births.get_mut(&id) {
            birth.fresh = true;
        }
    }

    /// A thread does something, `birth` if that of what runs in it is known.
    pub(super) fn awake(&mut self, tid: Tid, birth: Option<BirthId>) {
        if let Some(birth) = birth.and_then(|id| self.births.get_mut(&id)) {
            birth.fresh = false;
        }
        // It was given nothing: so it was not kept, but had waited in the middle of something.
        if let Some(id) = self.keepers.woke(tid)
            && let Some(birth) = self.births.get_mut(&id)
        {
            birth.serves = true;
        }
    }

    /// Whether it is known how a birth's life ended, as far as it did: in a process whose threads were not seen to be kept and given something
    /// yet, one that seems to be kept may be waiting in the middle of something.
    pub(super) fn is_certain(&self, birth: &Birth) -> bool {
        (!birth.kept || self.keepers.keeps(birth.tgid)) && self.is_one(birth)
    }

    /// Whether one thing alone ran in a thread since a birth, as far as is known.
    pub(super) fn is_one(&self, birth: &Birth) -> bool {
        !birth.presumed || self.keepers.gives_only_to_waiting(birth.tgid)
    }

    /// A process ended, and all its threads with it: that tells nothing of what they were for.
    pub(super) fn process_ended(&mut self, tgid: Tgid, time: KernelNanos) {
        self.keepers.process_ended(tgid);
        for birth in self.births.values_mut().filter(|b| b.tgid == tgid) {
            if birth.ended.is_some_and(|end| time.since(end) < GRACE) {
                birth.serves = true;
            }
        }
    }

    pub(super) fn get(&self, id: BirthId) -> Option<&Birth> {
        self.births.get(&id)
    }

    fn forget(&mut self, now: KernelNanos) {
        while let Some((time, id)) = self.order.front().copied()
            && (now.since(time) > RETENTION || self.order.len() > MAX_BIRTHS)
        {
            self.order.pop_front();
            self.births.remove(&id);
        }
    }
}

impl Birth {
    /// Whether what it runs was given to its thread before that was seen to wait.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether its thread seemed to be kept so long ago that it would have ended since, or been given something.
    pub(super) fn was_kept_too_long(&self, now: KernelNanos) -> bool {
        self.ended.is_some_and(|end| now.since(end) > KEEPS)
    }

    /// Whether its life shows already that it was started for no request.
    pub(super) fn is_hopeless(&self) -> bool {
        self.serves || self.answered == Answered::Several
    }

    /// For what it was started, if its life shows that.
    pub(super) fn origin(&self) -> Option<Origin> {
        if self.serves || self.ended.is_none() {
            return None;
        }
        match self.answered {
            Answered::One(request) => Some(Origin::Answered(request)),
            Answered::Several => None,
            Answered::None => Some(Origin::Parent {
                tid: self.parent,
                hold: self.hold.clone(),
            }),
        }
    }

    /// Whether it was born before the request ended at `until`, and ended with it.
    pub(super) fn ended_with(&self, until: KernelNanos) -> bool {
        self.born <= until && self.ended.is_some_and(|end| end.since(until) <= GRACE)
    }

    /// Whether it moved no bytes after `until`.
    pub(super) fn was_quiet_after(&self, until: KernelNanos) -> bool {
        self.last <= until
    }
}
