//! What the words of a [`Layout`](super::control::Layout) mean for a process whose threads publish the context that they work
//! in (OTEP 4947, "Thread Context"): `otel_thread_ctx_v1`, a thread-local pointer to a record.

/// Word: the module whose thread-local block the pointer is in, as glibc numbers them; 0 if it is at a fixed
/// distance from the thread pointer.
pub const MODULE: usize = 0;
/// Word: offset of the pointer in that block, or from the thread pointer.
pub const OFFSET: usize = 1;

/// Offset in a record of the byte that is 1 if it is valid. Before it: the trace-id, 16 bytes, and the span-id, 8.
pub const VALID: u64 = 24;
