//! Which task a pool's thread of Java works at where `ThreadPoolExecutor.runWorker` runs as compiled code.
//!
//! Such a frame keeps its variables where the machine's compiler has put them, for each call elsewhere. What it says of
//! that to its collectors and debuggers is read by userspace, and kept here by the address to which a call returns:
//! that lies right below the frame for as long as the call goes on, and no longer.

use aya_ebpf::{macros::map, maps::LruHashMap};
use observer_abi::{
    control::Layout,
    heap::{self as word, frame},
};

use crate::{
    heap::{HEAPS, objects::refers},
    mem,
};

/// What is kept where ([`frame`]), by process id and the address to which a call returns.
#[map]
static COMPILED: LruHashMap<[u64; 2], [u64; frame::WORDS]> =
    LruHashMap::with_max_entries(16384, 0);

/// What is at a place is no address to which a call of `runWorker` is known to return.
pub const LOST: u64 = 0;
/// The call is none of a task, or what is found does not fit together.
pub const NO_TASK: u64 = 1;

/// What is called lies at most so far below the caller's frame, if it is interpreted: arguments and
/// variables are in between, bytes.
const BETWEEN: u64 = 1_024;

/// Whether a call of `runWorker` in process `tgid` is known to return to `address`.
#[inline(always)]
pub fn is_return(layout: &Layout, tgid: u32, address: u64) -> bool {
    // SAFETY: the value is not read.
    is_code(layout, address) && unsafe { COMPILED.get([u64::from(tgid), address]) }.is_some()
}

#[inline(always)]
fn is_code(layout: &Layout, address: u64) -> bool {
    address >= layout.words[word::CODE_LOW] && address < layout.words[word::CODE_HIGH]
}

/// The address of the task for which a call is under way that returns to what is at `at`, on the stack of a thread of
/// process `tgid` whose own object is at `own`; or [`LOST`], or [`NO_TASK`].
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn compiled_task(tgid: u32, at: u64, own: u64) -> u64 {
    // SAFETY: userspace replaces elements of both maps as a whole.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return LOST;
    };
    let Some(address) = mem::user::<u64>(at) else {
        return LOST;
    };
    // SAFETY: as above.
    let Some(frame) = (unsafe { COMPILED.get([u64::from(tgid), address]) }) else {
        return LOST;
    };
    // Another method's code may lie there by now.
    let method: Option<u64> = mem::user(frame[frame::METHOD_AT]);
    let id: Option<u32> = mem::user(frame[frame::ID_AT]);
    if method != Some(frame[frame::METHOD]) || id.map(u64::from) != Some(frame[frame::ID]) {
        return LOST;
    }
    let bytes = frame[frame::BYTES];
    if bytes == 0 {
        return NO_TASK;
    }
    let Some(pointer) = pointer(layout, at, bytes) else {
        return NO_TASK;
    };
    let read = |slot: u64| -> u64 {
        let place = if slot == frame::SAVED {
            at.wrapping_sub(8)
        } else {
            pointer.wrapping_add(slot)
        };
        mem::user(place).unwrap_or(0)
    };
    let worker = read(frame[frame::WORKER]);
    if own == 0 || read(frame[frame::THREAD]) != own || worker == own || !refers(worker, own) {
        return NO_TASK;
    }
    read(frame[frame::TASK])
}

/// The stack pointer of a frame of so many `bytes` before a call, the address to which that returns being at `at`. That is right above, unless what
/// is called is interpreted: that moves the address below its variables, and notes the pointer
/// (`interpreter_frame_sender_sp_offset`). Only one of both has the address at its end to which the frame itself returns.
#[inline(always)]
fn pointer(layout: &Layout, at: u64, bytes: u64) -> Option<u64> {
    let ends = |pointer: u64| {
        let end: Option<u64> = mem::user(pointer.wrapping_add(bytes).wrapping_sub(8));
        pointer & 15 == 0 && end.is_some_and(|end| is_code(layout, end))
    };
    let above = at.wrapping_add(8);
    let noted: u64 = mem::user(at.wrapping_sub(16)).unwrap_or(0);
    let is_near = noted > above && noted - above <= BETWEEN;
    match (ends(above), is_near && ends(noted)) {
        (true, false) => Some(above),
        (false, true) => Some(noted),
        _ => None,
    }
}
