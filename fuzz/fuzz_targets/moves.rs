//! What moves on a connection, cut into calls by the input itself: each begins with two bytes, of which the first says
//! direction, loss and cut, the second the length.

use observer_core::ids::{KernelNanos, Tid};
use observer_core::record::Direction;
use observer_core::stream::Chunk;

/// Calls that are left in the input.
pub struct Moves<'a> {
    rest: &'a [u8],
    time: u64,
    pos: [u64; 2],
}

/// One call.
pub struct Move<'a> {
    pub direction: Direction,
    /// Whether the direction ends before it.
    pub ended: bool,
    pub chunk: Chunk<'a>,
}

impl<'a> Moves<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            rest: input,
            time: 0,
            pos: [0; 2],
        }
    }
}

impl<'a> Iterator for Moves<'a> {
    type Item = Move<'a>;

    fn next(&mut self) -> Option<Move<'a>> {
        let [how, len, after @ ..] = self.rest else {
            return None;
        };
        self.time += 1;
        let (bytes, next) = after.split_at(usize::from(*len).min(after.len()));
        self.rest = next;
        let side = usize::from(how & 1);
        if how & 0xC0 == 0x80 {
            self.pos[side] += u64::from(how & 0x3E);
        }
        let cut = if how & 0x30 == 0x30 { 100 } else { 0 };
        let chunk = Chunk {
            tid: Tid(u32::from(how & 0x0C)),
            time: KernelNanos(self.time),
            pos: self.pos[side],
            len: u32::try_from(bytes.len()).unwrap() + cut,
            bytes,
            nonblocking: false,
            execution: None,
        };
        self.pos[side] += u64::from(chunk.len);
        Some(Move {
            direction: [Direction::Read, Direction::Write][side],
            ended: how & 0xC0 == 0xC0,
            chunk,
        })
    }
}

impl Move<'_> {
    /// Position behind its bytes.
    pub fn end(&self) -> u64 {
        self.chunk.pos + u64::from(self.chunk.len)
    }
}
