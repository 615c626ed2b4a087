//! Streams: the ordered bytes of one direction of one open file description, with explicit gaps.
//!
//! [`Settle`] is the front stage of the whole pipeline: it corrects writes that moved less than they
//! offered. [`Assembler`] then says how the chunks of one direction follow each other.

mod assembler;
mod settle;

pub use assembler::{Assembler, Break, Step};
pub use settle::{Released, Settle};

use crate::ids::{KernelNanos, Tid};
use crate::record::Execution;

/// Bytes of one direction of one stream, as one record reported them.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The thread that moved them.
    pub tid: Tid,
    /// When.
    pub time: KernelNanos,
    /// Position of the first byte in its direction.
    pub pos: u64,
    /// Bytes moved.
    pub len: u32,
    /// The first of them, as many as were captured (`bytes.len() <= len`).
    pub bytes: &'a [u8],
    /// Whether the call could not block.
    pub nonblocking: bool,
    /// The execution that moved them, where one is known.
    pub execution: Option<Execution>,
}
