//! What executions hand to one another: values, the queues in which they lie, and the levels of a stack at which
//! they are received.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::executions::LifeId;
use super::subject::Doer;
use crate::ids::{KernelNanos, Tgid};

/// Gifts, values in queues, and executions that are remembered.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Processes of which it is remembered when something was told.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

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
    pub(super) gifts: LruCache<GiftId, Gift>,
    /// Values that lie in queues, by their places.
    pub(super) queued: LruCache<(Tgid, u64), Value>,
    traffic: LruCache<LifeId, Traffic>,
    /// When something was told of a process last.
    pub(super) told: LruCache<Tgid, KernelNanos>,
    /// Processes in which work was handed on so.
    pub(super) useful: LruCache<Tgid, ()>,
    next: u64,
}

/// A value and who gave it.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) giver: Option<Doer>,
    pub(super) piece: Piece,
}

/// What tells values from each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) word: u64,
    pub(super) place: u64,
    pub(super) queued: bool,
}

/// A value that was taken.
#[derive(Debug)]
pub(super) struct Gift {
    pub(super) giver: Option<Doer>,
    pub(super) taken: KernelNanos,
    /// When its taker last did something.
    pub(super) last: KernelNanos,
    /// Its taker has taken another one.
    pub(super) over: bool,
    /// Those that were taken before, and after which nothing was done; `None` if there are too many.
    pub(super) before: Option<Vec<GiftId>>,
}

/// What an execution takes and gives.
#[derive(Debug)]
struct Traffic {
    tgid: Tgid,
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
            gifts: LruCache::sparse(MAX_REMEMBERED),
            queued: LruCache::sparse(MAX_REMEMBERED),
            traffic: LruCache::sparse(MAX_REMEMBERED),
            told: LruCache::sparse(MAX_PROCESSES),
            useful: LruCache::sparse(MAX_PROCESSES),
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
        self.useful.pop(&tgid);
        self.empty_queues(tgid);
    }

    fn empty_queues(&mut self, tgid: Tgid) {
        cache::remove(&mut self.queued, |key, _| key.0 == tgid);
    }

    /// What a process's executions live on is not known any more.
    pub(super) fn forget(&mut self, tgid: Tgid) {
        self.empty_queues(tgid);
        for (_, traffic) in self.traffic.iter_mut() {
            if traffic.tgid == tgid {
                traffic.levels.clear();
            }
        }
    }

    pub(super) fn gave(&mut self, tgid: Tgid, life: LifeId, piece: Piece) {
        let traffic = self.traffic.get_or_insert_mut(life, || Traffic::of(tgid));
        traffic.takes_turns |= traffic.took.iter().any(|took| took.is_as(&piece));
        remember(&mut traffic.gave, piece);
    }

    pub(super) fn took(
        &mut self,
        tgid: Tgid,
        life: LifeId,
        value: Value,
        depth: u32,
        time: KernelNanos,
    ) {
        let traffic = self.traffic.get_or_insert_mut(life, || Traffic::of(tgid));
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

    pub(super) fn takes_turns(&self, life: LifeId) -> bool {
        let traffic = self.traffic.peek(&life);
        traffic.is_some_and(|traffic| traffic.takes_turns)
    }
}

impl Traffic {
    fn of(tgid: Tgid) -> Self {
        Self {
            tgid,
            levels: Vec::new(),
            took: VecDeque::new(),
            gave: VecDeque::new(),
            takes_turns: false,
        }
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
