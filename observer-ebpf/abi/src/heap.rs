//! What the words of a [`Layout`](super::control::Layout) in the `HEAPS` map mean: where threads of HotSpot, the Java virtual
//! machine of OpenJDK, make objects, and where those of pools keep their tasks.
//!
//! The words of [`java`](super::java) up to [`PTHREAD`](super::java::PTHREAD), and [`OBJECT`](super::java::OBJECT), mean
//! the same here.

/// Word: offset of `_stack_base` in a `JavaThread`: the upper end of its stack.
pub const STACK: usize = 5;
/// Word: offset in a `JavaThread` of its buffer's beginning (`Thread::_tlab`, `ThreadLocalAllocBuffer::_start`).
pub const START: usize = 7;
/// Word: the same of `ThreadLocalAllocBuffer::_top`.
pub const TOP: usize = 8;
/// Word: the same of `ThreadLocalAllocBuffer::_end`.
pub const END: usize = 9;
/// Word: address of `CollectedHeap::_total_collections`, 32 bits wide.
pub const COLLECTIONS: usize = 10;
/// Word: where the heap begins.
pub const LOW: usize = 11;
/// Word: where it ends.
pub const HIGH: usize = 12;
