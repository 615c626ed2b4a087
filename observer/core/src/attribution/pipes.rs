//! Tier 4, messages: what a thread does after it took a message from an in-process pipe or socket
//! pair was done for the request for which the message was written (log queues such as loguru's
//! `enqueue=True` work so).
//!
//! The bytes decide, not the order of events alone: what was read is compared with what was
//! written. A single byte that merely wakes another thread carries nothing.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::decide::Decision;
use crate::ids::{Seq, Tgid, Tid};
use crate::record::Data;

/// Shorter writes are wake-ups (self-pipes, counters of eventfd), not messages.
const MIN_MESSAGE: u32 = 16;

/// Bytes of a message that are kept to recognise it.
const KEEP: usize = 256;

/// Messages in one pipe that were not read yet, at most.
const MAX_UNREAD: usize = 4_096;

/// Pipes that are followed at once.
const MAX_PIPES: usize = 1_024;

/// Owners of messages that are remembered for work that is decided later.
const MAX_RESOLVED: usize = 65_536;

/// A pipe, or one direction of a socket pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PipeKey {
    /// Inode number of the pipe, or of the socket through which the bytes are written.
    pub from: u64,
    /// The same inode number for a pipe; of the socket through which they are read for a pair.
    pub to: u64,
}

/// Messages that a thread has taken last: its work may belong to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// Empty after something was read that is no known message.
    pub(super) messages: Vec<Seq>,
}

#[derive(Debug)]
pub(super) struct Pipes {
    pipes: LruCache<(Tgid, PipeKey), Pipe>,
    resolved: LruCache<Seq, Resolved>,
}

/// For what a message was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolved {
    Request {
        request: Seq,
        writer: Tid,
    },
    /// No request was in flight.
    Nothing,
}

/// What is in a pipe, as far as it is known.
#[derive(Debug, Default)]
struct Pipe {
    unread: VecDeque<Segment>,
    /// Whether the front of `unread` is what the next read returns.
    in_step: bool,
}

#[derive(Debug)]
struct Segment {
    /// The message; absent for a wake-up.
    message: Option<Seq>,
    start: Vec<u8>,
    len: u64,
    taken: u64,
}

impl Default for Pipes {
    fn default() -> Self {
        const PIPES: NonZeroUsize = NonZeroUsize::new(MAX_PIPES).expect("not zero");
        const RESOLVED: NonZeroUsize = NonZeroUsize::new(MAX_RESOLVED).expect("not zero");
        Self {
            pipes: LruCache::sparse(PIPES),
            resolved: LruCache::sparse(RESOLVED),
        }
    }
}

impl Pipes {
    pub(super) fn is_message(&self, len: u32) -> bool {
        len >= MIN_MESSAGE
    }

    pub(super) fn written(&mut self, key: PipeKey, tgid: Tgid, message: Seq, data: &Data<'_>) {
        self.push(key, tgid, Some(message), data);
    }

    pub(super) fn wake_up(&mut self, key: PipeKey, tgid: Tgid, data: &Data<'_>) {
        self.push(key, tgid, None, data);
    }

    /// A thread read from a pipe: the messages that the bytes belong to. Nothing is returned when
    /// nobody in this process was seen to write to it.
    pub(super) fn read(&mut self, key: PipeKey, tgid: Tgid, data: &Data<'_>) -> Option<Carried> {
        let pipe = self.pipes.get_mut(&(tgid, key))?;
        Some(Carried {
            messages: pipe.take(data.payload, u64::from(data.len)),
        })
    }

    /// A message was decided.
    pub(super) fn resolve(&mut self, message: Seq, writer: Tid, decision: &Decision) {
        if let Some(request) = decision.message_owner() {
            let resolved = Resolved::Request { request, writer };
            self.resolved.push(message, resolved);
        } else if decision.for_nothing() {
            self.resolved.push(message, Resolved::Nothing);
        }
    }

    /// The request that all of these messages were written for, and the thread that wrote the first.
    pub(super) fn owner(&self, messages: &[Seq]) -> Option<(Seq, Tid)> {
        let (first, rest) = messages.split_first()?;
        let request = |m: &Seq| match self.resolved.peek(m).copied() {
            Some(Resolved::Request { request, writer }) => Some((request, writer)),
            Some(Resolved::Nothing) | None => None,
        };
        let (owner, writer) = request(first)?;
        let same = |m: &Seq| request(m).is_some_and(|(request, _)| request == owner);
        rest.iter().all(same).then_some((owner, writer))
    }

    /// Whether all of these messages were written for no request.
    pub(super) fn for_nothing(&self, messages: &[Seq]) -> bool {
        messages
            .iter()
            .all(|m| self.resolved.peek(m) == Some(&Resolved::Nothing))
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.pipes, |key, _| key.0 == tgid);
    }

    fn push(&mut self, key: PipeKey, tgid: Tgid, message: Option<Seq>, data: &Data<'_>) {
        let pipe = self.pipes.get_or_insert_mut((tgid, key), Pipe::default);
        // An empty pipe puts reader and writer in step, unless a read is still to be reported.
        if !pipe.in_step && data.pipe_empty {
            pipe.unread.clear();
            pipe.in_step = true;
        }
        if pipe.unread.len() == MAX_UNREAD {
            pipe.unread.clear();
            pipe.in_step = false;
        }
        if pipe.in_step {
            let keep = data.payload.len().min(KEEP);
            pipe.unread.push_back(Segment {
                message,
                start: data.payload[..keep].to_vec(),
                len: u64::from(data.len),
                taken: 0,
            });
        }
    }
}

impl Pipe {
    /// Takes `len` bytes, of which `bytes` are the first, out of the pipe.
    fn take(&mut self, mut bytes: &[u8], mut len: u64) -> Vec<Seq> {
        let mut messages = Vec::new();
        while len > 0 {
            let Some(front) = self.unread.front_mut().filter(|_| self.in_step) else {
                return self.lose_step();
            };
            let part = len.min(front.len - front.taken);
            let known = bytes.len().min(usize::try_from(part).unwrap_or(usize::MAX));
            if !front.matches(&bytes[..known]) {
                return self.lose_step();
            }
            messages.extend(front.message);
            front.taken += part;
            if front.taken == front.len {
                self.unread.pop_front();
            }
            bytes = &bytes[known..];
            len -= part;
        }
        messages
    }

    fn lose_step(&mut self) -> Vec<Seq> {
        self.unread.clear();
        self.in_step = false;
        Vec::new()
    }
}

impl Segment {
    /// Whether `bytes` are what comes next, as far as it was kept.
    fn matches(&self, bytes: &[u8]) -> bool {
        let Some(rest) = usize::try_from(self.taken)
            .ok()
            .and_then(|at| self.start.get(at..))
        else {
            return true;
        };
        let n = rest.len().min(bytes.len());
        rest[..n] == bytes[..n]
    }
}
