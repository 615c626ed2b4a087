//! What several programs change at once.

use crate::config::setting;

/// Adds `delta`, which may be negative, in one instruction: the addition without fetch, which 5.10
/// has. `core` offers no atomic addition for this target.
///
/// # Safety
///
/// `at` must be aligned and inside a live map element, and whatever else accesses it at the same time
/// must do so by single instructions.
#[inline(always)]
pub unsafe fn add(at: *mut u64, delta: i64) {
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({at} + 0) += {delta}",
            at = in(reg) at,
            delta = in(reg) delta,
            options(nostack),
        );
    }
}

/// Adds 1, and returns the sum.
///
/// The addition that fetches is of Linux 5.12; before, userspace makes it the plain one
/// (`observer/src/kernel/patch.rs`), and no program is preempted, so that what is read then is the sum.
///
/// # Safety
///
/// As [`add`].
#[inline(always)]
pub unsafe fn next(at: *mut u64) -> u64 {
    let mut before = 1u64;
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!(
            "{before} = atomic_fetch_add((u64 *)({at} + 0), {before})",
            at = in(reg) at,
            before = inout(reg) before,
            options(nostack),
        );
    }
    match setting!(fetches) {
        // SAFETY: the caller's promise.
        0 => unsafe { at.read_volatile() },
        _ => before + 1,
    }
}
