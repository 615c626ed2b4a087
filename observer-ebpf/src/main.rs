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
//! Where raw tracepoints may be preempted (from Linux 7.0 on), the same is asked of perf instead ([`perf`]): `sys_enter_perf` and
//! so on, of which `task_fork_perf` is for `task_newtask`.
//!
//! Further programs are put into single processes whose runtime they are for (see [`execution`]).
//!
//! The ring buffer asks for 5.8. Nothing here needs a later kernel: loops are bounded, atomics do not
//! fetch, and structures are read at offsets that userspace takes from the kernel's BTF
//! ([`config`]), so that one object serves every kernel and architecture of the same byte order.
//!
//! Besides, `node_given`, `node_taken`, `go_branch`, `go_take`, `go_sent`, `go_received`, `go_queued`, `go_cleared`, `python_given`, `python_taken`, `python_appended`, `python_popped`, `greenlet_begun`, `greenlet_ended`, `tokio_branch` and `tokio_wake` are put into single processes as uprobes (3.5 and later; what they
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
mod barrier;
mod close;
mod compiled;
mod config;
mod dependent;
mod describe;
mod emit;
mod enter;
mod epoch;
mod execution;
mod exit;
mod file;
mod gather;
mod heap;
mod kept;
mod maps;
mod mem;
mod perf;
mod preempt;
mod probe;
mod regs;
mod report;
mod ring;
mod sample;
mod take;
mod task;
mod thread;
mod vector;
mod wake;

use aya_ebpf::{
    EbpfContext,
    macros::{raw_tracepoint, tracepoint, uprobe, uretprobe},
    programs::{ProbeContext, RawTracePointContext, RetProbeContext, TracePointContext},
};
use thread::Thread;

/// Kernel prototype: `sys_enter(struct pt_regs *regs, long id)`, since 4.17 as a raw tracepoint.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn sys_enter(ctx: RawTracePointContext) -> i32 {
    if let Some((thread, call)) = enter::wanted(ctx.arg(1)) {
        preempt::held_off(|| enter::watched(thread, ctx.arg(0), call));
    }
    0
}

/// Perf's record: `long id; unsigned long args[6]`.
#[tracepoint]
pub fn sys_enter_perf(ctx: TracePointContext) -> u32 {
    if let Some((thread, call)) = enter::wanted(perf::word(&ctx, perf::FIRST)) {
        enter::watched(thread, perf::registers(), call);
    }
    0
}

/// Kernel prototype: `sys_exit(struct pt_regs *regs, long ret)`, since 4.17 as a raw tracepoint.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    if let Some(thread) = Thread::watched() {
        preempt::held_off(|| exit::watched(thread, ctx.arg(0), ctx.arg(1)));
    }
    0
}

/// Perf's record: `long id; long ret`.
#[tracepoint]
pub fn sys_exit_perf(ctx: TracePointContext) -> u32 {
    if let Some(thread) = Thread::watched() {
        let ret = perf::word(&ctx, perf::FIRST + 1);
        exit::watched(thread, perf::registers(), ret as i64);
    }
    0
}

/// Kernel prototype: `sched_process_fork(struct task_struct *parent, struct task_struct *child)`,
/// called by the parent before the child first runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn task_fork(ctx: RawTracePointContext) -> i32 {
    preempt::held_off(|| task::fork(ctx.arg(1)));
    0
}

/// Perf's record of `task_newtask`, which comes just before `sched_process_fork` and tells of threads and processes
/// apart: `pid_t pid; char comm[16]; unsigned long clone_flags; short oom_score_adj`.
#[tracepoint]
pub fn task_fork_perf(ctx: TracePointContext) -> u32 {
    task::cloned(
        perf::word(&ctx, perf::FIRST) as u32,
        perf::word(&ctx, perf::FIRST + 3),
    );
    0
}

/// Kernel prototype: `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm
/// *bprm)`, called by the task once its new program is in place.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn task_exec(_: RawTracePointContext) -> i32 {
    preempt::held_off(task::exec);
    0
}

/// Nothing of perf's record is used: the task is the current one.
#[tracepoint]
pub fn task_exec_perf(_: TracePointContext) -> u32 {
    task::exec();
    0
}

/// Kernel prototype: `sched_process_exit(struct task_struct *p)`, called by every ending thread.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn task_exit(_: RawTracePointContext) -> i32 {
    preempt::held_off(task::exit);
    0
}

/// Nothing of perf's record is used: the task is the current one.
#[tracepoint]
pub fn task_exit_perf(_: TracePointContext) -> u32 {
    task::exit();
    0
}

/// In Node processes, at each instruction that ends a `node::InternalCallbackScope`, where the scope and its
/// environment still exist.
#[uprobe]
pub fn node_scope_end(ctx: ProbeContext) -> u32 {
    execution::node::scope_ended(&ctx);
    0
}

/// At the beginning of `void node::worker::MessagePortData::AddToIncomingQueue(std::shared_ptr<Message> message)`, which is
/// passed by reference (Itanium C++ ABI, 3.1.2.3).
#[uprobe]
pub fn node_given(ctx: ProbeContext) -> u32 {
    if let Some(pointer) = ctx.arg(1) {
        execution::node::message::given(pointer);
    }
    0
}

/// At the beginning of `MaybeLocal<Value> node::worker::Message::Deserialize(Environment *env, Local<Context> context,
/// Local<Value> *port_list)`.
#[uprobe]
pub fn node_taken(ctx: ProbeContext) -> u32 {
    if let (Some(message), Some(environment)) = (ctx.arg(0), ctx.arg(1)) {
        execution::node::message::taken(message, environment);
    }
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

/// At the beginning of `int green_init(PyGreenlet *self, PyObject *args, PyObject *kwargs)`, to which
/// `PyGreenlet_Type.tp_init` points, greenlet 2.0 and later.
#[uprobe]
pub fn greenlet_begun(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        execution::python::greenlet_begun(address);
    }
    0
}

/// At the beginning of `void green_dealloc(PyGreenlet *self)`, to which `PyGreenlet_Type.tp_dealloc` points, greenlet 2.0
/// and later.
#[uprobe]
pub fn greenlet_ended(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        execution::python::greenlet_ended(address);
    }
    0
}

/// At the beginning of `PyObject *_queue_SimpleQueue_put(simplequeueobject *self, PyObject *const *args, Py_ssize_t nargs,
/// PyObject *kwnames)` and of `_queue_SimpleQueue_put_nowait`, CPython 3.7 and later.
#[uprobe]
pub fn python_given(ctx: ProbeContext) -> u32 {
    if let (Some(arguments), Some(count)) = (ctx.arg(1), ctx.arg(2)) {
        execution::python::work::given(arguments, count);
    }
    0
}

/// At the return of `_queue_SimpleQueue_get` and `_queue_SimpleQueue_get_nowait`, CPython 3.7 and later.
#[uretprobe]
pub fn python_taken(ctx: RetProbeContext) -> u32 {
    execution::python::work::taken(ctx.ret());
    0
}

/// At the beginning of `PyObject *deque_append(dequeobject *deque, PyObject *item)`, CPython 3.5 and later.
#[uprobe]
pub fn python_appended(ctx: ProbeContext) -> u32 {
    if let Some(item) = ctx.arg(1) {
        execution::python::work::appended(item);
    }
    0
}

/// At the beginning of `PyObject *deque_popleft(dequeobject *deque, PyObject *unused)`, CPython 3.5 and later.
#[uprobe]
pub fn python_popped(ctx: ProbeContext) -> u32 {
    if let Some(deque) = ctx.arg(0) {
        execution::python::work::popped(deque);
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

/// In Go, at the beginning of `runtime.send(c *hchan, sg *sudog, ep unsafe.Pointer, …)`.
#[uprobe]
pub fn go_sent(ctx: ProbeContext) -> u32 {
    probe::go_channel(ctx.as_ptr() as u64, execution::go::channel::sent);
    0
}

/// In Go, at the beginning of `runtime.recv(c *hchan, sg *sudog, ep unsafe.Pointer, …)`.
#[uprobe]
pub fn go_received(ctx: ProbeContext) -> u32 {
    probe::go_channel(ctx.as_ptr() as u64, execution::go::channel::received);
    0
}

/// In Go, where `runtime.chansend` and `runtime.selectgo` call `typedmemmove` for a value that goes into a queue.
#[uprobe]
pub fn go_queued(ctx: ProbeContext) -> u32 {
    probe::go_channel(ctx.as_ptr() as u64, execution::go::channel::queued);
    0
}

/// In Go, where `runtime.chanrecv` and `runtime.selectgo` call `typedmemclr` for a value that came out of a queue.
#[uprobe]
pub fn go_cleared(ctx: ProbeContext) -> u32 {
    probe::go_channel(ctx.as_ptr() as u64, execution::go::channel::cleared);
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
