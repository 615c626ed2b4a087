//! What several programs change at once.

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
