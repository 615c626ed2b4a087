//! Work that is given to an executor (`concurrent.futures.ThreadPoolExecutor`).
//!
//! What is submitted becomes an object, `_WorkItem`, whose address goes into a queue (`_queue.SimpleQueue`, 3.7 and later) and
//! comes out of it on the thread that does the work. While it is in there the queue refers to it, so that nothing
//! else has that address: who gave what a thread takes is certain, whatever the order and however many threads take.
//!
//! Between two takings a thread of an executor does nothing but what it took first
//! (`Lib/concurrent/futures/thread.py`, `_worker`). Nobody else takes such objects out of a queue.

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use observer_abi::{Item, control::Layout, item, kind, python as word};

use super::{Execution, Place, current, layout_of};
use crate::{mem, ring, thread::Thread};

/// When what is in a queue was put there, `CLOCK_MONOTONIC` nanoseconds, by where it is.
#[map]
static PYTHON_ITEMS: LruHashMap<Place, u64> = LruHashMap::with_max_entries(16384, 0);

/// Offset of `tp_name` in a `PyTypeObject` (`Include/cpython/object.h`, the same from 3.0 on).
const TP_NAME: u64 = 24;
/// `_WorkItem`, and the zero behind it: eight bytes and two.
const NAME: (u64, u16) = (
    u64::from_ne_bytes(*b"_WorkIte"),
    u16::from_ne_bytes(*b"m\0"),
);

/// What an object in a queue is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Work,
    Else,
    Unreadable,
}

/// `_queue.SimpleQueue.put` was called with `count` arguments, of which the first is at `arguments`.
#[inline(always)]
pub fn given(arguments: u64, count: u64) {
    if let Some(thread) = Thread::watched()
        && count != 0
        && let Some(address) = mem::user::<u64>(arguments)
    {
        tell_given(address, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_given(address: u64, pid_tgid: u64) -> i32 {
    let Some(layout) = layout_of(pid_tgid) else {
        return 0;
    };
    if kind_of(address) != Kind::Work {
        return 0;
    }
    let time = ring::now();
    let place = Place::of(pid_tgid, address);
    // Without room nobody will be known to have given it.
    if PYTHON_ITEMS.insert(place, time, u64::from(BPF_ANY)).is_ok() {
        tell(layout, pid_tgid, time, time, item::GIVEN);
    }
    0
}

/// `_queue.SimpleQueue.get` or `get_nowait` has returned `address`, or 0 with an exception.
#[inline(always)]
pub fn taken(address: u64) {
    if address != 0
        && let Some(thread) = Thread::watched()
    {
        tell_taken(address, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_taken(address: u64, pid_tgid: u64) -> i32 {
    let Some(layout) = layout_of(pid_tgid) else {
        return 0;
    };
    let place = Place::of(pid_tgid, address);
    // SAFETY: a word, read at once; of one that is just used for another place the time is that of no giving that
    // is told of this one.
    let known = unsafe { PYTHON_ITEMS.get(place) }.map_or(0, |time| *time);
    let _ = PYTHON_ITEMS.remove(place);
    // What can't be read may be work: the thread has done with what it took before.
    if known != 0 || kind_of(address) != Kind::Else {
        tell(layout, pid_tgid, ring::now(), known, item::TAKEN);
    }
    0
}

#[inline(always)]
fn kind_of(address: u64) -> Kind {
    let name = mem::user::<u64>(address.wrapping_add(word::OB_TYPE))
        .and_then(|kind| mem::user::<u64>(kind.wrapping_add(TP_NAME)));
    let Some((name, start)) = name.and_then(|name| Some((name, mem::user::<u64>(name)?))) else {
        return Kind::Unreadable;
    };
    if start != NAME.0 {
        return Kind::Else;
    }
    match mem::user::<u16>(name.wrapping_add(8)) {
        Some(end) if end == NAME.1 => Kind::Work,
        Some(_) => Kind::Else,
        None => Kind::Unreadable,
    }
}

#[inline(always)]
fn tell(layout: &Layout, pid_tgid: u64, time: u64, identity: u64, how: u8) {
    let execution = match how {
        item::GIVEN => current(layout, pid_tgid),
        _ => Execution::NONE,
    };
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
        reserved: [0; 6],
    });
    entry.submit(ring::wakeup());
}
