//! What the words of a [`Layout`](super::control::Layout) mean for HotSpot, the Java virtual machine of OpenJDK.

/// Word: address of `ThreadsSMRSupport::_java_thread_list`, which points to the list of threads.
pub const LIST: usize = 0;
/// Word: offset of `_length` in a `ThreadsList`, 32 bits wide.
pub const LENGTH: usize = 1;
/// Word: offset of `_threads` in a `ThreadsList`: the address of the addresses of its `JavaThread`s.
pub const THREADS: usize = 2;
/// Word: offset of `_osthread` in a `JavaThread`.
pub const OSTHREAD: usize = 3;
/// Word: offset of `_pthread_id` in an `OSThread`: the thread pointer of its thread.
pub const PTHREAD: usize = 4;
/// Word: offset of `_monitor_owner_id` in a `JavaThread`: the `Thread.threadId()` of what runs on it.
pub const OWNER: usize = 5;
/// Word: offset of `_threadObj` in a `JavaThread`: the address of where its own `Thread` is named.
pub const OBJECT: usize = 6;
/// Word: offset of `eetop` in a `Thread`: the address of its `JavaThread`.
pub const EETOP: usize = 7;
/// Word: offset of `tid` in a `Thread`: what `Thread.threadId()` returns.
pub const TID: usize = 8;
/// Word: [`COLOURED`], or 0.
pub const FLAGS: usize = 9;

/// Flag: addresses of objects carry the colours of ZGC.
pub const COLOURED: u64 = 1;

/// The address of an object, as it is written where the machine keeps it outside of its heap; `None` if what
/// is written there is none.
///
/// Those of ZGC are shifted to the left by 13 and the number of the one bit that is set among bits 12 to
/// 15 (`gc/z/zAddress.hpp`: the shift depends on the colour, so that no bits of the address are in between).
#[must_use]
#[inline(always)]
pub const fn object(written: u64, flags: u64) -> Option<u64> {
    let address = if flags & COLOURED == 0 {
        written
    } else {
        match (written >> 12) & 0xf {
            1 => written >> 13,
            2 => written >> 14,
            4 => written >> 15,
            8 => written >> 16,
            _ => return None,
        }
    };
    // Objects are aligned to eight bytes; the bits of the colour that are left do not belong to the address.
    let address = if flags & COLOURED == 0 {
        address
    } else {
        address & !7
    };
    if address == 0 || address & 7 != 0 || address >> 47 != 0 {
        None
    } else {
        Some(address)
    }
}
