//! The turns of one thread.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::findings::{self, ERA};
use super::{Changes, Position, ThreadKey, Worked};
use crate::ids::{FileId, KernelNanos, Seq};
use crate::record;

/// How long a thread starts, since it was first seen, nanoseconds: what is loaded for its first requests (`fetch` has WebAssembly compiled) is waited
/// for by all of them, and has all of them go on in a turn of none.
pub(super) const STARTING: u64 = 2_000_000_000;

/// Turns of a thread that are remembered.
const MAX_TURNS: usize = 16_384;

/// Ids of a thread that are remembered as used.
const MAX_USED: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Places in a turn that are told apart; of more the turn is not understood.
const MAX_PLACES: usize = 256;

/// For whom something is read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumes {
    /// For a request that came in on it.
    Request(Seq),
    /// For whoever wrote the call that is answered.
    Caller(Position),
    /// The same, of the first call on the connection.
    First(Position),
    /// For nobody knows whom: it was used in a turn that was not seen.
    Nobody,
}

/// A thread that runs an event loop.
#[derive(Debug)]
pub(super) struct Thread {
    /// When its first turn was seen to end.
    since: Option<KernelNanos>,
    /// Turns that have ended, oldest first.
    ended: VecDeque<Ended>,
    /// Turns that were remembered so far.
    pushed: usize,
    pub(super) running: Running,
    /// Ids by which something was attributed.
    pub(super) used: LruCache<u64, ()>,
    /// Ids of connections, and the request that each served last.
    pub(super) connections: LruCache<u64, Option<Seq>>,
}

/// The turn that goes on.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) turn: u64,
    /// Reads from connections.
    pub(super) reads: u32,
    from: From,
    /// The message that was taken.
    pub(super) message: Taken,
    /// Ids, and their triggers, that were current when something moved.
    pub(super) places: Vec<(u32, u32)>,
    /// Requests that were answered in it, and where.
    pub(super) answers: Vec<(Seq, Position)>,
}

/// What a turn has read.
#[derive(Clone, Copy, Debug, Default)]
enum From {
    /// Nothing.
    #[default]
    Nothing,
    /// From this connection; with it a request, if one is complete by now.
    One {
        file: FileId,
        resumes: Option<Resumes>,
        began: bool,
    },
    /// From several connections, or several requests from one.
    Several,
}

/// What a turn has taken from a port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Taken {
    /// Nothing.
    #[default]
    Nothing,
    /// A message, when, and where it was given.
    One { giver: Position, time: KernelNanos },
    /// Several messages, or one that was given by nobody knows whom.
    Unclear,
}

/// A turn that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) turn: u64,
    /// What it was called back for; at most 1 for nothing.
    pub(super) root: u64,
    /// The highest id given out before it; `None` if the turn before it is not known.
    before: Option<u64>,
    /// The highest id given out by its end.
    newest: u64,
    /// When it began, or ended if the former is not known.
    pub(super) begun: KernelNanos,
    ended: KernelNanos,
    /// The request that it works for.
    pub(super) owner: Option<Worked>,
    /// The request that it would work for, had that not been answered before.
    pub(super) late: Option<Worked>,
    /// It worked for others as well.
    pub(super) mixed: bool,
    /// It is about a connection on which requests come in.
    pub(super) serves: bool,
    /// It read a response, after which a call that waited for a connection may be written.
    pub(super) frees: bool,
    /// It took a message of a thread that was just starting, and was first seen then.
    pub(super) starting: Option<KernelNanos>,
}

/// What an async id that is current in a turn says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// That the turn's own callback runs, or what it had promised.
    Turn,
    /// That something runs that was begun in the turn itself.
    Own,
    /// That something runs which this id was given to, earlier.
    Other(u64),
    /// Nothing.
    Unknown,
}

impl Default for Thread {
    fn default() -> Self {
        Self {
            since: None,
            ended: VecDeque::new(),
            pushed: 0,
            running: Running::default(),
            used: LruCache::sparse(MAX_USED),
            connections: LruCache::sparse(MAX_USED),
        }
    }
}

impl Thread {
    /// What was seen of turn `turn`, which ends.
    pub(super) fn take_running(&mut self, turn: u64) -> Running {
        let running = std::mem::replace(&mut self.running, Running::new(turn + 1));
        if running.turn == turn {
            running
        } else {
            Running::new(turn)
        }
    }

    /// Turn `turn`, which ends as `record` says.
    pub(super) fn ending(&self, turn: u64, record: &record::Turn, time: KernelNanos) -> Ended {
        let previous = self
            .ended
            .back()
            .filter(|previous| previous.turn + 1 == turn);
        Ended {
            turn,
            root: record.root,
            before: previous
                .map(|p| p.newest)
                .filter(|newest| *newest <= record.newest),
            newest: record.newest,
            begun: previous.map_or(time, |p| p.ended),
            ended: time,
            owner: None,
            late: None,
            mixed: false,
            serves: false,
            frees: false,
            starting: None,
        }
    }

    /// The turn that ended last, if `turn` follows it and was called back for the same connection, which served something.
    pub(super) fn continued(&self, turn: &Ended) -> Option<&Ended> {
        let last = self.ended.back()?;
        (last.turn + 1 == turn.turn && last.root == turn.root && last.serves).then_some(last)
    }

    /// When the thread was first seen, if that was a short time before `now`.
    pub(super) fn starting(&self, now: KernelNanos) -> Option<KernelNanos> {
        let since = self.since.unwrap_or(now);
        (now.since(since) < STARTING).then_some(since)
    }

    /// Remembers a turn that has ended, one that was about what could be read from a connection if it `read`.
    pub(super) fn push(
        &mut self,
        ended: Ended,
        read: bool,
        this: ThreadKey,
        changes: &mut Changes,
    ) {
        self.since.get_or_insert(ended.ended);
        // Whom connections served meanwhile was not seen.
        if ended.before.is_none() {
            self.connections.clear();
            changes.changed(findings::thread(this));
        }
        if read && ended.root > 1 {
            let served = ended.owner.map(|owner| owner.request);
            changes.changed(findings::connection(this, ended.root));
            if let Some((other, _)) = self.connections.push(ended.root, served) {
                changes.changed(findings::connection(this, other));
            }
        }
        // Ids that go back belong to a new program.
        if self
            .ended
            .back()
            .is_some_and(|last| last.turn >= ended.turn || last.newest > ended.newest)
        {
            self.ended.clear();
            changes.changed(findings::thread(this));
        }
        if self.ended.len() == MAX_TURNS {
            self.ended.pop_front();
        }
        self.pushed += 1;
        if self.pushed.is_multiple_of(ERA) {
            changes.changed(findings::thread(this));
        }
        self.ended.push_back(ended);
    }

    /// The turn that ended last worked for others as well.
    pub(super) fn mix(&mut self) {
        if let Some(last) = self.ended.back_mut() {
            last.mixed = true;
        }
    }

    /// Whether a turn is remembered at least for an era.
    pub(super) fn is_kept(&self, turn: &Ended) -> bool {
        let at = self.place(turn.turn);
        at + (MAX_TURNS - self.ended.len()) >= ERA
    }

    /// A turn that has ended.
    pub(super) fn turn(&self, turn: u64) -> Option<&Ended> {
        let at = self.place(turn);
        self.ended.get(at).filter(|ended| ended.turn == turn)
    }

    /// How many of the turns that are remembered came before turn `turn`.
    fn place(&self, turn: u64) -> usize {
        // Where none is missing, they lie as far apart as their numbers.
        let behind = self.ended.back().map(|last| last.turn.wrapping_sub(turn));
        let behind = behind.and_then(|behind| usize::try_from(behind).ok());
        let at = behind.and_then(|behind| (self.ended.len() - 1).checked_sub(behind));
        if let Some(at) = at
            && self.ended.get(at).is_some_and(|ended| ended.turn == turn)
        {
            return at;
        }
        self.ended.partition_point(|ended| ended.turn < turn)
    }

    /// The turn in which an id was given out.
    pub(super) fn gave_out(&self, id: u64) -> Option<&Ended> {
        let at = self.ended.partition_point(|ended| ended.newest < id);
        self.ended
            .get(at)
            .filter(|ended| ended.before.is_some_and(|before| before < id))
    }
}

impl Taken {
    /// Where the message was given.
    pub(super) fn giver(self) -> Option<Position> {
        match self {
            Self::One { giver, .. } => Some(giver),
            Self::Nothing | Self::Unclear => None,
        }
    }

    pub(super) fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Running {
    pub(super) fn new(turn: u64) -> Self {
        Self {
            turn,
            ..Self::default()
        }
    }

    /// Something was read from a connection.
    pub(super) fn read(&mut self, file: FileId, resumes: Option<Resumes>, whole: bool) {
        self.reads += u32::from(whole);
        self.from = match self.from {
            From::Nothing => From::One {
                file,
                resumes,
                began: false,
            },
            From::One { file: other, .. } if other == file => self.from,
            From::One { .. } | From::Several => From::Several,
        };
    }

    /// A message was taken.
    pub(super) fn takes(&mut self, giver: Option<Position>, time: KernelNanos) {
        self.message = match (self.message, giver) {
            (Taken::Nothing, Some(giver)) => Taken::One { giver, time },
            _ => Taken::Unclear,
        };
    }

    /// What was read last completes a request.
    pub(super) fn begins(&mut self, request: Seq) {
        self.from = match self.from {
            From::One {
                file, began: false, ..
            } => From::One {
                file,
                resumes: Some(Resumes::Request(request)),
                began: true,
            },
            _ => From::Several,
        };
    }

    pub(super) fn has_read(&self, wanted: FileId) -> bool {
        matches!(self.from, From::One { file, .. } if file == wanted)
    }

    /// For whom was read.
    pub(super) fn resumes(&self) -> Option<Resumes> {
        match self.from {
            From::One { resumes, .. } => resumes,
            From::Nothing | From::Several => None,
        }
    }

    /// From where was read.
    pub(super) fn file(&self) -> Option<FileId> {
        match self.from {
            From::One { file, .. } => Some(file),
            From::Nothing | From::Several => None,
        }
    }

    /// The request that was read.
    pub(super) fn began(&self) -> Option<Seq> {
        match self.from {
            From::One {
                resumes: Some(Resumes::Request(request)),
                began: true,
                ..
            } => Some(request),
            _ => None,
        }
    }

    /// Something moved while an id was current.
    pub(super) fn at(&mut self, current: u32, trigger: u32) {
        if current > 1
            && self.places.len() < MAX_PLACES
            && !self.places.contains(&(current, trigger))
        {
            self.places.push((current, trigger));
        }
    }
}

impl Names {
    /// The id of what was begun earlier.
    pub(super) fn other(self) -> Option<u64> {
        match self {
            Self::Other(id) => Some(id),
            Self::Turn | Self::Own | Self::Unknown => None,
        }
    }
}

impl Ended {
    /// Whether it works for `request`.
    pub(super) fn works_for(&self, request: Seq) -> bool {
        self.owner.is_some_and(|owner| owner.request == request)
    }

    /// What a current id and its trigger say in this turn.
    pub(super) fn named(&self, current: u32, trigger: u32) -> Names {
        match self.names(current) {
            Names::Own => self.names(trigger),
            names => names,
        }
    }

    /// Whether the id whose low half is `low` was given out in this turn.
    pub(super) fn has_begun(&self, low: u32) -> bool {
        self.names(low) == Names::Own
    }

    /// What the id whose low half is `low` says when it is current in this turn.
    fn names(&self, low: u32) -> Names {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is compared")]
        let behind = (self.newest as u32).wrapping_sub(low);
        let Some(id) = self.newest.checked_sub(u64::from(behind)) else {
            return Names::Unknown;
        };
        if id <= 1 || id == self.root {
            return Names::Turn;
        }
        match self.before {
            Some(before) if id > before => Names::Own,
            Some(_) => Names::Other(id),
            None => Names::Unknown,
        }
    }
}
