//! Streams of HAProxy: each is one request with its response.
//!
//! The scheduler keeps the task that runs on a thread; one that serves a request runs `process_stream` with the stream for
//! its argument. Whatever else runs is no execution.

use observer_abi::{
    control::Layout,
    haproxy::{CURRENT, PROCESS, PROCESS_STREAM, THREAD},
    runtime,
};

use super::{Execution, thread_pointer};
use crate::mem;

/// The stream that is worked at on the current thread.
#[inline(always)]
pub fn current(layout: &Layout) -> Execution {
    match stream(layout) {
        Some(stream) if stream != 0 => Execution {
            runtime: runtime::HAPROXY,
            id: stream,
            origin: 0,
        },
        _ => Execution::NONE,
    }
}

#[inline(always)]
fn stream(layout: &Layout) -> Option<u64> {
    let thread: u64 = mem::user(thread_pointer()?.wrapping_add(layout.words[THREAD]))?;
    let task: u64 = mem::user(thread.wrapping_add(layout.words[CURRENT]))?;
    if task == 0 {
        return None;
    }
    let [process, stream]: [u64; 2] = mem::user(task.wrapping_add(PROCESS))?;
    (process == layout.words[PROCESS_STREAM]).then_some(stream)
}
