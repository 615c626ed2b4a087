//! Tasks of tokio.
//!
//! While a task is polled, its id stands in a thread-local of tokio's, at a place that a program has once and
//! for all. Ids are counted up from 1 and never used again, so that what is not below the counter is no id.

use observer_abi::{
    control::Layout,
    runtime,
    tokio::{CURRENT, ID_AT, ID_OFFSET, NEXT, VTABLE},
};

use super::{Execution, thread_pointer};
use crate::mem;

/// A task that is just begun has one of the latest ids, out of this many.
const LATEST: u64 = 1 << 16;

/// The task that is polled on the current thread.
#[inline(always)]
pub fn current(layout: &Layout) -> Execution {
    let id = thread_pointer()
        .and_then(|thread| mem::user(thread.wrapping_add(layout.words[CURRENT])))
        .filter(|id| given_out(layout, *id).is_some());
    Execution {
        runtime: if id.is_some() {
            runtime::TOKIO
        } else {
            runtime::NONE
        },
        id: id.unwrap_or(0),
        origin: 0,
    }
}

/// How many ids were given out after `id`; `None` if it is none that was given out.
#[inline(always)]
fn given_out(layout: &Layout, id: u64) -> Option<u64> {
    let next: u64 = mem::user(layout.words[NEXT])?;
    (id != 0 && id < next).then(|| next - id)
}

/// Id and state of the task whose header is at `header`.
#[inline(always)]
pub fn task(layout: &Layout, header: u64) -> Option<(u64, u64)> {
    let (id, state, _) = read(layout, header)?;
    Some((id, state))
}

/// The task that has just been made, with the one that runs for its origin.
#[inline(always)]
pub fn begun(layout: &Layout, header: u64) -> Execution {
    match read(layout, header) {
        Some((id, _, later)) if later <= LATEST => Execution {
            runtime: runtime::TOKIO,
            id,
            origin: current(layout).id,
        },
        _ => Execution::NONE,
    }
}

#[inline(always)]
fn read(layout: &Layout, header: u64) -> Option<(u64, u64, u64)> {
    let [state, _next, vtable]: [u64; 3] = mem::user(header)?;
    let at: u64 = mem::user(vtable.wrapping_add(ID_OFFSET))?;
    if !ID_AT.contains(&at) || !at.is_multiple_of(8) {
        return None;
    }
    let id = mem::user(header.wrapping_add(at))?;
    let later = given_out(layout, id)?;
    Some((id, state, later))
}

const _: () = assert!(VTABLE == 16, "`read` takes the header's third word");
