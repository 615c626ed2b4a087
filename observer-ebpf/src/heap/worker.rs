//! Where a pool's thread keeps its task.
//!
//! `ThreadPoolExecutor.runWorker` is entered once in a thread's life and keeps the pool, the worker, its thread and the task as its local
//! variables 0 to 3. The interpreter has these in the frame one below the other, as addresses: that is
//! looked for once, and believed for as long as the third names the thread that it belongs to. Where the
//! method was compiled, the place is that of an address to which it returns ([`compiled`]).

use observer_abi::{control::Layout, heap as word};

use super::{
    HEAPS,
    objects::{in_heap, own, refers},
};
use crate::{compiled, mem};

/// Flag of a place: what a call of compiled code returns to lies there, not the task.
const COMPILED: u64 = 1;

/// Words of a stack that are looked at, from its upper end on: above the first frame lie what the C library keeps for
/// the thread, and up to 896 bytes that the machine leaves out (`thread_native_entry`).
const WORDS: u64 = 1_200;

/// The task that is named at `place`, as [`named`] has it; 0 for none.
#[inline(always)]
pub fn task(layout: &Layout, tgid: u32, place: u64, thread: u64) -> u64 {
    match named(layout, tgid, place, thread) {
        compiled::LOST | compiled::NO_TASK => 0,
        task => task,
    }
}

/// The task that is named at `place` on the stack of the thread of process `tgid` whose `JavaThread` is at `thread`;
/// [`compiled::NO_TASK`], or [`compiled::LOST`] if it is no such place any more.
#[inline(always)]
pub fn named(layout: &Layout, tgid: u32, place: u64, thread: u64) -> u64 {
    let own = own(layout, thread);
    if place & COMPILED == 0 {
        return match mem::user::<[u64; 2]>(place) {
            Some([0, thread]) if thread == own => compiled::NO_TASK,
            Some([task, thread]) if thread == own => in_heap(layout, task),
            _ => compiled::LOST,
        };
    }
    match compiled::compiled_task(tgid, place & !COMPILED, own) {
        none @ (compiled::LOST | compiled::NO_TASK) => none,
        task => in_heap(layout, task).max(compiled::NO_TASK),
    }
}

/// Where the current thread of process `tgid`, whose `JavaThread` is at `thread`, keeps its task, or with [`COMPILED`] what a call of compiled
/// code returns to; 0 if that is not found. What is nearest to the upper end is in use: what has been left lies below.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_task(tgid: u32, thread: u64) -> u64 {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    let base: Option<u64> = mem::user(thread.wrapping_add(layout.words[word::STACK]));
    let (Some(base), own) = (base, own(layout, thread)) else {
        return 0;
    };
    if own == 0 {
        return 0;
    }
    for index in 4..WORDS {
        let place = base.wrapping_sub(index * 8);
        match is_worker(tgid, place, own) {
            0 => {}
            1 => return place,
            _ => return place | COMPILED,
        }
    }
    0
}

/// 1 if the variables of `runWorker` may end with the task at `place`, where `own` is the thread; 2 if a compiled version's call
/// returns to what is there; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_worker(tgid: u32, place: u64, own: u64) -> i32 {
    // SAFETY: as in `find_task`.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    if mem::user(place).is_some_and(|word| compiled::is_return(layout, tgid, word)) {
        return 2;
    }
    let Some([task, thread, worker, pool]) = mem::user::<[u64; 4]>(place) else {
        return 0;
    };
    if thread != own || worker == own {
        return 0;
    }
    let task = task == 0 || in_heap(layout, task) != 0;
    let in_heap = task && in_heap(layout, worker) != 0 && in_heap(layout, pool) != 0;
    i32::from(in_heap && refers(worker, own))
}
