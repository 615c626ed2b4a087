//! Vectored input and output.
//!
//! Global functions with numbers for arguments: see [`send`](crate::emit::send).

use observer_abi::data_flag;

use crate::{
    emit::{Piece, Program},
    file::same,
    gather::report_gathered,
    maps::{IoVec, VECTOR, VECTORS},
    mem,
    report::{report, report_bare},
};

/// Elements reported one by one; the rest of the call is one piece without payload.
const ELEMENTS: usize = 16;

/// The most bytes that one call moves, `MAX_RW_COUNT`.
pub const MAX_MOVED: u64 = 0x7fff_f000;

/// Copies the `count` elements at `address`, or as many as are looked at, to where `piece`'s program
/// keeps vectors. Returns how many bytes they have; `None` if they are not readable.
#[inline(always)]
pub fn load(piece: &Piece, address: u64, count: u64) -> Option<u64> {
    piece.elements.set(count.min(VECTOR as u64));
    let total = load_vector(piece.program.get() as u32, address, count);
    (total >= 0).then_some(total as u64)
}

/// Reports the bytes from `start` to `end` of the loaded vector, gathered or element by element; returns where it
/// stopped: `end`, unless a payload was not readable yet. `piece` describes the byte at `start`.
#[inline(always)]
pub fn report_range(piece: &Piece, start: u64, end: u64) -> u64 {
    piece.start.set(start);
    piece.end.set(end);
    report_vector(piece.program.get() as u32) as u64
}

/// See [`load`]; a negative number if the vector is not readable.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn load_vector(program: u32, address: u64, count: u64) -> i64 {
    let Some(elements) = elements(program) else {
        return -1;
    };
    let len = if count > VECTOR as u64 {
        VECTOR
    } else {
        count as usize
    };
    // SAFETY: at most as many elements as there is room for; per-CPU and per-program room.
    let read = unsafe {
        mem::user_bytes(
            elements.as_mut_ptr().cast(),
            (len * size_of::<IoVec>()) as u32,
            address,
        )
    };
    if !read {
        return -1;
    }
    let mut total = 0u64;
    for (index, element) in elements.iter().enumerate() {
        if index >= len {
            break;
        }
        total = total.saturating_add(element.len);
    }
    total.min(MAX_MOVED) as i64
}

/// See [`report_range`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn report_vector(program: u32) -> i64 {
    let (Some(piece), Some(elements)) = (Piece::at(program), elements(program)) else {
        return 0;
    };
    if report_gathered(program) != 0 {
        return piece.end.get() as i64;
    }
    let Some(state) = same(piece.address.get(), piece.file.get()) else {
        return 0;
    };
    let flags = piece.flags.get();
    let (end, count) = (piece.end.get(), piece.elements.get());
    let mut done = piece.start.get();
    let mut at = 0u64;
    for (index, element) in elements.iter().take(ELEMENTS).enumerate() {
        if index as u64 >= count || done >= end {
            break;
        }
        let next = at.saturating_add(element.len);
        if next > done {
            let into = done - at;
            let len = (element.len - into).min(end - done);
            piece.from.set(element.base.wrapping_add(into));
            piece.len.set(len);
            piece.flags.set(flags);
            if done + len < end {
                piece.flags.set(piece.flags.get() | data_flag::MORE);
            }
            let pos = piece.pos.get();
            let reported = report(state, piece);
            done += reported;
            piece.pos.set(pos + reported);
            if reported < len {
                return done as i64;
            }
        }
        at = next;
    }
    if done < end {
        piece.len.set(end - done);
        piece.flags.set(flags);
        report_bare(piece);
    }
    end as i64
}

/// Where program number `program` keeps vectors.
#[inline(always)]
pub fn elements(program: u32) -> Option<&'static mut [IoVec; VECTOR]> {
    let elements = match program {
        0 => VECTORS.get_ptr_mut(Program::Enter as u32),
        _ => VECTORS.get_ptr_mut(Program::Exit as u32),
    }?;
    // SAFETY: per-CPU and per-program element, and programs are not preempted; any bytes will do.
    Some(unsafe { &mut *elements })
}
