//! Vectors of few and short elements, a message's head and body for instance: their bytes are
//! gathered, and are one record instead of one for each element.

use core::mem::MaybeUninit;

use observer_abi::{Data, data_flag};

use crate::{
    emit::{Piece, data},
    file::same,
    maps::{GATHERED, RING},
    mem,
    report::{granted_whole, spend},
    ring,
    vector::elements,
};

/// The most bytes that are gathered.
const BYTES: usize = 4096;
/// The most elements that are.
const ELEMENTS: usize = 8;

/// A record whose payload is gathered here, as the ring can't be written to at places that the
/// verifier does not know beforehand.
#[repr(C)]
pub struct Gathered {
    data: MaybeUninit<Data>,
    /// Twice as long as what is gathered: the verifier knows where a part begins, and how long it is,
    /// but not both together.
    payload: MaybeUninit<[u8; 2 * BYTES]>,
}

/// Reports the range of a vector that the piece of program number `program` tells of as one record;
/// true if that was done, false if nothing was, because the range is too long, not wanted as a whole
/// or not readable.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn report_gathered(program: u32) -> i32 {
    let (Some(piece), Some(elements)) = (Piece::at(program), elements(program)) else {
        return 0;
    };
    let Some(state) = same(piece.address.get(), piece.file.get()) else {
        return 0;
    };
    let direction = usize::from(piece.flags.get() & data_flag::WRITE != 0);
    let (start, end, count) = (piece.start.get(), piece.end.get(), piece.elements.get());
    let total = end.wrapping_sub(start);
    if total > BYTES as u64
        || count > ELEMENTS as u64
        || !granted_whole(state, direction, piece.pos.get(), total)
    {
        return 0;
    }
    let (mut done, mut at) = (start, 0u64);
    for (index, element) in elements.iter().take(ELEMENTS).enumerate() {
        if index as u64 >= count || done >= end {
            break;
        }
        let next = at.saturating_add(element.len);
        if next > done {
            let into = done - at;
            let len = (element.len - into).min(end - done);
            if gather(program, done - start, element.base.wrapping_add(into), len) == 0 {
                return 0;
            }
            done += len;
        }
        at = next;
    }
    if done != end {
        return 0;
    }
    piece.len.set(total);
    let waited = piece.waited.get();
    if output(program, total) == 0 {
        // Told with the next record.
        piece.waited.set(waited);
    } else {
        spend(state, direction, total);
    }
    1
}

/// Where program number `program` gathers.
#[inline(always)]
fn room(program: u32) -> Option<*mut Gathered> {
    GATHERED.get_ptr_mut(u32::from(program != 0))
}

/// Copies `len` bytes from the user address `from` to where the payload is gathered; 0 if they are not
/// readable. A function of its own so that both bounds are checked where they are used: inlined, the
/// compiler would know them and the verifier would not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn gather(program: u32, offset: u64, from: u64, len: u64) -> i32 {
    let Some(room) = room(program) else {
        return 0;
    };
    if offset > BYTES as u64 || len > BYTES as u64 {
        return 0;
    }
    // SAFETY: per-CPU and per-program element, and programs are not preempted; begins in the first
    // half of the room, and is no longer than the second.
    let read = unsafe {
        let payload: *mut u8 = (&raw mut (*room).payload).cast();
        mem::user_bytes(payload.add(offset as usize), len as u32, from)
    };
    i32::from(read)
}

/// Puts the piece of program number `program` into the ring, with the `len` bytes that were gathered;
/// 0 if there is no room.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn output(program: u32, len: u64) -> i32 {
    let (Some(piece), Some(room)) = (Piece::at(program), room(program)) else {
        return 0;
    };
    if len > BYTES as u64 {
        return 0;
    }
    let size = size_of::<Data>() + len as usize;
    // SAFETY: per-CPU and per-program element, and programs are not preempted; the header, and the
    // bytes behind it that were gathered.
    let record = unsafe {
        (*room).data.write(data(piece, len));
        core::slice::from_raw_parts(room.cast::<u8>(), size)
    };
    if RING
        .output::<[u8]>(record, ring::wakeup_for(size as u64))
        .is_err()
    {
        ring::unsent();
        return 0;
    }
    1
}
