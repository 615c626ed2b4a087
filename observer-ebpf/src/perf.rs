//! Tracepoints as perf hands them over: a record of the event's fields instead of its arguments.
//!
//! Perf's callbacks run with preemption off on every kernel (`__DECLARE_EVENT_CLASS` in `include/trace/perf.h`;
//! since 7.0 they see to that themselves), which raw tracepoints no longer do. The price is the record, which perf
//! fills before it asks the program. The programs return 0, so it goes no further.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    programs::TracePointContext,
};

/// The first field of an event, behind those that all have (`struct trace_entry`).
pub const FIRST: usize = 1;

/// Word `index` of the record; word 0 is not for programs.
#[inline(always)]
pub fn word(ctx: &TracePointContext, index: usize) -> u64 {
    let words: *const u64 = ctx.as_ptr().cast();
    // SAFETY: the verifier notes how far the program reads, and the kernel attaches it to no event that is
    // shorter.
    unsafe { words.add(index).read() }
}

/// Address of the `struct pt_regs` that the current thread came into the kernel with.
#[inline(always)]
pub fn registers() -> u64 {
    // SAFETY: the current task is one for as long as it runs this.
    unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as u64 }
}
