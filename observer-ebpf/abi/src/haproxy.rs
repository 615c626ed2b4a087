//! What the words of a [`Layout`](super::control::Layout) mean for HAProxy.

/// Word: offset from the thread pointer of the pointer to what the scheduler keeps of a thread (`th_ctx`, before 2.6
/// `sched`); wraps, for it lies below that on x86-64.
pub const THREAD: usize = 0;
/// Word: offset there of the task that runs.
pub const CURRENT: usize = 1;
/// Word: address of `process_stream`, which a task runs that serves a request.
pub const PROCESS_STREAM: usize = 2;

/// Offset in a task of the function that it runs; the stream, its argument, follows (`TASK_COMMON` in
/// `include/haproxy/task-t.h`).
pub const PROCESS: u64 = 8;
