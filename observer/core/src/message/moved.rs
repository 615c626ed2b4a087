//! Who moved a message, gathered chunk by chunk.

use super::Moved;
use crate::ids::{KernelNanos, Tid};
use crate::record::Execution;
use crate::stream::Chunk;

/// What is worth knowing of a chunk beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub tid: Tid,
    pub time: KernelNanos,
    pub nonblocking: bool,
    pub execution: Option<Execution>,
}

impl By {
    pub fn of(chunk: &Chunk<'_>) -> Self {
        Self {
            tid: chunk.tid,
            time: chunk.time,
            nonblocking: chunk.nonblocking,
            execution: chunk.execution,
        }
    }
}

impl Moved {
    /// Who moved a chunk.
    pub(crate) fn by(chunk: &Chunk<'_>) -> Self {
        Self::began(By::of(chunk))
    }

    pub(super) fn began(by: By) -> Self {
        Self {
            tid: by.tid,
            one_thread: true,
            time: by.time,
            since: by.time,
            nonblocking: by.nonblocking,
            execution: by.execution,
            one_execution: true,
        }
    }

    pub(super) fn extend(&mut self, by: By) {
        self.one_thread &= self.tid == by.tid;
        self.tid = by.tid;
        self.time = by.time;
        self.nonblocking |= by.nonblocking;
        self.one_execution &= same(self.execution, by.execution);
    }
}

/// Whether one execution, or none that is known, moved both parts.
pub(super) fn same(a: Option<Execution>, b: Option<Execution>) -> bool {
    let identity = |e: Execution| (e.kind, e.id, e.published());
    a.map(identity) == b.map(identity)
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
