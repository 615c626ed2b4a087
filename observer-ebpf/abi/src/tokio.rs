//! What the words of a [`Layout`](super::control::Layout) mean for a program with tokio in it.

/// Word: offset of the current task's id from the thread pointer; wraps, for it lies below that on x86-64.
pub const CURRENT: usize = 0;
/// Word: address of the number that the next task will get. All ids are below it.
pub const NEXT: usize = 1;

/// Offset of `vtable` in a task's header (`tokio/src/runtime/task/core.rs`, `repr(C)`: state, link, vtable).
pub const VTABLE: u64 = 16;
/// Offset in that table of the word that says where in a task its id lies (`raw.rs`: after seven functions and
/// two other offsets).
pub const ID_OFFSET: u64 = 72;
/// Where in a task its id may lie, bytes: behind the header and the scheduler's handle.
pub const ID_AT: core::ops::Range<u64> = 32..512;

/// Bit of a task's state, the first word of its header: it waits to be run (`state.rs`).
pub const NOTIFIED: u64 = 4;
