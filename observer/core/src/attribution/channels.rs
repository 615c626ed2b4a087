//! Tier 4, channels: work that an execution hands to another one, which lives on what it is handed.
//!
//! The runtime tells exactly who took whose value (`observer_abi::Passed`). That alone does not make it work for the giver:
//! connections of a pool, tokens of a semaphore and results are handed on in the same way. So
//!
//! * what is received near the beginning of a stack decides, the outermost first: what is received further down, in the middle of some work, is part of
//!   that, and what is received there next replaces it, whoever gave it;
//! * the giver has to be the one that wrote the response of its request: what pools of connections and
//!   dispatchers hand on may come from anybody;
//! * an execution that takes what it gives away again through the same queue takes turns with something, and does no work for the givers;
//! * of several values that were taken before anything was done, none is believed unless all givers say the same: they may
//!   be done together;
//! * as for items (`items`), what goes on after the request's end tells that it may not have been for it.
//!
//! A request's own executions are not in question: what they wrote or began decides for them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::Attributor;
use super::births::GRACE;
use super::evidence::Link;
use super::executions::{LifeId, Owner as Owned};
use super::process::Process;
use super::subject::{Doer, Subject, Work};
use crate::ids::{KernelNanos, Tgid};
use crate::judged::{Evidence, Reason};
use crate::record::{Execution, Passed, PassedHow, Record};

/// Gifts, values in queues, and executions that are remembered.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Levels of a stack at which values were received, at most; what lies deeper is not looked at.
const MAX_LEVELS: usize = 4;

/// Values that were taken one after the other before anything was done, at most.
const MAX_BEFORE: usize = 8;

/// Values that an execution gave, and took, that are remembered: the latest.
const MAX_PIECES: usize = 16;

/// Places on a stack that are no further apart are in one function, bytes: `chanrecv1` may lie between, of 40 bytes.
const LEVEL: u32 = 64;

/// Places of queues that are no further apart may be in one queue, bytes.
const QUEUE: u64 = 1 << 20;

/// Number of a gift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GiftId(u64);

#[derive(Debug)]
pub(super) struct Channels {
    gifts: LruCache<GiftId, Gift>,
    /// Values that lie in queues, by their places.
    queued: LruCache<(Tgid, u64), Value>,
    traffic: LruCache<LifeId, Traffic>,
    next: u64,
}

/// A value and who gave it.
#[derive(Debug)]
struct Value {
    giver: Option<Doer>,
    piece: Piece,
}

/// What tells values from each other.
#[derive(Clone, Copy, Debug)]
struct Piece {
    word: u64,
    place: u64,
    queued: bool,
}

/// A value that was taken.
#[derive(Debug)]
struct Gift {
    giver: Option<Doer>,
    taken: KernelNanos,
    /// When its taker last did something.
    last: KernelNanos,
    /// Its taker has taken another one.
    over: bool,
    /// Those that were taken before, and after which nothing was done; `None` if there are too many.
    before: Option<Vec<GiftId>>,
}

/// What an execution takes and gives.
#[derive(Debug, Default)]
struct Traffic {
    /// What it lives on, the outermost first.
    levels: Vec<Level>,
    took: VecDeque<Piece>,
    gave: VecDeque<Piece>,
    /// It gave back what it had taken, or took what it had given.
    takes_turns: bool,
}

#[derive(Debug)]
struct Level {
    depth: u32,
    gift: GiftId,
    acted: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            gifts: LruCache::new(MAX_REMEMBERED),
            queued: LruCache::new(MAX_REMEMBERED),
            traffic: LruCache::new(MAX_REMEMBERED),
            next: 0,
        }
    }
}

impl Channels {
    /// An execution did something.
    pub(super) fn acted(&mut self, life: LifeId, time: KernelNanos) {
        let Some(traffic) = self.traffic.get_mut(&life) else {
            return;
        };
        for level in &mut traffic.levels {
            level.acted = true;
            if let Some(gift) = self.gifts.peek_mut(&level.gift) {
                gift.last = gift.last.max(time);
            }
        }
    }

    /// What an execution lived on at `time`, the outermost first.
    pub(super) fn lives_on(&self, life: LifeId, time: KernelNanos) -> Vec<GiftId> {
        let levels = self.traffic.peek(&life).map(|traffic| &traffic.levels);
        let gifts = levels.into_iter().flatten().map(|level| level.gift);
        let gifts: Vec<GiftId> = gifts.collect();
        let earlier = |id: &GiftId| self.gifts.peek(id).is_some_and(|gift| gift.taken <= time);
        if gifts.iter().all(earlier) {
            gifts
        } else {
            Vec::new()
        }
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        let gone = self.queued.iter().map(|(key, _)| *key);
        for key in gone.filter(|key| key.0 == tgid).collect::<Vec<_>>() {
            self.queued.pop(&key);
        }
    }

    fn gave(&mut self, life: LifeId, piece: Piece) {
        let traffic = self.traffic.get_or_insert_mut(life, Traffic::default);
        traffic.takes_turns |= traffic.took.iter().any(|took| took.is_as(&piece));
        remember(&mut traffic.gave, piece);
    }

    fn took(&mut self, life: LifeId, value: Value, depth: u32, time: KernelNanos) {
        let traffic = self.traffic.get_or_insert_mut(life, Traffic::default);
        traffic.takes_turns |= traffic.gave.iter().any(|gave| gave.is_as(&value.piece));
        remember(&mut traffic.took, value.piece);
        let mut before = Some(Vec::new());
        while let Some(level) = traffic
            .levels
            .pop_if(|level| level.depth.saturating_add(LEVEL) >= depth)
        {
            before = Some(Vec::new());
            let Some(gift) = self.gifts.peek_mut(&level.gift) else {
                continue;
            };
            gift.over = true;
            if !level.acted && level.depth.abs_diff(depth) <= LEVEL {
                before = with(gift.before.clone(), level.gift);
            }
        }
        // Where that is not known, nothing is known of what the execution lives on.
        if depth == 0 || traffic.levels.len() == MAX_LEVELS {
            return;
        }
        let gift = GiftId(self.next);
        self.next += 1;
        traffic.levels.push(Level {
            depth,
            gift,
            acted: false,
        });
        let taken = Gift {
            giver: value.giver,
            taken: time,
            last: time,
            over: false,
            before,
        };
        self.gifts.push(gift, taken);
    }

    fn takes_turns(&self, life: LifeId) -> bool {
        let traffic = self.traffic.peek(&life);
        traffic.is_some_and(|traffic| traffic.takes_turns)
    }
}

impl Piece {
    /// Whether it may be the same value, in the same queue.
    fn is_as(&self, other: &Self) -> bool {
        let apart = self.place.abs_diff(other.place);
        let same_queue = apart == 0 || (self.queued && other.queued && apart <= QUEUE);
        self.word == other.word && same_queue
    }
}

fn remember(pieces: &mut VecDeque<Piece>, piece: Piece) {
    if pieces.len() == MAX_PIECES {
        pieces.pop_front();
    }
    pieces.push_back(piece);
}

fn with(before: Option<Vec<GiftId>>, gift: GiftId) -> Option<Vec<GiftId>> {
    let mut before = before.filter(|before| before.len() < MAX_BEFORE)?;
    before.push(gift);
    Some(before)
}

impl Attributor {
    /// An execution handed a value to another one.
    pub fn passed(&mut self, record: &Record<'_>, told: &Passed) {
        let (tgid, time) = (record.tgid, record.time);
        let key = (tgid, told.place);
        let piece = Piece {
            word: told.value,
            place: told.place,
            queued: told.queued,
        };
        let giver = told
            .giver
            .map(|execution| self.passing(tgid, execution, time));
        if let Some(giver) = giver {
            self.channels.gave(giver.life, piece);
        }
        let taken = match told.how {
            PassedHow::Direct => Some(Value { giver, piece }),
            PassedHow::Got => self.channels.queued.pop(&key),
            PassedHow::Put => {
                self.channels.queued.push(key, Value { giver, piece });
                return;
            }
        };
        let Some(taker) = told.taker else {
            return;
        };
        let life = self.passing(tgid, taker, time).life;
        let mut value = taken.unwrap_or(Value { giver: None, piece });
        // Timers send to channels of the goroutine that just waits for one.
        value.giver = value.giver.filter(|giver| giver.life != life);
        self.channels.took(life, value, told.depth, time);
    }

    /// An execution that gives or takes: what goes on after its request is told by what it does itself.
    fn passing(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> Doer {
        Doer {
            life: self.executions.life(tgid, execution, time),
            execution,
            time,
            took: false,
        }
    }

    /// The request for which an execution was handed what it lived on, or why there is none.
    pub(super) fn handed_over(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let doer = subject.doer.as_ref().ok_or(None)?;
        let makes_it = !matches!(subject.work, Work::Call(_)) || doer.calls();
        if !makes_it || self.channels.takes_turns(doer.life) {
            return Err(None);
        }
        let owned = self.owner_of(subject.tgid, doer, now).owner;
        if matches!(owned, Owned::Answered(_) | Owned::Shared | Owned::Unwatched) {
            return Err(None);
        }
        let gift = |id: &GiftId| self.channels.gifts.peek(id).ok_or(None);
        let (outermost, inner) = subject.handed.split_first().ok_or(None)?;
        let link = self.by_gift(process, subject, gift(outermost)?, now)?;
        let others = inner.iter().map(gift);
        for other in others {
            let other = self.by_gift(process, subject, other?, now);
            if other.is_ok_and(|other| other.request != link.request) {
                return Err(Some(Reason::SharedExecution));
            }
        }
        self.check(process, subject, link.request, GRACE)?;
        Ok(link)
    }

    /// The request for which a value was given.
    fn by_gift(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let link = self.by_giver(process, subject, gift, now)?;
        self.alone_with(process, subject, gift, &link, now)?;
        let served = process.served(link.request).ok_or(None)?;
        let until = served.until.ok_or(Some(Reason::StillOpen))?;
        if gift.last > until {
            return Err(Some(Reason::OutlivedRequest));
        }
        if !gift.over && now.since(until) <= GRACE {
            return Err(Some(Reason::StillOpen));
        }
        let (doer, giver) = subject.doer.zip(gift.giver).ok_or(None)?;
        Ok(link.handed_on(Evidence::Received {
            kind: doer.execution.kind,
            id: doer.execution.id,
            by: giver.execution.id,
        }))
    }

    /// The request that whoever gave a value answered.
    fn by_giver(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let giver = gift.giver.as_ref().ok_or(None)?;
        let owned = self.owner_of(subject.tgid, giver, now);
        if !matches!(owned.owner, Owned::Answered(_)) {
            return Err(None);
        }
        self.executing(process, subject, giver, owned)
    }

    /// Whether what was taken before it, and may be done together with it, was given for the same request, or for none.
    fn alone_with(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        link: &Link,
        now: KernelNanos,
    ) -> Result<(), Option<Reason>> {
        let crowded = || Some(Reason::SharedExecution);
        for id in gift.before.as_ref().ok_or_else(crowded)? {
            let other = self.channels.gifts.peek(id).ok_or_else(crowded)?;
            if other.giver.is_none() {
                continue;
            }
            let other = match self.by_giver(process, subject, other, now) {
                Err(Some(Reason::StillOpen)) => return Err(Some(Reason::StillOpen)),
                other => other.map_err(|_| crowded())?.request,
            };
            let until = process.served(other).and_then(|served| served.until);
            if other != link.request && until.is_none_or(|until| until >= subject.time) {
                return Err(crowded());
            }
        }
        Ok(())
    }

    /// Whether nothing is to come that says more about what an execution was handed.
    pub(super) fn is_handed_settled(&self, subject: &Subject, now: KernelNanos) -> bool {
        let Some(process) = self.processes.get(&subject.tgid) else {
            return true;
        };
        let settled = |id: &GiftId| {
            let gift = self.channels.gifts.peek(id);
            let giver = gift.and_then(|gift| gift.giver.as_ref());
            giver.is_none_or(|giver| self.is_owned(subject, giver, now))
        };
        if !subject.handed.iter().all(settled) {
            return false;
        }
        let found = self.handed_over(process, subject, now);
        !matches!(found, Err(Some(Reason::StillOpen)))
    }
}
