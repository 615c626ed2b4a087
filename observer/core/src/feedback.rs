//! Advice that flows back, from the pipeline to the probes.

use crate::ids::{FileId, Tgid};
use crate::record::Direction;

/// What the pipeline asks of the probes. Advice: ignoring it costs time, never correctness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing more is wanted of this description but that it is closed.
    Ignore(FileId),
    /// Payload before this position is not wanted, and a whole turn from there.
    SkipUntil {
        /// The description.
        file: FileId,
        /// The direction.
        direction: Direction,
        /// Position of the first byte that is wanted again, counted as in `observer_abi::Data::pos`.
        pos: u64,
    },
    /// It matters who wakes whom in this process, or may: threads of it that serve no request do work, or virtual threads make tasks.
    Wakes(Tgid),
    /// It does not matter where threads of this process make objects, nor who wakes whom: none does work unless it serves a request.
    NoTasks(Tgid),
    /// It matters who hands what to whom through channels in this process: work is done for requests so.
    Channels(Tgid),
}
