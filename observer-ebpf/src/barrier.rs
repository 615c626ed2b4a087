//! What the compiler must not know.

/// `value`, of which the compiler knows nothing any more: comparisons that it could have dropped or moved stay
/// where the verifier needs them.
#[inline(always)]
pub fn unknown(value: u64) -> u64 {
    let mut value = value;
    // One instruction, that does nothing: without any, two places in the source could have the same one
    // in the program, which the kernel refuses (`Invalid line_info`).
    // SAFETY: the value may have changed as far as the compiler knows.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags))
    };
    value
}
