//! Where threads of Java make objects, and which object is the task of a pool's thread.
//!
//! A thread makes its objects in a buffer of its own (`ThreadLocalAllocBuffer`), from which memory is taken in
//! order. So the address of a task says who made it, for as long as no collector has moved it.
//!
//! A pool's thread keeps its task as a local variable of the frame in which it spends its life ([`worker`]). Of a thread that has no such
//! frame it is looked for what it runs because a future is complete ([`dependent`]).

pub mod objects;
mod worker;

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{
    Heap,
    control::{Layout, watch},
    heap as word, kind,
};

use self::{
    objects::{CLASS, target},
    worker::{find_task, named, task},
};
use crate::{
    compiled, dependent,
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
    /// Where on its stack its task is named, or with a flag ([`worker`]) what a compiled call returns to; 0 if that was not found.
    place: u64,
    /// When to look again if one of them is 0 or wrong, `CLOCK_MONOTONIC` nanoseconds.
    again: u64,
    /// The beginning of its buffer when that was told last.
    start: u64,
    /// The task that was told last.
    task: u64,
    /// How often it was told of since it was found, as it waited for others or woke them.
    calls: u64,
}

impl Known {
    const NOTHING: Self = Self {
        thread: 0,
        place: 0,
        again: 0,
        start: 0,
        task: 0,
        calls: 0,
    };
}

/// What was not found is looked for again after this long, nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// What is not where it was, because a collector is correcting addresses, after this long.
const MOVING: u64 = 10_000_000;
/// As often a thread that keeps no tasks is told of where it waits for others or wakes them: one that was started for a piece of work may do
/// nothing else that is told.
const CALLS: u64 = 8;

/// Tells what is known of the current thread, which wakes or starts another one, if virtual threads may run on it: what
/// they share with each other is how far the buffer is filled, so that it must be told more often.
#[inline(always)]
pub fn tell_shared(caller: Thread) {
    if caller.cell & watch::RUNTIME != 0 && caller.cell & watch::WAKES != 0 {
        tell_known(caller.pid_tgid);
    }
}

/// Whether it is told where the current process's threads make objects, and virtual threads share them.
#[inline(always)]
pub fn is_shared(caller: Thread) -> bool {
    let cell = watch::RUNTIME | watch::WAKES;
    // SAFETY: the value is not read.
    caller.cell & cell == cell && unsafe { HEAPS.get((caller.pid_tgid >> 32) as u32) }.is_some()
}

/// Tells what is known of the current thread, unless it is seen for the first time: it then tells the one that started it that it
/// is there, and is not in the machine's list yet, so that it would be looked for in vain.
#[inline(never)]
fn tell_known(pid_tgid: u64) {
    // SAFETY: the value is not read.
    let (described, seen) = unsafe {
        (
            HEAPS.get((pid_tgid >> 32) as u32).is_some(),
            HEAP_THREADS.get(pid_tgid as u32).is_some(),
        )
    };
    if seen {
        tell_heap(pid_tgid, ring::now(), KNOWN);
    } else if described {
        let _ = HEAP_THREADS.insert(pid_tgid as u32, Known::NOTHING, u64::from(BPF_ANY));
    }
}

/// Tells what is known of the current thread, which reads something, takes a connection, or starts another thread at `time`.
#[inline(always)]
pub fn tell(caller: Thread, time: u64) {
    if caller.cell & watch::HEAP != 0 {
        tell_heap(caller.pid_tgid, time, KNOWN);
    }
}

/// Tells what is known of the current thread, which writes something at `time`.
#[inline(always)]
pub fn tell_writer(caller: Thread, time: u64) {
    if caller.cell & watch::HEAP != 0 {
        tell_heap(caller.pid_tgid, time, LOOKED_FOR);
    }
}

/// Tells the same of a thread that waits for others or wakes them, if it makes objects in another buffer than was told last: had it
/// a third one by its next record, nobody would know who filled the second. So of one that keeps no tasks, the first few times.
#[inline(always)]
pub fn check(caller: Thread) {
    if caller.cell & watch::HEAP == 0 {
        return;
    }
    match to_be_told(caller.pid_tgid) {
        NOTHING => {}
        ALL => {
            tell_heap(caller.pid_tgid, ring::now(), KNOWN);
        }
        thread => {
            let task = last_dependent(caller.pid_tgid);
            tell_made(caller.pid_tgid, ring::now(), thread, task, 0);
        }
    }
}

/// Nothing is to be told of a thread.
const NOTHING: u64 = 0;
/// Everything is.
const ALL: u64 = 1;

/// What is to be told of a thread that has got another buffer since it was told of, or may have made something that others do. What is wrong
/// here is told in vain. Other values are addresses of its `JavaThread`: only how far its buffer is filled is told, and its task is not looked
/// for, since it may be about to begin its life.
#[inline(never)]
fn to_be_told(pid_tgid: u64) -> u64 {
    // SAFETY: as in `tell_heap`.
    let Some(layout) = (unsafe { HEAPS.get((pid_tgid >> 32) as u32) }) else {
        return NOTHING;
    };
    let Some(known) = HEAP_THREADS.get_ptr_mut(pid_tgid as u32) else {
        // Seen for the first time: see `tell_known`.
        let _ = HEAP_THREADS.insert(pid_tgid as u32, Known::NOTHING, u64::from(BPF_ANY));
        return NOTHING;
    };
    // SAFETY: aligned fields of a live map element, which none but the thread itself writes.
    let (thread, start, place, calls) = unsafe {
        (
            (&raw const (*known).thread).read_volatile(),
            (&raw const (*known).start).read_volatile(),
            (&raw const (*known).place).read_volatile(),
            (&raw const (*known).calls).read_volatile(),
        )
    };
    if place == 0 && calls < CALLS {
        // SAFETY: as above.
        unsafe { (&raw mut (*known).calls).write_volatile(calls + 1) };
        let Some(pointer) = execution::thread_pointer() else {
            return NOTHING;
        };
        if thread != 0 && names(layout, thread, pointer) {
            return thread;
        }
        let tgid = (pid_tgid >> 32) as u32;
        let found = execution::java::find_java_thread(tgid, execution::java::HEAP, pointer);
        // SAFETY: as above.
        unsafe { (&raw mut (*known).thread).write_volatile(found) };
        return found;
    }
    if thread == 0 {
        return NOTHING;
    }
    let now: Option<u64> = mem::user(thread.wrapping_add(layout.words[word::START]));
    if now.is_some_and(|now| now != 0 && now != start) {
        ALL
    } else {
        NOTHING
    }
}

/// Whether a thread works at another task than when it was told of last. It may seem so, too, after a collection.
#[inline(always)]
pub fn has_fresh_task(caller: Thread) -> bool {
    caller.cell & watch::HEAP != 0 && is_at_another_task(caller.pid_tgid)
}

#[inline(never)]
fn is_at_another_task(pid_tgid: u64) -> bool {
    let tgid = (pid_tgid >> 32) as u32;
    // SAFETY: as in `tell_heap`.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return false;
    };
    // SAFETY: as in `known`.
    let Some(known) = (unsafe { HEAP_THREADS.get(pid_tgid as u32) }) else {
        return false;
    };
    let (place, thread, told) = (known.place, known.thread, known.task);
    if place == 0 {
        return false;
    }
    let task = named(layout, tgid, place, thread);
    task > compiled::NO_TASK && task != told
}

/// Which dependent a thread runs is not looked for: it is at most the one that was told last.
const KNOWN: u32 = 0;
/// It is looked for, which takes a read for every four words of its frames.
const LOOKED_FOR: u32 = 1;

/// The dependent that was told last of the current thread, if that still runs it; else 0.
#[inline(always)]
fn last_dependent(pid_tgid: u64) -> u64 {
    // SAFETY: as in `known`.
    let Some(known) = (unsafe { HEAP_THREADS.get(pid_tgid as u32) }) else {
        return 0;
    };
    let task = known.task;
    if task != 0 && dependent::is_running((pid_tgid >> 32) as u32, task) != 0 {
        task
    } else {
        0
    }
}

/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_heap(pid_tgid: u64, time: u64, dependents: u32) -> i32 {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { HEAPS.get((pid_tgid >> 32) as u32) }) else {
        return 0;
    };
    let Some(known) = known(layout, pid_tgid) else {
        return 0;
    };
    let tgid = (pid_tgid >> 32) as u32;
    let (task, target) = if known.place != 0 {
        (task(layout, tgid, known.place, known.thread), 0)
    } else {
        let dependent = if dependents == LOOKED_FOR {
            dependent::running(pid_tgid, known.thread)
        } else {
            last_dependent(pid_tgid)
        };
        (dependent, target(tgid, known.thread))
    };
    tell_made(pid_tgid, time, known.thread, task, target)
}

/// Tells how far the buffer of the current thread is filled, whose `JavaThread` is at `thread`, with what was found before.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_made(pid_tgid: u64, time: u64, thread: u64, task: u64, target: u64) -> i32 {
    // SAFETY: as in `tell_heap`.
    let Some(layout) = (unsafe { HEAPS.get((pid_tgid >> 32) as u32) }) else {
        return 0;
    };
    // The buffer is read last: a collection that moves objects takes it away first.
    let collections = mem::user::<u32>(layout.words[word::COLLECTIONS]);
    let class = if task == 0 {
        None
    } else {
        mem::user::<u32>(task.wrapping_add(CLASS))
    };
    let at = |offset: usize| mem::user::<u64>(thread.wrapping_add(layout.words[offset]));
    let (Some(collections), Some(end), Some(top), Some(start)) =
        (collections, at(word::END), at(word::TOP), at(word::START))
    else {
        return 0;
    };
    if let Some(known) = HEAP_THREADS.get_ptr_mut(pid_tgid as u32) {
        // SAFETY: aligned fields of a live map element, which none but the thread itself writes.
        unsafe {
            (&raw mut (*known).start).write_volatile(start);
            (&raw mut (*known).task).write_volatile(task);
        }
    }
    let execution = execution::java::mounted(pid_tgid, thread);
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
        execution,
        target,
    });
    entry.submit(ring::wakeup());
    0
}

/// What is known of the current thread, by now.
#[inline(always)]
fn known(layout: &Layout, pid_tgid: u64) -> Option<Known> {
    let pointer = execution::thread_pointer()?;
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    let mut known = Known::NOTHING;
    // SAFETY: another thread's element may be read if this one's is just replaced; what it says is
    // checked below.
    if let Some(before) = unsafe { HEAP_THREADS.get(tid) } {
        known = *before;
    }
    if known.thread != 0 && !names(layout, known.thread, pointer) {
        known = Known::NOTHING;
    }
    let lost = known.place != 0 && named(layout, tgid, known.place, known.thread) == compiled::LOST;
    if (known.place == 0 || lost) && ring::now() >= known.again {
        if known.thread == 0 {
            known.thread = execution::java::find_java_thread(tgid, execution::java::HEAP, pointer);
        }
        // Without a buffer a collection may be moving objects.
        let buffer: Option<u64> = mem::user(known.thread.wrapping_add(layout.words[word::START]));
        let moving = known.thread != 0 && buffer == Some(0);
        known.place = if known.thread == 0 || moving {
            0
        } else {
            find_task(tgid, known.thread)
        };
        let patience = match (moving, lost) {
            (true, _) => 0,
            (false, true) => MOVING,
            (false, false) => PATIENCE,
        };
        known.again = ring::now() + patience;
        // Without room it is looked for again at the next call.
        let _ = HEAP_THREADS.insert(tid, known, u64::from(BPF_ANY));
    }
    (known.thread != 0).then_some(known)
}
