//! What the words of a [`Layout`](super::control::Layout) mean for CPython.

/// Word: address of `_PyRuntime.interpreters.main`, which points to the main interpreter.
pub const INTERPRETER: usize = 0;
/// Word: offset of `threads.head` (`tstate_head` before 3.11) in an interpreter.
pub const THREADS: usize = 1;
/// Word: offset of `next` in a `PyThreadState`.
pub const NEXT: usize = 2;
/// Word: offset of `thread_id` in a `PyThreadState`: the thread pointer of its thread.
pub const THREAD_ID: usize = 3;
/// Word: offset of `context` in a `PyThreadState`.
pub const CONTEXT: usize = 4;
/// Word: address of `PyContext_Type`.
pub const TYPE: usize = 5;
/// Word: [`GREENLETS`] and [`THREAD_CONTEXTS`], or 0.
pub const FLAGS: usize = 6;
/// Word: address of `PyGreenlet_Type`; 0 if greenlets are not told apart.
pub const GREENLET_TYPE: usize = 7;
/// Word: the module whose thread-local block has what `greenlet` knows of a thread, as glibc numbers them.
pub const GREENLET_MODULE: usize = 8;
/// Word: offset in that block of the pointer to it: first the thread's main greenlet, then the one that runs.
pub const GREENLET_STATE: usize = 9;

/// Flag: greenlets run in this process. Each has a context that it never enters.
pub const GREENLETS: u64 = 1;
/// Flag: every thread that the process starts runs in a context of its own, as from 3.14 on.
pub const THREAD_CONTEXTS: u64 = 2;

/// Offset of `ob_type` in a `PyContext`. `ctx_prev`, `ctx_vars`, `ctx_weakreflist` and `ctx_entered`
/// follow it, eight bytes each (`Include/internal/pycore_context.h`, the same from 3.7 to 3.15).
pub const OB_TYPE: u64 = 8;

/// Bits of an address; what lies above them in an execution's identity is its generation.
pub const ADDRESS_BITS: u32 = 48;
