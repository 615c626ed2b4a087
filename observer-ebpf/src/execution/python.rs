//! Contexts of CPython (`contextvars`): asyncio runs every task in one of its own.
//!
//! The interpreter lists its threads; the current one's is the entry with the thread pointer of the
//! thread. That entry, and not the interpreter's current thread, which is nobody while a system call
//! is made: the interpreter's lock is released. Where the entry lies is remembered, and believed for
//! as long as it names the same thread.
//!
//! A context is believed if its type is that of contexts, and if the thread has entered it: what is
//! there without that is a thread's own, shared by all that ever runs on it. From 3.14 on a thread's own
//! context is entered as well, before any other. A greenlet's own context is never entered; where
//! greenlets run (gevent), it is believed.
//!
//! The memory of a context is soon used again. What ends is counted at each address, whatever
//! began there, so that no two contexts have the same identity.

mod greenlets;
pub mod work;

pub use greenlets::{begun as greenlet_begun, ended as greenlet_ended};

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{Branch, control::Layout, kind, python as word, runtime};

use crate::{
    execution::{Execution, queue::Place, thread_pointer},
    maps::RUNTIMES,
    mem, ring,
    thread::Thread,
};

/// Where the interpreter keeps what it knows of a thread, by thread id.
#[map]
static PYTHON_THREADS: LruHashMap<u32, Known> = LruHashMap::with_max_entries(8192, 0);

/// How many contexts were seen to begin or end at an address; the lowest bits of that count tell the one
/// there from those before.
#[map]
static PYTHON_CONTEXTS: LruHashMap<Place, u64> = LruHashMap::with_max_entries(16384, 0);

/// What is known of a thread.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    /// Address of its `PyThreadState`; 0 if it had none.
    state: u64,
    /// When to look again if it had none, `CLOCK_MONOTONIC` nanoseconds.
    again: u64,
}

/// Threads of a process that are looked at to find the current one.
const THREADS: u32 = 1024;
/// A thread that the interpreter does not know is looked for again after this long, nanoseconds: other
/// libraries' threads may write at any rate.
const PATIENCE: u64 = 100_000_000;

/// The context that runs on the current thread; on the first thread of a process whose greenlets can be told apart, the
/// greenlet.
#[inline(never)]
pub fn current(layout: &Layout, pid_tgid: u64) -> Execution {
    if layout.words[word::GREENLET_TYPE] != 0 && is_main(pid_tgid) {
        return greenlets::current(layout, pid_tgid);
    }
    let Some(thread) = thread_state(layout, pid_tgid) else {
        return Execution::NONE;
    };
    match mem::user(thread.wrapping_add(layout.words[word::CONTEXT])) {
        Some(address) if address != 0 => entered(layout, pid_tgid, address),
        _ => Execution::NONE,
    }
}

/// The context at `address`, if there is one that runs.
#[inline(always)]
fn entered(layout: &Layout, pid_tgid: u64, address: u64) -> Execution {
    let fields: Option<[u64; 5]> = mem::user(address.wrapping_add(word::OB_TYPE));
    let Some([kind, previous, variables, _weak, entered]) = fields else {
        return Execution::NONE;
    };
    if kind != layout.words[word::TYPE] || address >> word::ADDRESS_BITS != 0 {
        return Execution::NONE;
    }
    let flags = layout.words[word::FLAGS];
    // `int ctx_entered`, and after it padding.
    let runs = if entered as u32 == 0 {
        flags & word::GREENLETS != 0
    } else {
        flags & word::THREAD_CONTEXTS == 0 || previous != 0 || is_main(pid_tgid)
    };
    if !runs {
        return Execution::NONE;
    }
    Execution {
        runtime: runtime::PYTHON,
        id: identity(address, generation(Place::of(pid_tgid, address))),
        origin: variables,
    }
}

/// How many contexts began or ended at a place.
#[inline(always)]
fn generation(place: Place) -> u64 {
    // SAFETY: a word, read at once. One that is just used for another place is another generation.
    unsafe { PYTHON_CONTEXTS.get(place) }.map_or(0, |generation| *generation)
}

/// Whether this is its process's first thread, which the process did not start.
#[inline(always)]
fn is_main(pid_tgid: u64) -> bool {
    pid_tgid as u32 == (pid_tgid >> 32) as u32
}

/// The identity of the context at `address`.
#[inline(always)]
fn identity(address: u64, generation: u64) -> u64 {
    address | generation << word::ADDRESS_BITS
}

/// The current thread's `PyThreadState`.
#[inline(always)]
fn thread_state(layout: &Layout, pid_tgid: u64) -> Option<u64> {
    let pointer = thread_pointer()?;
    let tid = pid_tgid as u32;
    // SAFETY: another thread's element may be read if this one's is just replaced; what it says is
    // checked below.
    if let Some(known) = unsafe { PYTHON_THREADS.get(tid) } {
        let Known { state, again } = *known;
        if state == 0 {
            if ring::now() < again {
                return None;
            }
        } else if mem::user(state.wrapping_add(layout.words[word::THREAD_ID])) == Some(pointer) {
            return Some(state);
        }
    }
    let state = find_python_thread((pid_tgid >> 32) as u32, pointer);
    let known = Known {
        state,
        again: ring::now() + PATIENCE,
    };
    // Without room it is looked for again at the next call.
    let _ = PYTHON_THREADS.insert(tid, known, u64::from(BPF_ANY));
    (state != 0).then_some(state)
}

/// Looks through the threads of the main interpreter of process `tgid` for the one with this thread
/// pointer; 0 if it is not there.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_python_thread(tgid: u32, pointer: u64) -> u64 {
    // SAFETY: as in `execution::read`.
    let Some(layout) = (unsafe { RUNTIMES.get(tgid) }) else {
        return 0;
    };
    let (id, next) = (layout.words[word::THREAD_ID], layout.words[word::NEXT]);
    let Some(interpreter) = mem::user::<u64>(layout.words[word::INTERPRETER]) else {
        return 0;
    };
    let mut state = interpreter.wrapping_add(layout.words[word::THREADS]);
    for step in 0..THREADS {
        // From the interpreter to its first thread, then from each to the next.
        let link = if step == 0 {
            state
        } else {
            state.wrapping_add(next)
        };
        state = match mem::user::<u64>(link) {
            Some(state) if state != 0 => state,
            _ => return 0,
        };
        if mem::user(state.wrapping_add(id)) == Some(pointer) {
            return state;
        }
    }
    0
}

/// The current thread has made the context at `address`, a copy of the one that it runs.
#[inline(always)]
pub fn copied(address: u64) {
    if let Some(thread) = Thread::watched() {
        tell_copied(address, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_copied(address: u64, pid_tgid: u64) -> i32 {
    let Some(layout) = layout_of(pid_tgid) else {
        return 0;
    };
    if is_context(layout, address) {
        tell_begun(layout, pid_tgid, address, runtime::PYTHON);
    }
    0
}

/// Tells that at `address` the execution begins of which `runtime` is the kind, made by the one that runs.
#[inline(always)]
fn tell_begun(layout: &Layout, pid_tgid: u64, address: u64, runtime: u8) {
    let parent = current(layout, pid_tgid);
    let Some(generation) = renew(pid_tgid, address) else {
        return;
    };
    let Some(mut entry) = ring::reserve_unsequenced::<Branch>() else {
        return;
    };
    let len = size_of::<Branch>() as u32;
    entry.write(Branch {
        header: ring::unsequenced(kind::BRANCH, len, pid_tgid, ring::now()),
        child: identity(address, generation),
        parent: if parent.runtime == runtime {
            parent.id
        } else {
            0
        },
        runtime,
        reserved: [0; 7],
    });
    entry.submit(ring::wakeup());
}

/// The context at `address` ends: what will be there is another one, however it began.
#[inline(always)]
pub fn ended(address: u64) {
    if let Some(thread) = Thread::watched()
        && let Some(layout) = layout_of(thread.pid_tgid)
        && is_context(layout, address)
    {
        renew(thread.pid_tgid, address);
    }
}

#[inline(always)]
fn is_context(layout: &Layout, address: u64) -> bool {
    mem::user(address.wrapping_add(word::OB_TYPE)) == Some(layout.words[word::TYPE])
}

#[inline(always)]
fn layout_of(pid_tgid: u64) -> Option<&'static Layout> {
    // SAFETY: as in `execution::read`.
    let layout = unsafe { RUNTIMES.get((pid_tgid >> 32) as u32) };
    layout.filter(|layout| layout.runtime as u8 == runtime::PYTHON)
}

/// Counts a beginning or an end at `address`; the generation there now.
#[inline(always)]
fn renew(pid_tgid: u64, address: u64) -> Option<u64> {
    if address >> word::ADDRESS_BITS != 0 {
        return None;
    }
    let place = Place::of(pid_tgid, address);
    // SAFETY: as in `entered`.
    let last = match unsafe { PYTHON_CONTEXTS.get(place) } {
        Some(generation) => *generation,
        // There may have been others, which are forgotten: begin where they hardly were.
        None => ring::now() >> 10,
    };
    // 0 is for contexts of which nothing was seen.
    let next = match (last + 1) & 0xffff {
        0 => 1,
        next => next,
    };
    PYTHON_CONTEXTS
        .insert(place, next, u64::from(BPF_ANY))
        .ok()
        .map(|()| next)
}
