//! Who moved a message, gathered chunk by chunk.

use super::Moved;
use crate::ids::{KernelNanos, Tid};
use crate::stream::Chunk;

/// What is worth knowing of a chunk beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub tid: Tid,
    pub time: KernelNanos,
    pub nonblocking: bool,
}

impl By {
    pub fn of(chunk: &Chunk<'_>) -> Self {
        Self {
            tid: chunk.tid,
            time: chunk.time,
            nonblocking: chunk.nonblocking,
        }
    }
}

impl Moved {
    pub(super) fn began(by: By) -> Self {
        Self {
            tid: by.tid,
            one_thread: true,
            time: by.time,
            since: by.time,
            nonblocking: by.nonblocking,
        }
    }

    pub(super) fn extend(&mut self, by: By) {
        self.one_thread &= self.tid == by.tid;
        self.tid = by.tid;
        self.time = by.time;
        self.nonblocking |= by.nonblocking;
    }
}

/// The chunks of one message so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span(Option<Moved>);

impl Span {
    /// Bytes of the message moved.
    pub fn add(&mut self, by: By) {
        match &mut self.0 {
            Some(moved) => moved.extend(by),
            None => self.0 = Some(Moved::began(by)),
        }
    }

    /// Bytes of the message moved, but nobody saw who moved them.
    pub fn add_unseen(&mut self) {
        if let Some(moved) = &mut self.0 {
            moved.one_thread = false;
        }
    }

    /// What moved so far; `None` before the first byte.
    pub fn moved(&self) -> Option<Moved> {
        self.0
    }

    /// Ready for the next message.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}
