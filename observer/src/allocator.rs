//! The program's allocator: mimalloc, asked for an alignment only where it would not give it anyway.
//!
//! Asked for one, mimalloc 3 takes only sizes that are powers of two as aligned by nature. Of all others it takes more than it needs,
//! from the next size up: a sixth of what the pipeline asks for (docs/journal/cost.md).

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

/// Alignment of what `malloc` gives, in bytes: that of C's `max_align_t` on all 64-bit architectures that Linux has
/// (`MI_MAX_ALIGN_SIZE`).
const NATURAL: usize = 16;

unsafe extern "C" {
    /// Of mimalloc (`mimalloc.h`), as are the next two.
    fn mi_malloc(size: usize) -> *mut u8;
    fn mi_zalloc(size: usize) -> *mut u8;
    fn mi_realloc(piece: *mut u8, size: usize) -> *mut u8;
}

/// mimalloc.
#[derive(Clone, Copy, Debug)]
pub struct Allocator;

/// Whether a piece of this size has such an alignment without being asked for it.
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: all pieces are mimalloc's, whichever of its functions gave them, so that each of them may free or resize them; where it is
// not asked for an alignment, it gives that of `malloc`: any that fits into the size, up to `NATURAL`.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_natural(layout.size(), layout.align()) {
            // SAFETY: takes any size.
            unsafe { mi_malloc(layout.size()) }
        } else {
            // SAFETY: the caller's promise is the same.
            unsafe { MiMalloc.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_natural(layout.size(), layout.align()) {
            // SAFETY: takes any size.
            unsafe { mi_zalloc(layout.size()) }
        } else {
            // SAFETY: the caller's promise is the same.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same, and the piece is mimalloc's.
        unsafe { MiMalloc.dealloc(piece, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_natural(size, layout.align()) {
            // SAFETY: the piece is mimalloc's, and any size may be asked for.
            unsafe { mi_realloc(piece, size) }
        } else {
            // SAFETY: the caller's promise is the same.
            unsafe { MiMalloc.realloc(piece, layout, size) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_keep_what_they_hold() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..300).chain([1024, 4095, 70_000]) {
                let layout = Layout::from_size_align(size, align).expect("a power of two");
                // SAFETY: the size is not zero; the piece is written within its size, and freed as it was taken.
                let (aligned, zeroed, kept) = unsafe {
                    let piece = Allocator.alloc_zeroed(layout);
                    let zeroed = (0..size).all(|at| *piece.add(at) == 0);
                    *piece = 7;
                    let piece = Allocator.realloc(piece, layout, size + 41);
                    let kept = *piece == 7;
                    let larger = Layout::from_size_align_unchecked(size + 41, align);
                    Allocator.dealloc(piece, larger);
                    let again = Allocator.alloc(layout);
                    let aligned = [piece, again]
                        .iter()
                        .all(|p| p.addr().is_multiple_of(align));
                    Allocator.dealloc(again, layout);
                    (aligned, zeroed, kept)
                };
                assert!(aligned && zeroed && kept, "{size} aligned to {align}");
            }
        }
    }
}
