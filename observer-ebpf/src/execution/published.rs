//! Contexts that threads publish for readers (OTEP 4947): the trace in which a thread works, as its SDK says.
//!
//! The thread itself is in a system call, so that it writes nothing meanwhile. Another observer of the host may tell the same
//! in a map that it pins for readers.

use observer_abi::{
    control::Layout,
    published::{MODULE, OFFSET, VALID},
    runtime,
};

use super::{Execution, thread_pointer};
use crate::{maps::TRACES_CTX, mem};

/// Offset from the thread pointer of the address of the table of thread-local blocks (glibc, `tcbhead_t.dtv`).
const TABLE: u64 = 8;
/// Bytes of an element of that table: a block's address, and what is to be freed.
const ELEMENT: u64 = 16;
/// The block was not made yet (`TLS_DTV_UNALLOCATED`).
const UNALLOCATED: u64 = u64::MAX;

/// The trace that the current thread works in.
#[inline(always)]
pub fn current(layout: &Layout) -> Execution {
    told(runtime::PUBLISHED, trace(layout))
}

/// The trace that another observer tells the thread to work in.
#[inline(always)]
pub fn pinned(pid_tgid: u64) -> Execution {
    // SAFETY: only the other observer writes to the map, and what it tells of the current thread changes as that runs; a value
    // that is torn nonetheless is a trace-id that no request came in with.
    let context = unsafe { TRACES_CTX.get(pid_tgid) };
    told(runtime::PINNED, context.and_then(|context| valid(*context)))
}

#[inline(always)]
fn told(runtime: u8, trace: Option<[u64; 2]>) -> Execution {
    match trace {
        Some([high, low]) => Execution {
            runtime,
            id: high,
            origin: low,
        },
        None => Execution::NONE,
    }
}

/// The trace-id of a context whose ids are none of zeros.
#[inline(always)]
fn valid([high, low, span]: [u64; 3]) -> Option<[u64; 2]> {
    (high | low != 0 && span != 0).then(|| [u64::from_be(high), u64::from_be(low)])
}

#[inline(always)]
fn trace(layout: &Layout) -> Option<[u64; 2]> {
    let record: u64 = mem::user(pointer(layout)?)?;
    if record == 0 || mem::user::<u8>(record.wrapping_add(VALID))? != 1 {
        return None;
    }
    valid(mem::user(record)?)
}

/// Where the thread's pointer lies.
#[inline(always)]
fn pointer(layout: &Layout) -> Option<u64> {
    let thread = thread_pointer()?;
    let module = layout.words[MODULE];
    if module == 0 {
        return Some(thread.wrapping_add(layout.words[OFFSET]));
    }
    block(thread, module).map(|block| block.wrapping_add(layout.words[OFFSET]))
}

/// The block of a module's thread-local variables that belongs to the thread with this thread pointer.
#[inline(always)]
pub fn block(thread: u64, module: u64) -> Option<u64> {
    let table: u64 = mem::user(thread.wrapping_add(TABLE))?;
    let block: u64 = mem::user(table.wrapping_add(module.wrapping_mul(ELEMENT)))?;
    (block != 0 && block != UNALLOCATED).then_some(block)
}
