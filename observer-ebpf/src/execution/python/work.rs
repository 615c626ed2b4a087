//! Work that is given to an executor (`concurrent.futures.ThreadPoolExecutor`), and what is logged through a queue
//! (`logging.handlers.QueueHandler`).
//!
//! What is submitted becomes an object, `_WorkItem`, whose address goes into a queue (`_queue.SimpleQueue`, 3.7 and later) and
//! comes out of it on the thread that does the work. While it is in there the queue refers to it, so that nothing
//! else has that address: who gave what a thread takes is certain, whatever the order and however many threads take.
//! The same holds for a `LogRecord`, in such a queue or in a `queue.Queue`, which keeps what is put into it in a `collections.deque`.
//!
//! Between two takings a thread of an executor does nothing but what it took first
//! (`Lib/concurrent/futures/thread.py`, `_worker`), and one that takes records writes the one that it took
//! (`Lib/logging/handlers.py`, `QueueListener._monitor`). Nobody else takes such objects out of a queue.

use observer_abi::{content, control::Layout, item, python as word};

use super::{Execution, current, layout_of};
use crate::{
    execution::queue::{self, dequeued},
    mem, ring,
    thread::Thread,
};

/// Offset of `tp_name` in a `PyTypeObject` (`Include/cpython/object.h`, the same from 3.0 on).
const TP_NAME: u64 = 24;
/// Offset of `tp_base`, likewise.
const TP_BASE: u64 = 256;
/// Names of types, and the zero behind them: eight bytes and two.
const WORK_ITEM: (u64, u16) = (
    u64::from_ne_bytes(*b"_WorkIte"),
    u16::from_ne_bytes(*b"m\0"),
);
const LOG_RECORD: (u64, u16) = (
    u64::from_ne_bytes(*b"LogRecor"),
    u16::from_ne_bytes(*b"d\0"),
);

/// What a `dequeobject` begins with behind its type (`Modules/_collectionsmodule.c`, the same from 3.5 to 3.15): `ob_size`,
/// `leftblock`, `rightblock`, `leftindex`.
const OB_SIZE: u64 = 16;
/// Offset of the items in a `block`; the link to the one before it precedes them.
const DATA: u64 = 8;
/// Items in a block (`BLOCKLEN`).
const BLOCK: u64 = 64;

/// What an object in a queue is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Work,
    Record,
    Else,
    Unreadable,
}

/// `_queue.SimpleQueue.put` or `put_nowait` was called with `count` arguments, of which the first is at `arguments`.
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
    match kind_of(address) {
        Kind::Work => queued(layout, address, pid_tgid, content::WORK),
        Kind::Record => queued(layout, address, pid_tgid, content::RECORD),
        Kind::Else | Kind::Unreadable => {}
    }
    0
}

/// `collections.deque.append` was called with the object at `address`.
#[inline(always)]
pub fn appended(address: u64) {
    if let Some(thread) = Thread::watched() {
        tell_appended(address, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_appended(address: u64, pid_tgid: u64) -> i32 {
    if kind_of(address) == Kind::Record
        && let Some(layout) = layout_of(pid_tgid)
    {
        queued(layout, address, pid_tgid, content::RECORD);
    }
    0
}

#[inline(always)]
fn queued(layout: &Layout, address: u64, pid_tgid: u64, what: u8) {
    let time = ring::now();
    if queue::queued(pid_tgid, address, time, u64::from(what)) {
        tell(layout, pid_tgid, time, time, item::GIVEN, what);
    }
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
    let known = dequeued(pid_tgid, address);
    if known.time != 0 {
        let what = known.note as u8;
        tell(layout, pid_tgid, ring::now(), known.time, item::TAKEN, what);
        return 0;
    }
    let what = match kind_of(address) {
        Kind::Else => return 0,
        Kind::Record => content::RECORD,
        // What can't be read may be work: the thread has done with what it took before.
        Kind::Work | Kind::Unreadable => content::WORK,
    };
    tell(layout, pid_tgid, ring::now(), 0, item::TAKEN, what);
    0
}

/// `collections.deque.popleft` was called of the one at `deque`, by a thread that has the interpreter's lock: what lies
/// first in it will be returned.
#[inline(always)]
pub fn popped(deque: u64) {
    if let Some(thread) = Thread::watched() {
        tell_popped(deque, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell_popped(deque: u64, pid_tgid: u64) -> i32 {
    let Some([size, left, _right, index]) = mem::user::<[u64; 4]>(deque.wrapping_add(OB_SIZE))
    else {
        return 0;
    };
    if size == 0 || index >= BLOCK {
        return 0;
    }
    let Some(address) = mem::user::<u64>(left.wrapping_add(DATA + index * 8)) else {
        return 0;
    };
    if kind_of(address) == Kind::Record
        && let Some(layout) = layout_of(pid_tgid)
    {
        let known = dequeued(pid_tgid, address);
        tell(
            layout,
            pid_tgid,
            ring::now(),
            known.time,
            item::TAKEN,
            content::RECORD,
        );
    }
    0
}

#[inline(always)]
fn kind_of(address: u64) -> Kind {
    let Some(class) = mem::user::<u64>(address.wrapping_add(word::OB_TYPE)) else {
        return Kind::Unreadable;
    };
    match named(class) {
        // A logger may be told to make records of a class of its own.
        Kind::Else => match mem::user::<u64>(class.wrapping_add(TP_BASE)) {
            Some(base) if base != 0 && named(base) == Kind::Record => Kind::Record,
            _ => Kind::Else,
        },
        kind => kind,
    }
}

/// What objects of the type at `class` are.
#[inline(always)]
fn named(class: u64) -> Kind {
    let name = mem::user::<u64>(class.wrapping_add(TP_NAME));
    let Some((name, start)) = name.and_then(|name| Some((name, mem::user::<u64>(name)?))) else {
        return Kind::Unreadable;
    };
    let (end, kind) = if start == WORK_ITEM.0 {
        (WORK_ITEM.1, Kind::Work)
    } else if start == LOG_RECORD.0 {
        (LOG_RECORD.1, Kind::Record)
    } else {
        return Kind::Else;
    };
    match mem::user::<u16>(name.wrapping_add(8)) {
        Some(found) if found == end => kind,
        Some(_) => Kind::Else,
        None => Kind::Unreadable,
    }
}

#[inline(always)]
fn tell(layout: &Layout, pid_tgid: u64, time: u64, identity: u64, how: u8, what: u8) {
    let execution = match how {
        item::GIVEN => current(layout, pid_tgid),
        _ => Execution::NONE,
    };
    queue::tell(pid_tgid, (time, identity), execution, how, what);
}
