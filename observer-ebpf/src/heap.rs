//! Where threads of Java make objects, and which object is the task of a pool's thread.
//!
//! A thread makes its objects in a buffer of its own (`ThreadLocalAllocBuffer`), from which memory is taken in
//! order. So the address of a task says who made it, for as long as no collector has moved it.
//!
//! `ThreadPoolExecutor.runWorker` is entered once in a thread's life and keeps the pool, the worker, its thread and the task as its local
//! variables 0 to 3. The interpreter has these in the frame one below the other, as addresses: that is
//! looked for once, and believed for as long as the third names the thread that it belongs to. Where the
//! method was compiled while it ran there is no such place, and no task.

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{
    Heap,
    control::{Layout, watch},
    heap as word, java, kind,
};

use crate::{
    execution::{self, java::names},
    mem, ring,
    thread::Thread,
};

/// Where threads of a process make objects, by process id. Without an entry that is not told.
#[map]
pub static HEAPS: LruHashMap<u32, Layout> = LruHashMap::with_max_entries(4096, 0);

/// What is known of a thread, by thread id.
#[map]
static HEAP_THREADS: LruHashMap<u32, Known> = LruHashMap::with_max_entries(16384, 0);

/// What is known of a thread.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    /// Address of its `JavaThread`; 0 if it had none.
    thread: u64,
    /// Where on its stack its task is named; 0 if that was not found.
    place: u64,
    /// When to look again if one of them is 0 or wrong, `CLOCK_MONOTONIC` nanoseconds.
    again: u64,
}

/// What was not found is looked for again after this long, nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// What is not where it was, because a collector is correcting addresses, after this long.
const MOVING: u64 = 10_000_000;
/// Words of a stack that are looked at, from its upper end on: above the first frame lie what the C library keeps for
/// the thread, and up to 896 bytes that the machine leaves out (`thread_native_entry`).
const WORDS: u64 = 1_200;

/// Tells what is known of the current thread, which moves bytes or takes a connection at `time`.
#[inline(always)]
pub fn tell(caller: Thread, time: u64) {
    if caller.cell & watch::WAKES != 0 {
        tell_heap(caller.pid_tgid, time);
    }
}

/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_heap(pid_tgid: u64, time: u64) -> i32 {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { HEAPS.get((pid_tgid >> 32) as u32) }) else {
        return 0;
    };
    let Some(known) = known(layout, pid_tgid) else {
        return 0;
    };
    // The buffer is read last: a collection that moves objects takes it away first.
    let collections = mem::user::<u32>(layout.words[word::COLLECTIONS]);
    let task = task(layout, &known);
    let class = if task == 0 {
        None
    } else {
        mem::user::<u32>(task.wrapping_add(CLASS))
    };
    let at = |offset: usize| mem::user::<u64>(known.thread.wrapping_add(layout.words[offset]));
    let (Some(collections), Some(end), Some(top), Some(start)) =
        (collections, at(word::END), at(word::TOP), at(word::START))
    else {
        return 0;
    };
    let Some(mut entry) = ring::reserve::<Heap>() else {
        return 0;
    };
    let len = size_of::<Heap>() as u32;
    entry.write(Heap {
        header: ring::header(kind::HEAP, len, pid_tgid, time),
        task,
        start,
        top,
        end,
        collections,
        class: class.unwrap_or(0),
    });
    entry.submit(ring::wakeup());
    0
}

/// Where an object names its class, unless headers are compact (`oopDesc::_metadata`).
const CLASS: u64 = 8;

/// The task that `known` leads to; 0 for none.
#[inline(always)]
fn task(layout: &Layout, known: &Known) -> u64 {
    if known.place == 0 {
        return 0;
    }
    match mem::user::<[u64; 2]>(known.place) {
        Some([task, thread]) if thread == own(layout, known.thread) => in_heap(layout, task),
        _ => 0,
    }
}

/// `address`, if an object may lie there, or 0.
#[inline(always)]
fn in_heap(layout: &Layout, address: u64) -> u64 {
    let inside = address >= layout.words[word::LOW] && address < layout.words[word::HIGH];
    if inside && address & 7 == 0 {
        address
    } else {
        0
    }
}

/// The address of the `Thread` of the `JavaThread` at `thread`; 0 if it can't be read.
#[inline(always)]
fn own(layout: &Layout, thread: u64) -> u64 {
    let place: Option<u64> = mem::user(thread.wrapping_add(layout.words[java::OBJECT]));
    place.and_then(mem::user).unwrap_or(0)
}

/// What is known of the current thread, by now.
#[inline(always)]
fn known(layout: &Layout, pid_tgid: u64) -> Option<Known> {
    let pointer = execution::thread_pointer()?;
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    let mut known = Known {
        thread: 0,
        place: 0,
        again: 0,
    };
    // SAFETY: another thread's element may be read if this one's is just replaced; what it says is
    // checked below.
    if let Some(before) = unsafe { HEAP_THREADS.get(tid) } {
        known = *before;
    }
    if known.thread != 0 && !names(layout, known.thread, pointer) {
        known = Known {
            thread: 0,
            place: 0,
            again: 0,
        };
    }
    let lost = known.place != 0
        && mem::user(known.place.wrapping_add(8)) != Some(own(layout, known.thread));
    if (known.place == 0 || lost) && ring::now() >= known.again {
        if known.thread == 0 {
            known.thread = execution::java::find_java_thread(tgid, execution::java::HEAP, pointer);
        }
        known.place = if known.thread == 0 {
            0
        } else {
            find_task(tgid, known.thread)
        };
        known.again = ring::now() + if lost { MOVING } else { PATIENCE };
        // Without room it is looked for again at the next call.
        let _ = HEAP_THREADS.insert(tid, known, u64::from(BPF_ANY));
    }
    (known.thread != 0).then_some(known)
}

/// Where the current thread of process `tgid`, whose `JavaThread` is at `thread`, keeps its task; 0 if that is not found.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_task(tgid: u32, thread: u64) -> u64 {
    // SAFETY: as in `tell_heap`.
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
        if is_worker(tgid, place, own) != 0 {
            return place;
        }
    }
    0
}

/// 1 if the variables of `runWorker` may end with the task at `place`, where `own` is the thread; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_worker(tgid: u32, place: u64, own: u64) -> i32 {
    let Some([task, thread, worker, pool]) = mem::user::<[u64; 4]>(place) else {
        return 0;
    };
    if thread != own || worker == own {
        return 0;
    }
    // SAFETY: as in `tell_heap`.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    let task = task == 0 || in_heap(layout, task) != 0;
    i32::from(task && in_heap(layout, worker) != 0 && in_heap(layout, pool) != 0)
}
