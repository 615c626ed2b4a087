//! The pure pipeline of the observer: records in, judged exchanges and log lines out.
//!
//! Modules are the stages, in the order in which data flows:
//! `record → stream → message (with its context) → exchange → attribution → verdict`; `engine` runs
//! them, and `healing` makes spans and log records of what they tell. Nothing here does I/O, reads a clock, draws a random number or keeps global state: the same
//! inputs give the same outputs, so that a recording of a live session replays to the same bytes.

pub mod attribution;
pub mod context;
pub mod engine;
pub mod exchange;
pub mod facts;
pub mod feedback;
pub mod healing;
pub mod ids;
pub mod judged;
pub mod losses;
pub mod message;
pub mod record;
pub mod recording;
pub mod redact;
pub mod route;
pub mod stream;
pub mod summary;
pub mod text;
pub mod verdict;
