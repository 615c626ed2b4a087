//! Tier 4, client connections: a call on a connection was made for what the thread worked on that took the
//! connection last, although another thread may write the call.
//!
//! HTTP clients with a selector thread work so: the requesting thread connects the socket, or looks
//! whether the pooled connection is still alive (a read that finds nothing), and leaves the rest to
//! the selector. Only the last taker since the connection's previous exchange counts; if what that
//! one worked on is not known, nothing is.
//!
//! Two habits of clients would make it wrong, and are guarded against:
//!
//! * A thread that looks after a connection which it *gives back*, or that throws it away, goes on
//!   with other connections. So a taker that moves bytes on another connection before the call is
//!   written is not believed.
//! * A client that makes a connection without waiting for it may give it to whichever request is the
//!   next in its queue. So such a connection is believed only of a client that takes each pooled
//!   connection anew, for then it takes them for requests and not for its pool.

use std::num::NonZeroUsize;

use hashbrown::HashMap;
use lru::LruCache;

use groups::{GroupId, Groups};

use super::executions::LifeId;
use super::subject::{Doer, Hold};
use crate::ids::{FileId, KernelNanos, Tid};
use crate::record::TakeHow;

/// Client connections that are remembered.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(32_768).expect("not zero");

/// Connections that one of them may have taken without having used them.
const MAX_PENDING: usize = 64;

/// Threads whose client's habits are remembered.
const MAX_WRITERS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Exchanges on pooled connections after which a client's habits are known.
const MIN_REUSED: u32 = 5;

/// Of so many exchanges on pooled connections one may come without a taker (it was lost, or the
/// taker is not observed).
const ALLOWED: u32 = 100;

/// Who may take a connection, and who moves bytes: a thread, or what is finer where the runtime has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Taker {
    /// A thread.
    Thread(Tid),
    /// A virtual thread, whatever thread it runs on.
    Execution(LifeId),
}

impl Taker {
    /// Who moves bytes on a thread, where `doer` runs.
    pub(super) fn of(doer: Option<Doer>, tid: Tid) -> Self {
        match doer.filter(Doer::is_virtual) {
            Some(doer) => Self::Execution(doer.life),
            None => Self::Thread(tid),
        }
    }
}

/// Who took a connection for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Who did.
    pub(super) by: Taker,
    /// The thread on which that happened.
    pub(super) tid: Tid,
    /// When it did.
    pub(super) time: KernelNanos,
    /// What it was doing.
    pub(super) hold: Hold,
    /// What shows it.
    pub(super) how: TakeHow,
    /// It did not wait until the connection was made.
    pub(super) eager: bool,
    /// The client that wrote the call, once one of its threads did.
    pub(super) client: Option<GroupId>,
}

#[derive(Debug)]
pub(super) struct Clients {
    connections: LruCache<FileId, Idle>,
    /// Connections that each has taken and that carry no call yet.
    pending: HashMap<Taker, Vec<FileId>>,
    writers: LruCache<Tid, Habits>,
    groups: Groups,
}

/// A client connection between its exchanges.
#[derive(Debug, Default)]
struct Idle {
    taken: Option<Taken>,
    /// Who read the end of the last response, and when.
    reader: Option<(Tid, KernelNanos)>,
    /// It has carried a call before.
    used: bool,
    /// The client whose threads wrote on it.
    client: Option<GroupId>,
}

/// What a client whose calls one thread writes does with pooled connections.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    reused: u32,
    /// Of these, such that another thread had looked after before.
    probed: u32,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            connections: LruCache::sparse(MAX_CONNECTIONS),
            pending: HashMap::new(),
            writers: LruCache::sparse(MAX_WRITERS),
            groups: Groups::default(),
        }
    }
}

impl Clients {
    /// A connection is taken.
    pub(super) fn taken(&mut self, file: FileId, taken: Taken) {
        self.drop_take(file);
        let by = taken.by;
        let idle = self.connections.get_or_insert_mut(file, Idle::default);
        idle.taken = Some(taken);
        let pending = self.pending.entry(by).or_default();
        pending.push(file);
        // Those at the front were forgotten, or never used.
        if pending.len() > MAX_PENDING {
            let old = pending.remove(0);
            self.drop_take(old);
        }
    }

    /// Bytes were moved on a connection: what was taken before by who did so, and not used, may have been
    /// given back.
    pub(super) fn moved(&mut self, by: Taker, file: FileId) {
        if self.pending.is_empty() || !self.pending.contains_key(&by) {
            return;
        }
        for taken in self.pending.remove(&by).unwrap_or_default() {
            if taken == file {
                self.pending.entry(by).or_default().push(taken);
            } else if let Some(idle) = self.connections.peek_mut(&taken) {
                idle.distrust(by);
            }
        }
    }

    /// A call is written by `by`, on the thread `writer`, which `serves` a request itself or does not: who took its connection last, which may be `by`.
    pub(super) fn call(
        &mut self,
        file: FileId,
        by: Taker,
        writer: Tid,
        serves: bool,
    ) -> Option<Taken> {
        let mut taken = self.drop_take(file);
        let idle = self.connections.get_or_insert_mut(file, Idle::default);
        let used = std::mem::replace(&mut idle.used, true);
        // Threads that serve requests call by several clients, and so do virtual threads.
        if by == Taker::Thread(writer) && !serves {
            idle.client = Some(self.groups.wrote(writer, idle.client));
        }
        if let Some(client) = idle.client.filter(|_| used)
            && let Some(probed) = taken_anew(taken.as_ref(), by, idle.reader)
        {
            self.groups.used(client, probed);
        }
        if let Some(taken) = &mut taken {
            taken.client = idle.client;
        }
        let other = taken.as_ref().filter(|t| t.by != by);
        if used {
            let habits = self.writers.get_or_insert_mut(writer, Habits::default);
            habits.used(other.is_some_and(|t| t.how == TakeHow::Probe));
        }
        taken
    }

    /// Whether a thread writes calls.
    pub(super) fn writes(&self, tid: Tid) -> bool {
        self.writers.contains(&tid)
    }

    /// Who may have taken a connection unseen, and since when: that the thread which read last, or tried to, looks
    /// whether it is alive is not told.
    pub(super) fn unseen(&self, file: FileId) -> Option<(Tid, KernelNanos)> {
        let idle = self.connections.peek(&file)?;
        let taken = idle.taken.as_ref().map(|taken| (taken.tid, taken.time));
        taken.or(idle.reader)
    }

    /// A call has ended, read by `reader`: who touched its connection meanwhile did not take it.
    pub(super) fn call_ended(&mut self, file: FileId, reader: Option<(Tid, KernelNanos)>) {
        self.drop_take(file);
        if let Some(idle) = self.connections.peek_mut(&file) {
            idle.reader = reader;
        }
    }

    /// A connection is closed.
    pub(super) fn closed(&mut self, file: FileId) {
        if !self.connections.is_empty() && self.connections.contains(&file) {
            self.drop_take(file);
            self.connections.pop(&file);
        }
    }

    /// A thread ended.
    pub(super) fn thread_ended(&mut self, tid: Tid) {
        self.pending.remove(&Taker::Thread(tid));
        self.writers.pop(&tid);
        self.groups.thread_ended(tid);
    }

    /// Whether what `taken` says of a call that `writer` wrote can be believed.
    pub(super) fn believes(&self, taken: &Taken, writer: Tid) -> bool {
        !taken.eager || self.habits(taken, writer).takes_anew()
    }

    /// Whether it is known by now how the client of `writer` treats its connections, as far as that
    /// matters for `taken`.
    pub(super) fn is_known(&self, taken: &Taken, writer: Tid) -> bool {
        let habits = self.habits(taken, writer);
        !taken.eager || habits.takes_anew() || habits.reused > habits.probed + 1
    }

    /// What the client of `writer` does with pooled connections. Where virtual threads take them, many write.
    fn habits(&self, taken: &Taken, writer: Tid) -> Habits {
        match (taken.by, taken.client) {
            (Taker::Execution(_), Some(client)) => self.groups.habits(client),
            _ => self.writers.peek(&writer).copied().unwrap_or_default(),
        }
    }

    fn drop_take(&mut self, file: FileId) -> Option<Taken> {
        let taken = self.connections.peek_mut(&file)?.taken.take()?;
        if let Some(pending) = self.pending.get_mut(&taken.by) {
            pending.retain(|f| *f != file);
            if pending.is_empty() {
                self.pending.remove(&taken.by);
            }
        }
        Some(taken)
    }
}

impl Taken {
    /// Whether it is of a kind of client that writes by threads of its own.
    pub(super) fn by_selector(&self) -> bool {
        self.eager || self.how == TakeHow::Probe
    }
}

impl Idle {
    /// Its taker went on with something else.
    fn distrust(&mut self, by: Taker) {
        if let Some(taken) = self.taken.as_mut().filter(|t| t.by == by) {
            taken.hold = Hold::Nothing(None);
        }
    }
}

/// Whether a pooled connection was looked after by another one than whoever writes on it, before that, for its next use; `None` if whoever
/// looked may have done so because it had read from it, or writes itself.
fn taken_anew(
    taken: Option<&Taken>,
    by: Taker,
    reader: Option<(Tid, KernelNanos)>,
) -> Option<bool> {
    let Some(taken) = taken else {
        return Some(false);
    };
    let anew = match taken.by {
        Taker::Thread(tid) => reader.is_none_or(|(reader, _)| reader != tid),
        Taker::Execution(_) => true,
    };
    (taken.how == TakeHow::Probe && taken.by != by && anew).then_some(true)
}

impl Habits {
    /// A pooled connection was used again.
    fn used(&mut self, probed: bool) {
        self.reused = self.reused.saturating_add(1);
        self.probed = self.probed.saturating_add(u32::from(probed));
    }

    /// What was seen of another part of the same client.
    fn add(&mut self, other: Self) {
        self.reused = self.reused.saturating_add(other.reused);
        self.probed = self.probed.saturating_add(other.probed);
    }

    /// Whether each pooled connection is taken anew before it is used.
    fn takes_anew(self) -> bool {
        let without = self.reused - self.probed;
        self.probed >= MIN_REUSED && without.saturating_mul(ALLOWED) <= self.reused
    }
}

mod groups;
