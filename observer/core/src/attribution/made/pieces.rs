//! Pieces of the buffers in which threads make objects, and who filled them.

use std::collections::{BTreeMap, VecDeque};

use super::Task;
use crate::attribution::subject::Hold;
use crate::ids::{KernelNanos, Tgid, Tid};

/// Pieces that are remembered.
const MAX_PIECES: usize = 65_536;

/// A process, its collections, and an address.
pub(super) type Place = (Tgid, u32, u64);

/// A piece of a buffer that was filled between two records of its thread.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) by: Tid,
    pub(super) since: KernelNanos,
    pub(super) until: KernelNanos,
    /// What the thread did then, or what ran on it.
    pub(super) hold: Hold,
    /// The virtual thread that ran at its beginning, and went on from there.
    pub(super) first: Option<Hold>,
    /// Several may have run on the thread one after the other, so that it is nobody's.
    pub(super) shared: bool,
    /// The task that it worked at before and after.
    pub(super) task: Option<Task>,
}

/// All pieces that are remembered.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// By where they begin.
    pieces: BTreeMap<Place, Piece>,
    order: VecDeque<Place>,
}

impl Pieces {
    pub(super) fn insert(&mut self, place: Place, piece: Piece) {
        if self.order.len() == MAX_PIECES
            && let Some(oldest) = self.order.pop_front()
        {
            self.pieces.remove(&oldest);
        }
        self.order.push_back(place);
        self.pieces.insert(place, piece);
    }

    /// The piece in which a place lies.
    pub(super) fn find(&self, place: Place) -> Option<&Piece> {
        let (found, piece) = self.pieces.range(..=place).next_back()?;
        let same = (found.0, found.1) == (place.0, place.1);
        (same && place.2 < piece.end).then_some(piece)
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.order.retain(|(of, ..)| *of != tgid);
        let mut pieces = self.pieces.range((tgid, 0, 0)..);
        // Most processes have none, and going through those of others takes long.
        if pieces.next().is_some_and(|((of, ..), _)| *of == tgid) {
            self.pieces.retain(|(of, ..), _| *of != tgid);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.order.is_empty()
    }
}
