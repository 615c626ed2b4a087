//! What is read of objects of Java.

use observer_abi::{control::Layout, heap as word, java};

use super::HEAPS;
use crate::mem;

/// Where an object names its class, unless headers are compact (`oopDesc::_metadata`).
pub const CLASS: u64 = 8;

/// `address`, if an object may lie there, or 0.
#[inline(always)]
pub fn in_heap(layout: &Layout, address: u64) -> u64 {
    let inside = address >= layout.words[word::LOW] && address < layout.words[word::HIGH];
    if inside && address & 7 == 0 {
        address
    } else {
        0
    }
}

/// The address of the `Thread` of the `JavaThread` at `thread`; 0 if it can't be read.
#[inline(always)]
pub fn own(layout: &Layout, thread: u64) -> u64 {
    let place: Option<u64> = mem::user(thread.wrapping_add(layout.words[java::OBJECT]));
    place.and_then(mem::user).unwrap_or(0)
}

/// What the thread of process `tgid` was started to run whose `JavaThread` is at `thread`; 0 if that is not known.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn target(tgid: u32, thread: u64) -> u64 {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    let own = own(layout, thread);
    if own == 0 || layout.words[word::TARGET] == 0 {
        return 0;
    }
    let place = own.wrapping_add(layout.words[word::TARGET]);
    let written = match layout.words[word::NARROW] {
        0 => mem::user(place).unwrap_or(0),
        shift => u64::from(mem::user::<u32>(place).unwrap_or(0)) << ((shift - 1) & 7),
    };
    in_heap(layout, written)
}

/// Words of an object that are looked at: a worker's own thread is one of its first fields, also among those of its superclasses.
const FIELDS: u64 = 7;

/// Whether one of the fields of the object at `from` names that at `to`: in full, or in 32 bits, shifted or not, as the machine does
/// where its heap does not need more (`CompressedOops`, without a base).
#[inline(always)]
pub fn refers(from: u64, to: u64) -> bool {
    let is_narrow = |half: u32| {
        let half = u64::from(half);
        half == to || half << 3 == to
    };
    // One by one, as there is no room for all of them on the stack.
    (1..FIELDS).any(|at| {
        let word: u64 = mem::user(from.wrapping_add(at * 8)).unwrap_or(0);
        word == to || is_narrow(word as u32) || is_narrow((word >> 32) as u32)
    })
}
