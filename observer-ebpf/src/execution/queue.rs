//! Objects that lie in queues of a runtime.
//!
//! While an object is in a queue nothing else has its address: whoever takes that address out took what was put there.

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{Item, kind};

use super::Execution;
use crate::ring;

/// An address in a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Place {
    tgid: u64,
    address: u64,
}

impl Place {
    /// What is at `address` in the current process.
    #[inline(always)]
    pub fn of(pid_tgid: u64, address: u64) -> Self {
        Self {
            tgid: pid_tgid >> 32,
            address,
        }
    }
}

/// What is in a queue, by where it is.
#[map]
static QUEUED: LruHashMap<Place, Queued> = LruHashMap::with_max_entries(16384, 0);

/// Something that is in a queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Queued {
    /// When it was put there, `CLOCK_MONOTONIC` nanoseconds; 0 if that was not seen.
    pub time: u64,
    /// What the runtime notes of it.
    pub note: u64,
}

/// The object at `address` is put into a queue at `time`; false if that can't be remembered, so that nobody will be known to have given it.
#[inline(always)]
pub fn queued(pid_tgid: u64, address: u64, time: u64, note: u64) -> bool {
    let place = Place::of(pid_tgid, address);
    let queued = Queued { time, note };
    QUEUED.insert(place, queued, u64::from(BPF_ANY)).is_ok()
}

/// What was put into a queue at `address`, which is there no more.
#[inline(always)]
pub fn dequeued(pid_tgid: u64, address: u64) -> Queued {
    let place = Place::of(pid_tgid, address);
    let unknown = Queued { time: 0, note: 0 };
    // SAFETY: an element that is just used for another place may be read half old and half new: then its time is that of no
    // giving that is told of this one.
    let known = unsafe { QUEUED.get(place) }.map_or(unknown, |queued| *queued);
    let _ = QUEUED.remove(place);
    known
}

/// Reports at a time that an item with this identity is given or taken (`how`).
#[inline(always)]
pub fn tell(pid_tgid: u64, (time, identity): (u64, u64), execution: Execution, how: u8, what: u8) {
    let Some(mut entry) = ring::reserve_unsequenced::<Item>() else {
        return;
    };
    let len = size_of::<Item>() as u32;
    entry.write(Item {
        header: ring::unsequenced(kind::ITEM, len, pid_tgid, time),
        item: identity,
        execution: execution.id,
        origin: execution.origin,
        runtime: execution.runtime,
        how,
        what,
        reserved: [0; 5],
    });
    entry.submit(ring::wakeup());
}
