//! Contexts that threads publish for readers (OTEP 4947): the trace in which a thread works, as its SDK says.
//!
//! The thread itself is in a system call, so that it writes nothing meanwhile.

use observer_abi::{
    control::Layout,
    published::{MODULE, OFFSET, VALID},
    runtime,
};

use super::{Execution, thread_pointer};
use crate::mem;

/// Offset from the thread pointer of the address of the table of thread-local blocks (glibc, `tcbhead_t.dtv`).
const TABLE: u64 = 8;
/// Bytes of an element of that table: a block's address, and what is to be freed.
const ELEMENT: u64 = 16;
/// The block was not made yet (`TLS_DTV_UNALLOCATED`).
const UNALLOCATED: u64 = u64::MAX;

/// The trace that the current thread works in.
#[inline(always)]
pub fn current(layout: &Layout) -> Execution {
    match trace(layout) {
        Some([high, low]) => Execution {
            runtime: runtime::PUBLISHED,
            id: high,
            origin: low,
        },
        None => Execution::NONE,
    }
}

#[inline(always)]
fn trace(layout: &Layout) -> Option<[u64; 2]> {
    let record: u64 = mem::user(pointer(layout)?)?;
    if record == 0 || mem::user::<u8>(record.wrapping_add(VALID))? != 1 {
        return None;
    }
    let [high, low, span]: [u64; 3] = mem::user(record)?;
    (high | low != 0 && span != 0).then(|| [u64::from_be(high), u64::from_be(low)])
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
