//! How the chunks of one direction follow each other.

use std::cmp::Ordering;

use super::Chunk;

/// Orders the chunks of one direction by their positions.
///
/// Keeps no bytes: the kernel numbers and reports the bytes of one stream in the order in which they
/// move, so a chunk ahead of its turn means that records were lost, and a chunk behind it that a
/// write was told before it was known how much of it moved. Neither gets better by waiting.
///
/// Positions count from 0 when a description is first seen, so a direction whose first chunk is
/// further on has lost its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assembler {
    next: u64,
    begun: bool,
}

/// How a chunk follows what was seen of its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It continues where the last one ended.
    None,
    /// This many bytes before it were not seen.
    Gap(u64),
    /// It begins before the end of what was already told: what was told there may not have moved.
    Overlap,
}

/// One step of a stream: a possible break, then bytes, then possibly bytes that were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// What comes before `bytes`.
    pub before: Break,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Bytes after `bytes` that moved, moved by the same call, but were not captured.
    pub cut: u64,
}

impl Assembler {
    /// Takes the next chunk.
    pub fn step<'a>(&mut self, chunk: &Chunk<'a>) -> Step<'a> {
        let len = u64::from(chunk.len);
        let captured = chunk.bytes.len().min(chunk.len as usize);
        let bytes = &chunk.bytes[..captured];
        let before = match chunk.pos.cmp(&self.next) {
            Ordering::Equal => Break::None,
            Ordering::Greater => Break::Gap(chunk.pos - self.next),
            Ordering::Less => Break::Overlap,
        };
        self.next = chunk.pos.saturating_add(len);
        self.begun = true;
        Step {
            before,
            bytes,
            cut: len - bytes.len() as u64,
        }
    }

    /// Position after the last chunk.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether any chunk came.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{KernelNanos, Tid};

    fn chunk(pos: u64, len: u32, bytes: &[u8]) -> Chunk<'_> {
        Chunk {
            tid: Tid(1),
            time: KernelNanos(1),
            pos,
            len,
            bytes,
            nonblocking: false,
            execution: None,
        }
    }

    #[test]
    fn chunks_continue_each_other() {
        let mut a = Assembler::default();
        assert!(!a.has_begun());
        assert_eq!(a.step(&chunk(0, 3, b"abc")).before, Break::None);
        assert_eq!(a.step(&chunk(3, 1, b"d")).before, Break::None);
        assert_eq!(a.next(), 4);
        assert!(a.has_begun());
    }

    #[test]
    fn a_first_chunk_that_is_not_at_the_beginning_follows_a_gap() {
        let mut a = Assembler::default();
        assert_eq!(a.step(&chunk(10, 1, b"x")).before, Break::Gap(10));
        assert_eq!(a.step(&chunk(11, 1, b"x")).before, Break::None);
    }

    #[test]
    fn a_hole_in_the_positions_is_a_gap_of_that_many_bytes() {
        let mut a = Assembler::default();
        a.step(&chunk(0, 3, b"abc"));
        let step = a.step(&chunk(10, 2, b"xy"));
        assert_eq!(step.before, Break::Gap(7));
        assert_eq!(step.bytes, b"xy");
    }

    #[test]
    fn bytes_that_were_not_captured_are_told_apart_from_lost_ones() {
        let mut a = Assembler::default();
        let step = a.step(&chunk(0, 100, b"abc"));
        assert_eq!((step.before, step.cut), (Break::None, 97));
        assert_eq!(a.step(&chunk(100, 1, b"x")).before, Break::None);
    }

    #[test]
    fn bytes_told_again_are_an_overlap_and_set_a_new_base() {
        let mut a = Assembler::default();
        a.step(&chunk(0, 100, b""));
        assert_eq!(a.step(&chunk(50, 10, b"")).before, Break::Overlap);
        assert_eq!(a.step(&chunk(60, 10, b"")).before, Break::None);
    }

    #[test]
    fn positions_at_the_end_of_their_range_do_not_wrap() {
        let mut a = Assembler::default();
        a.step(&chunk(u64::MAX - 1, 100, b"abc"));
        assert_eq!(a.next(), u64::MAX);
        assert_eq!(a.step(&chunk(0, 1, b"x")).before, Break::Overlap);
    }
}
