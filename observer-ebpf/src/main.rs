//! The kernel probes: raw tracepoints on system calls and on the life of tasks.
//!
//! | program | tracepoint | kernels |
//! |---|---|---|
//! | `sys_enter` | `sys_enter(struct pt_regs *regs, long id)` | 4.17 and later |
//! | `sys_exit` | `sys_exit(struct pt_regs *regs, long ret)` | 4.17 and later |
//! | `task_fork` | `sched_process_fork(struct task_struct *parent, struct task_struct *child)` | 4.17 and later |
//! | `task_exec` | `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)` | 4.17 and later |
//! | `task_exit` | `sched_process_exit(struct task_struct *p)` (a second argument from 6.16 is not read) | 4.17 and later |
//!
//! Further programs are put into single processes whose runtime they are for (see [`execution`]).
//!
//! The ring buffer asks for 5.8. Nothing here needs a later kernel: loops are bounded, atomics do not
//! fetch, and structures are read at offsets that userspace takes from the kernel's BTF
//! ([`config`]), so that one object serves every kernel and architecture of the same byte order.
//!
//! Besides, `go_branch`, `go_take`, `tokio_branch` and `tokio_wake` are put into single processes as uprobes (3.5 and later; what they
//! use is newer: 5.12).
//!
//! # Order of the checks
//!
//! A call is dropped at the first of: its number (a table, no helper), its process (one byte of an
//! array), its description (one cached class). Only then are payloads looked at.
//!
//! # Who may touch what
//!
//! Programs at tracepoints run with preemption off, or hold it off ([`preempt`]), so per-CPU state has one user at a time (those
//! inside programs: see [`probe`]); a thread's element of
//! `THREADS` is written by that thread alone. States in `FILES` are shared by all threads that use
//! the description; positions change by atomic addition, the rest is advisory.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    missing_docs,
    reason = "the attribute of a program leaves its documentation off the function that it generates"
)]

mod atomic;
mod close;
mod config;
mod describe;
mod emit;
mod enter;
mod execution;
mod exit;
mod file;
mod gather;
mod maps;
mod mem;
mod preempt;
mod probe;
mod regs;
mod report;
mod ring;
mod take;
mod task;
mod thread;
mod vector;
mod wake;

use aya_ebpf::{
    EbpfContext,
    macros::{raw_tracepoint, uprobe, uretprobe},
    programs::{ProbeContext, RawTracePointContext, RetProbeContext},
};

/// Kernel prototype: `sys_enter(struct pt_regs *regs, long id)`, since 4.17 as a raw tracepoint.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter(ctx: RawTracePointContext) -> i32 {
    enter::run(ctx.arg(0), ctx.arg(1));
    0
}

/// Kernel prototype: `sys_exit(struct pt_regs *regs, long ret)`, since 4.17 as a raw tracepoint.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    exit::run(ctx.arg(0), ctx.arg(1));
    0
}

/// Kernel prototype: `sched_process_fork(struct task_struct *parent, struct task_struct *child)`,
/// called by the parent before the child first runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn task_fork(ctx: RawTracePointContext) -> i32 {
    preempt::held_off(|| task::fork(ctx.arg(1)));
    0
}

/// Kernel prototype: `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm
/// *bprm)`, called by the task once its new program is in place.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn task_exec(ctx: RawTracePointContext) -> i32 {
    preempt::held_off(|| task::exec(ctx.arg(0)));
    0
}

/// Kernel prototype: `sched_process_exit(struct task_struct *p)`, called by every ending thread.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn task_exit(ctx: RawTracePointContext) -> i32 {
    preempt::held_off(|| task::exit(ctx.arg(0)));
    0
}

/// In Node processes, at each instruction that ends a `node::InternalCallbackScope`, where the scope and its
/// environment still exist.
#[uprobe]
pub fn node_scope_end(ctx: ProbeContext) -> u32 {
    execution::node::scope_ended(&ctx);
    0
}

/// At the return of `PyObject *PyContext_CopyCurrent(void)`, CPython 3.7 and later.
#[uretprobe]
pub fn python_copied(ctx: RetProbeContext) -> u32 {
    execution::python::copied(ctx.ret());
    0
}

/// At the beginning of `void context_tp_dealloc(PyContext *self)`, to which `PyContext_Type.tp_dealloc`
/// points, CPython 3.7 and later.
#[uprobe]
pub fn python_ended(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        execution::python::ended(address);
    }
    0
}

/// In Go, at the call of `runtime.runqput(pp *p, gp *g, next bool)` by `runtime.newproc.func1`.
#[uprobe]
pub fn go_branch(ctx: ProbeContext) -> u32 {
    probe::go_branch(ctx.as_ptr() as u64);
    0
}

/// In Go, at the beginning of `net/http.(*persistConn).roundTrip(req *transportRequest)`.
#[uprobe]
pub fn go_take(ctx: ProbeContext) -> u32 {
    probe::go_take(ctx.as_ptr() as u64);
    0
}

/// In programs with tokio, in `OwnedTasks::bind_inner(&self, task: Task<S>, notified: Notified<S>)`, before
/// its arguments change.
#[uprobe]
pub fn tokio_branch(ctx: ProbeContext) -> u32 {
    if let (Some(task), Some(notified)) = (ctx.arg(1), ctx.arg(2))
        && task == notified
    {
        probe::tokio_branch(task);
    }
    0
}

/// In programs with tokio, in `wake_by_val(ptr: *const ())` and `wake_by_ref` of its tasks' wakers, before the
/// argument changes.
#[uprobe]
pub fn tokio_wake(ctx: ProbeContext) -> u32 {
    if let Some(task) = ctx.arg(0) {
        probe::tokio_wake(task);
    }
    0
}

/// What the kernel is told: `bpf_probe_read_kernel`, `bpf_probe_read_user` and `bpf_get_current_task` are
/// for programs under a licence compatible with its own, and Apache-2.0 is none of those it knows
/// (`include/linux/license.h`). So the probes are offered under the GPL, version 2, as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// The verifier refuses a program that could reach this.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
