//! Threads that a runtime keeps when what ran in them has ended, and gives to what is to run next: no clone tells
//! who began that.
//!
//! Ruby's keep of ended threads (`thread_pthread.c`, `register_cached_thread_and_wait` and `use_cached_thread`): each waits
//! for a condition variable of its own, on its own stack, in the function that the thread began with, and whoever starts a
//! Ruby thread signals that of one. So the futex lies at the same distance from the thread pointer in every thread, glibc
//! putting both at the top of the stack, and its address names the thread, whether or not that has begun to wait.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    macros::map,
    maps::{HashMap, LruHashMap},
};
use observer_abi::kind;

use crate::{execution::thread_pointer, mem, task, thread::Thread};

/// A thread that waits further from its thread pointer than that, bytes, is in the middle of something. Between the two
/// lies what libraries keep per thread.
const REACH: u64 = 8192;

/// In [`DISTANCES`]: threads of the process wait at several distances, so that it is not known which is which.
const UNKNOWN: u64 = 0;

/// How far below the thread pointer the kept threads of a process wait, by process id. Nothing is forgotten here while
/// the process lives: what it has no room for is not told at all.
#[map]
static DISTANCES: HashMap<u32, u64> = HashMap::with_max_entries(4096, 0);

/// Threads that were kept, by their thread pointers.
#[map]
static KEPT: LruHashMap<Place, u32> = LruHashMap::with_max_entries(16384, 0);

/// A thread pointer.
#[repr(C)]
#[derive(Clone, Copy)]
struct Place {
    tgid: u64,
    pointer: u64,
}

impl Place {
    #[inline(always)]
    fn of(pid_tgid: u64, pointer: u64) -> Self {
        Self {
            tgid: pid_tgid >> 32,
            pointer,
        }
    }
}

/// The current thread begins to wait for the futex at `address`: perhaps what ran in it has ended.
#[inline(never)]
pub fn waits(caller: Thread, address: u64) -> u32 {
    let Some(pointer) = thread_pointer() else {
        return 0;
    };
    let distance = pointer.wrapping_sub(address);
    if distance == 0 || distance > REACH || !is_descriptor(pointer) {
        return 0;
    }
    let tgid = (caller.pid_tgid >> 32) as u32;
    // That of the first one stays.
    let _ = DISTANCES.insert(tgid, distance, u64::from(BPF_NOEXIST));
    match known(tgid) {
        Some(known) if known == distance => {
            // Without room whoever is given the thread is told not to be known.
            let place = Place::of(caller.pid_tgid, pointer);
            let _ = KEPT.insert(place, caller.tid(), u64::from(BPF_ANY));
            task::send(kind::PARK, caller.pid_tgid, tgid, caller.tid());
        }
        Some(UNKNOWN) | None => {}
        Some(_) => {
            let _ = DISTANCES.insert(tgid, UNKNOWN, u64::from(BPF_ANY));
            task::send(kind::REUSE, caller.pid_tgid, tgid, 0);
        }
    }
    0
}

/// The current thread wakes who waits for the futex at `address`, or will: perhaps a thread that was kept, and is given
/// something to run.
#[inline(never)]
pub fn wakes(caller: Thread, address: u64) -> u32 {
    let tgid = (caller.pid_tgid >> 32) as u32;
    let Some(distance) = known(tgid).filter(|distance| *distance != UNKNOWN) else {
        return 0;
    };
    let pointer = address.wrapping_add(distance);
    if !is_descriptor(pointer) {
        return 0;
    }
    let place = Place::of(caller.pid_tgid, pointer);
    // SAFETY: a word, read at once.
    let tid = unsafe { KEPT.get(place) }.map_or(0, |tid| *tid);
    task::send(kind::REUSE, caller.pid_tgid, tgid, tid);
    0
}

/// The current thread ends: another one may have its place.
#[inline(never)]
pub fn ends(pid_tgid: u64) -> u32 {
    if let Some(pointer) = thread_pointer() {
        let _ = KEPT.remove(Place::of(pid_tgid, pointer));
    }
    if pid_tgid as u32 == (pid_tgid >> 32) as u32 {
        forget((pid_tgid >> 32) as u32);
    }
    0
}

/// Process `tgid` has ended, or runs another program.
#[inline(always)]
pub fn forget(tgid: u32) {
    let _ = DISTANCES.remove(tgid);
}

#[inline(always)]
fn known(tgid: u32) -> Option<u64> {
    // SAFETY: a word, read at once.
    unsafe { DISTANCES.get(tgid) }.copied()
}

/// Whether a thread's descriptor is at `pointer`: glibc's begins with its own address, twice (`tcbhead_t.tcb` and `self`,
/// `sysdeps/x86_64/nptl/tls.h`).
#[inline(always)]
fn is_descriptor(pointer: u64) -> bool {
    let head: Option<[u64; 3]> = mem::user(pointer);
    head.is_some_and(|[tcb, _table, own]| tcb == pointer && own == pointer)
}
