//! Holding preemption off while something that is one CPU's is used.
//!
//! Before Linux 7.0 programs at tracepoints ran with preemption off. Since then they may be preempted
//! (`__bpf_trace_run` in `kernel/trace/bpf_trace.c`), by one that uses the same state. While one is, the same program
//! does not run for others on that CPU: the kernel counts those runs, and so they are known to be lost. Programs attached through
//! perf need none of this ([`perf`](crate::perf)).

use core::arch::asm;

/// Runs `what` with preemption held off.
///
/// The two instructions are none until the program is loaded: userspace puts in their places calls of
/// `bpf_preempt_disable` and `bpf_preempt_enable`, or what does nothing where those are not needed
/// (`observer/src/kernel/patch.rs`).
#[inline(always)]
pub fn held_off(what: impl FnOnce()) {
    // SAFETY: a call that takes nothing, returns nothing, and leaves r6 to r9 alone.
    unsafe {
        asm!(
            ".8byte 0x6f66660100002085",
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
    what();
    // SAFETY: as above.
    unsafe {
        asm!(
            ".8byte 0x6f6e6e0100002085",
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
