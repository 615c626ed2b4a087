//! Virtual threads of Java.
//!
//! The machine keeps in each `JavaThread` the number of the thread that runs on it, since that is what owns
//! monitors (JEP 491, Java 24): its own while it runs itself, the virtual thread's while one is mounted.
//! A number, and not the address of an object, which a collector may be moving while a system call is made.
//!
//! The `JavaThread` is the one in the machine's list with the thread pointer of the thread. Where it lies, and
//! what its own number is, is remembered, and believed for as long as it names the same thread.

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{UNKNOWN_EXECUTION, control::Layout, java as word, runtime};

use super::{Execution, thread_pointer};
use crate::{barrier, heap::HEAPS, maps::RUNTIMES, mem, ring};

/// Where the machine keeps what it knows of a thread, by thread id.
#[map]
static JAVA_THREADS: LruHashMap<u32, Known> = LruHashMap::with_max_entries(16384, 0);

/// What is known of a thread.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    /// Address of its `JavaThread`; 0 if it had none.
    thread: u64,
    /// Its own `Thread.threadId()`; 0 if that could not be read.
    own: u64,
    /// When to look again if one of them is 0, `CLOCK_MONOTONIC` nanoseconds.
    again: u64,
}

/// Threads of a process that are looked at to find the current one.
const THREADS: u64 = 1024;
/// A thread that the machine does not know is looked for again after this long, nanoseconds: its compilers
/// and collectors write as well.
const PATIENCE: u64 = 100_000_000;
/// One whose own number can't be read, because a collector moves objects, after this long.
const MOVING: u64 = 1_000_000;

/// The virtual thread that runs on the current thread.
#[inline(never)]
pub fn current(layout: &Layout, pid_tgid: u64) -> Execution {
    let Some(Known { thread, own, .. }) = java_thread(layout, pid_tgid) else {
        return Execution::NONE;
    };
    match mem::user::<u64>(thread.wrapping_add(layout.words[word::OWNER])) {
        Some(id) if id != 0 && id != own => Execution {
            runtime: runtime::JAVA,
            id,
            origin: 0,
        },
        _ => Execution::NONE,
    }
}

/// The virtual thread that runs on the current thread, whose `JavaThread` is at `thread`; 0 for none, and
/// [`UNKNOWN_EXECUTION`] if the thread's own number can't be read.
#[inline(always)]
pub fn mounted(pid_tgid: u64, thread: u64) -> u64 {
    let Some(layout) = java(pid_tgid) else {
        return 0;
    };
    // SAFETY: as in `java_thread`; what it says of another thread is not used.
    let known = unsafe { JAVA_THREADS.get(pid_tgid as u32) };
    let own = match known.filter(|known| known.thread == thread && known.own != 0) {
        Some(known) => known.own,
        None => own(layout, thread),
    };
    match mem::user(thread.wrapping_add(layout.words[word::OWNER])) {
        Some(id) if own != 0 && id == own => 0,
        Some(id) if own != 0 && id != 0 => id,
        _ => UNKNOWN_EXECUTION,
    }
}

/// The same as [`mounted`].
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn mounted_on(pid_tgid: u64, thread: u64) -> u64 {
    mounted(pid_tgid, thread)
}

/// The virtual thread that runs on the current thread; 0 for none.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn running_on(pid_tgid: u64) -> u64 {
    java(pid_tgid).map_or(0, |layout| current(layout, pid_tgid).id)
}

/// How the virtual threads of the current process are read, if they are.
#[inline(always)]
fn java(pid_tgid: u64) -> Option<&'static Layout> {
    // SAFETY: as in `execution::read`; the map lives as long as the program.
    let layout = unsafe { RUNTIMES.get((pid_tgid >> 32) as u32) };
    layout.filter(|layout| layout.runtime as u8 == runtime::JAVA)
}

/// The current thread's `JavaThread`, with its own number.
#[inline(always)]
fn java_thread(layout: &Layout, pid_tgid: u64) -> Option<Known> {
    let pointer = thread_pointer()?;
    let tid = pid_tgid as u32;
    // SAFETY: another thread's element may be read if this one's is just replaced; what it says is
    // checked below.
    if let Some(known) = unsafe { JAVA_THREADS.get(tid) } {
        let known = *known;
        if known.thread == 0 || known.own == 0 {
            if ring::now() < known.again {
                return None;
            }
        } else if names(layout, known.thread, pointer) {
            return Some(known);
        }
    }
    let thread = find_java_thread((pid_tgid >> 32) as u32, EXECUTIONS, pointer);
    let own = if thread == 0 { 0 } else { own(layout, thread) };
    let known = Known {
        thread,
        own,
        again: ring::now() + if thread == 0 { PATIENCE } else { MOVING },
    };
    // Without room it is looked for again at the next call.
    let _ = JAVA_THREADS.insert(tid, known, u64::from(BPF_ANY));
    (own != 0).then_some(known)
}

/// Whether the `JavaThread` at `thread` is that of the thread with this thread pointer.
#[inline(always)]
pub fn names(layout: &Layout, thread: u64, pointer: u64) -> bool {
    let os: Option<u64> = mem::user(thread.wrapping_add(layout.words[word::OSTHREAD]));
    os.is_some_and(|os| mem::user(os.wrapping_add(layout.words[word::PTHREAD])) == Some(pointer))
}

/// The `Thread.threadId()` of the thread whose `JavaThread` is at `thread`; 0 if it can't be read. Its object
/// names the `JavaThread` in turn, so that nothing else is taken for it while it is moved.
#[inline(always)]
fn own(layout: &Layout, thread: u64) -> u64 {
    let read = || {
        let place: u64 = mem::user(thread.wrapping_add(layout.words[word::OBJECT]))?;
        let object = word::object(mem::user(place)?, layout.words[word::FLAGS])?;
        let named: u64 = mem::user(object.wrapping_add(layout.words[word::EETOP]))?;
        if named != thread {
            return None;
        }
        mem::user(object.wrapping_add(layout.words[word::TID]))
    };
    read().unwrap_or(0)
}

/// The entry of process `tgid` in [`RUNTIMES`] is meant.
const EXECUTIONS: u32 = 0;
/// That in [`HEAPS`].
pub const HEAP: u32 = 1;

/// The entry of process `tgid` in the map that `of` names.
#[inline(always)]
fn layout(tgid: u32, of: u32) -> Option<&'static Layout> {
    // SAFETY: as in `execution::read`; both maps live as long as the program.
    unsafe {
        if of == HEAP {
            HEAPS.get(tgid)
        } else {
            RUNTIMES.get(tgid)
        }
    }
}

/// Looks through the threads of process `tgid` for the one with this thread pointer, as the layout that `of` names
/// says; 0 if it is not there.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_java_thread(tgid: u32, of: u32, pointer: u64) -> u64 {
    let Some(layout) = layout(tgid, of) else {
        return 0;
    };
    let Some(list) = mem::user::<u64>(layout.words[word::LIST]) else {
        return 0;
    };
    let length = mem::user::<u32>(list.wrapping_add(layout.words[word::LENGTH])).unwrap_or(0);
    let Some(threads) = mem::user::<u64>(list.wrapping_add(layout.words[word::THREADS])) else {
        return 0;
    };
    for index in 0..THREADS {
        // The barrier keeps the compiler from counting down from the smaller of both, whose value the
        // verifier of Linux 5.10 does not follow down to zero.
        if barrier::unknown(index) >= u64::from(length) {
            return 0;
        }
        let thread = java_thread_at(tgid, of, threads.wrapping_add(index * 8), pointer);
        if thread != 0 {
            return thread;
        }
    }
    0
}

/// The `JavaThread` that the list of process `tgid` names at `entry`, if it is that of the thread with this thread
/// pointer; else 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn java_thread_at(tgid: u32, of: u32, entry: u64, pointer: u64) -> u64 {
    let Some(layout) = layout(tgid, of) else {
        return 0;
    };
    match mem::user(entry) {
        Some(thread) if names(layout, thread, pointer) => thread,
        _ => 0,
    }
}
