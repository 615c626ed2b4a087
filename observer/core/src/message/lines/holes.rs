//! Bytes of a log that were not seen.

use crate::ids::KernelNanos;
use crate::stream::Chunk;

/// Holes remembered.
const MAX_HOLES: usize = 8;
/// How long after a hole a thread may go on with a line that began in it, in nanoseconds.
const NEAR_NANOS: u64 = 1_000_000_000;

/// How a chunk follows what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// It continues, or fills a hole: threads that write at once are reported slightly out of order.
    InOrder,
    /// Bytes before it were not seen (yet).
    AfterHole,
    /// It was told already: what was told did not move.
    Again,
}

/// The positions of one log that were not seen.
#[derive(Debug, Default)]
pub(super) struct Holes {
    next: u64,
    open: Vec<(u64, u64)>,
    /// When the last hole opened that was not filled.
    since: Option<KernelNanos>,
}

impl Holes {
    /// Takes the next chunk.
    pub fn follow(&mut self, chunk: &Chunk<'_>) -> Follows {
        if chunk.len == 0 {
            // A write that moved nothing after all; its position says nothing.
            return Follows::InOrder;
        }
        let end = chunk.pos.saturating_add(u64::from(chunk.len));
        let next = self.next;
        if chunk.pos < next {
            if self.fill(chunk.pos, end) {
                return Follows::InOrder;
            }
            self.next = end;
            self.open.clear();
            self.since = Some(chunk.time);
            return Follows::Again;
        }
        self.next = end;
        if chunk.pos == next {
            return Follows::InOrder;
        }
        if self.open.len() == MAX_HOLES {
            self.open.remove(0);
        }
        self.open.push((next, chunk.pos));
        self.since = Some(chunk.time);
        Follows::AfterHole
    }

    /// Something was lost, nobody knows where.
    pub fn lost(&mut self, now: KernelNanos) {
        self.since = Some(now);
        self.open.clear();
    }

    /// A hole opened a short while ago.
    pub fn is_near(&self, now: KernelNanos) -> bool {
        self.since
            .is_some_and(|since| now.since(since) < NEAR_NANOS)
    }

    fn fill(&mut self, start: u64, end: u64) -> bool {
        let Some(at) = self.open.iter().position(|h| h.0 <= start && end <= h.1) else {
            return false;
        };
        let (from, to) = self.open.remove(at);
        self.open
            .extend([(from, start), (end, to)].into_iter().filter(|h| h.0 < h.1));
        if self.open.is_empty() {
            self.since = None;
        }
        true
    }
}
