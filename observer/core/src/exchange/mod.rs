//! Exchanges: requests with their responses, as one side of a connection sees them.

mod connection;
mod draw;
mod holders;
mod links;
mod sighting;

use std::num::NonZeroUsize;
use std::sync::Arc;

use connection::Conn;
pub use connection::{Endpoint, Source};
#[cfg(test)]
pub(crate) use draw::ALL;
pub use draw::Draw;
use links::Links;
use lru::LruCache;
pub use sighting::Sighting;

use crate::feedback::Feedback;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::judged::counts::LeftOut;
use crate::judged::{Role, Unfinished};
use crate::message::{Flaw, MessageKind, Moved, Protocol, RequestHead};
use crate::record::{Direction, End};
use crate::stream::Chunk;

/// Connections that are followed at once; the one unused longest is given up first.
pub const MAX_CONNECTIONS: usize = 65_536;

/// How long an exchange may wait for its answer, nanoseconds.
pub const ANSWER_TIMEOUT: u64 = 300_000_000_000;

/// The longest time between two looks for exchanges that have waited too long, nanoseconds.
const LOOK_AGAIN: u64 = 1_000_000_000;

/// Something that happened to an exchange.
#[derive(Debug)]
pub enum ExchangeEvent {
    /// A request's head is complete.
    Begun(Box<Begun>),
    /// An exchange is over.
    Ended(Ended),
    /// A connection turned out to carry something that is not observed.
    NotObserved {
        /// A process that uses it.
        tgid: Tgid,
        /// The connection.
        file: FileId,
        /// What it carries.
        protocol: Protocol,
        /// The other side spoke first: as a rule, it asks.
        served: bool,
    },
    /// A connection with open exchanges was given up because too many are followed.
    Evicted {
        /// A process that uses it.
        tgid: Tgid,
    },
    /// Bytes were lost or cut where a message needed them.
    Lost {
        /// A process that uses the connection.
        tgid: Tgid,
    },
    /// A message could not be read.
    Malformed(Malformed),
}

/// A message that breaks the rules of HTTP.
#[derive(Debug)]
pub struct Malformed {
    /// A process that uses the connection.
    pub tgid: Tgid,
    /// Side that it is on.
    pub role: Role,
    /// Both ends.
    pub endpoint: Arc<Endpoint>,
    /// Which message.
    pub message: MessageKind,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// An exchange whose request is known.
#[derive(Debug)]
pub struct Begun {
    /// Its number.
    pub seq: Seq,
    /// Side that the process is on.
    pub role: Role,
    /// The process.
    pub tgid: Tgid,
    /// The connection.
    pub file: FileId,
    /// The request.
    pub head: RequestHead,
    /// Who moved the request's head.
    pub moved: Moved,
    /// Both ends.
    pub endpoint: Arc<Endpoint>,
    /// The exchange at the other end of the connection, when that is observed too.
    pub other_end: Option<Seq>,
    /// What its identity rests on; the same at both ends.
    pub sighting: Sighting,
    /// What it stands for beside itself, where only a share of connections is observed.
    pub left_out: LeftOut,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its number.
    pub seq: Seq,
    /// Status of the final response, if one was seen.
    pub status: Option<u16>,
    /// When.
    pub time: KernelNanos,
    /// Who moved the complete response, or why there is none.
    pub outcome: Result<Moved, Unfinished>,
    /// What is wrong, if it ended because a message could not be read.
    pub flaw: Option<Flaw>,
    /// The thread that ended an unfinished exchange by closing the connection.
    pub closed_by: Option<Tid>,
}

/// All connections that are followed.
#[derive(Debug)]
pub struct Exchanges {
    connections: LruCache<FileId, Box<Conn>>,
    links: Links,
    feedback: Vec<Feedback>,
    /// No exchange has waited too long before this.
    late_at: KernelNanos,
}

impl Default for Exchanges {
    fn default() -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(MAX_CONNECTIONS).expect("not zero");
        Self {
            connections: LruCache::sparse(LIMIT),
            links: Links::default(),
            feedback: Vec::new(),
            late_at: KernelNanos::default(),
        }
    }
}

impl Exchanges {
    /// Takes bytes of one direction of a connection.
    pub fn chunk(
        &mut self,
        source: Source<'_>,
        direction: Direction,
        chunk: Chunk<'_>,
        seq: &mut impl FnMut() -> Seq,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        self.follow(source, emit);
        let Some(conn) = self.connections.get_mut(&source.file) else {
            return;
        };
        conn.moved_by(source.tgid);
        conn.chunk(direction, chunk, &mut self.links, seq, emit);
        conn.feedback(source.file, direction, &mut self.feedback);
    }

    /// A read met the end of the stream, or an error.
    pub fn end(
        &mut self,
        source: Source<'_>,
        tid: Tid,
        end: End,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        if let Some(conn) = self.connections.get_mut(&source.file) {
            conn.read_ended(tid, end, time, emit);
        }
    }

    /// The description was closed for good.
    pub fn closed(
        &mut self,
        file: FileId,
        tid: Tid,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        if let Some(mut conn) = self.connections.pop(&file) {
            conn.closed(tid, time, emit);
        }
    }

    /// A write was found to have moved less than was already taken in.
    pub fn corrected(
        &mut self,
        file: FileId,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        if let Some(conn) = self.connections.get_mut(&file) {
            conn.lost(time, emit);
        }
    }

    /// A process has closed a description, which others still have.
    pub fn left(&mut self, file: FileId, tgid: Tgid) {
        if let Some(conn) = self.connections.peek_mut(&file) {
            conn.given_up_by(tgid);
        }
    }

    /// Ends what a process left open when its program ended, and no other one is known to have.
    pub fn process_ended(
        &mut self,
        tgid: Tgid,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        let mut gone: Vec<FileId> = self
            .connections
            .iter_mut()
            .filter_map(|(file, conn)| conn.given_up_by(tgid).then_some(*file))
            .collect();
        gone.sort_unstable();
        for file in gone {
            if let Some(mut conn) = self.connections.pop(&file) {
                conn.give_up(Unfinished::Exited, time, emit);
            }
        }
    }

    /// Gives up exchanges that have waited too long for an answer.
    pub fn expire(&mut self, now: KernelNanos, emit: &mut impl FnMut(ExchangeEvent)) {
        // There are many ticks and may be many connections.
        if now < self.late_at {
            return;
        }
        self.late_at = now.plus(LOOK_AGAIN);
        let mut late: Vec<(Seq, FileId)> = Vec::new();
        for (file, conn) in &self.connections {
            let Some(oldest) = conn.open.front() else {
                continue;
            };
            let due = oldest.moved.time.plus(ANSWER_TIMEOUT);
            if due < now {
                late.push((oldest.seq, *file));
            } else {
                self.late_at = self.late_at.min(due);
            }
        }
        late.sort_unstable();
        for (_, file) in late {
            if let Some(conn) = self.connections.get_mut(&file) {
                conn.give_up(Unfinished::TimedOut, now, emit);
            }
        }
    }

    /// Ends everything that is still open because watching ends.
    pub fn stop(&mut self, now: KernelNanos, emit: &mut impl FnMut(ExchangeEvent)) {
        self.give_up_all(Unfinished::Stopped, now, emit);
    }

    fn give_up_all(
        &mut self,
        why: Unfinished,
        now: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        let mut all: Vec<FileId> = self.connections.iter().map(|(f, _)| *f).collect();
        all.sort_unstable();
        for file in all {
            if let Some(mut conn) = self.connections.pop(&file) {
                conn.give_up(why, now, emit);
            }
        }
    }

    /// A connection is still observed by what was decided now.
    pub fn renewed(&mut self, file: FileId, draw: Draw) {
        if let Some(conn) = self.connections.get_mut(&file) {
            conn.renewed(draw);
        }
    }

    /// A connection is not observed any more. What is open on it ends unseen.
    pub fn left_out(
        &mut self,
        file: FileId,
        time: KernelNanos,
        emit: &mut impl FnMut(ExchangeEvent),
    ) {
        if let Some(mut conn) = self.connections.pop(&file) {
            // What was written and not seen to be read would be taken for what is written the next time.
            conn.forget(&mut self.links);
            conn.give_up(Unfinished::Lost, time, emit);
        }
    }

    /// Nothing is observed from now on: what is open ends unseen, and connections come again as others.
    pub fn pause(&mut self, time: KernelNanos, emit: &mut impl FnMut(ExchangeEvent)) {
        self.links = Links::default();
        self.give_up_all(Unfinished::Lost, time, emit);
    }

    /// Nothing more is wanted of a description.
    pub fn ignore(&mut self, file: FileId) {
        self.feedback.push(Feedback::Ignore(file));
    }

    /// Advice to the probes since the last call.
    pub fn take_feedback(&mut self) -> Vec<Feedback> {
        std::mem::take(&mut self.feedback)
    }

    fn follow(&mut self, source: Source<'_>, emit: &mut impl FnMut(ExchangeEvent)) {
        if !self.connections.contains(&source.file) {
            let conn = Box::new(Conn::new(source));
            if let Some((_, mut old)) = self.connections.push(source.file, conn)
                && !old.open.is_empty()
            {
                emit(ExchangeEvent::Evicted { tgid: old.tgid() });
                let since = old
                    .open
                    .front()
                    .map_or_else(KernelNanos::default, |o| o.moved.time);
                old.give_up(Unfinished::Lost, since, emit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
