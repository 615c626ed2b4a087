//! Probes inside programs: what they report.
//!
//! From Linux 6.0 on they may be preempted, by other probes on the same CPU among others
//! (`kernel/trace/trace_uprobe.c`: `__uprobe_perf_func`). So they touch nothing that is one CPU's, but
//! by single instructions.

use observer_abi::{
    Branch, Nudge, Take,
    control::{Layout, watch},
    go as go_words,
    kind, runtime, take,
    tokio::NOTIFIED,
};

use crate::{
    atomic::add,
    execution::{Execution, go, tokio},
    file::{OpenFile, is_socket},
    maps::RUNTIMES,
    ring,
    thread::Thread,
};

/// How the executions of the current process are read, if it is watched and its runtime is `wanted`.
#[inline(always)]
fn layout(wanted: u8) -> Option<(Thread, &'static Layout)> {
    let thread = Thread::watched()?;
    if thread.cell & watch::RUNTIME == 0 {
        return None;
    }
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let layout = unsafe { RUNTIMES.get((thread.pid_tgid >> 32) as u32) }?;
    (layout.runtime == u64::from(wanted)).then_some((thread, layout))
}

/// A goroutine is handed to the scheduler for the first time.
#[inline(always)]
pub fn go_branch(regs: u64) {
    if let Some((thread, layout)) = layout(runtime::GO) {
        branch(thread, go::begun(layout, regs));
    }
}

/// A goroutine asks on a connection of `net/http`'s client.
#[inline(always)]
pub fn go_take(regs: u64) {
    let Some((thread, layout)) = layout(runtime::GO) else {
        return;
    };
    let execution = go::current(layout, regs);
    if execution.id != 0
        && let Some(fd) = go::descriptor(layout, regs)
    {
        takes(thread, fd, execution, take::CLIENT);
    }
}

/// A value passes between goroutines at a place that `tell` is for.
#[inline(always)]
pub fn go_channel(regs: u64, tell: fn(Thread, &Layout, u64) -> Option<()>) {
    let Some((thread, layout)) = layout(runtime::GO) else {
        return;
    };
    if let Some(counted) = RUNTIMES.get_ptr_mut((thread.pid_tgid >> 32) as u32) {
        // SAFETY: an aligned word of a live map element.
        unsafe { add(&raw mut (*counted).words[go_words::RUNS], 1) };
    }
    // What can't be read is not told.
    let _ = tell(thread, layout, regs);
}

/// The task whose header is at `task` is handed to a scheduler of tokio's for the first time.
#[inline(always)]
pub fn tokio_branch(task: u64) {
    if let Some((thread, layout)) = layout(runtime::TOKIO) {
        branch(thread, tokio::begun(layout, task));
    }
}

/// The task whose header is at `task` is to run again. What is no task's doing, that of the scheduler say, is
/// not told.
#[inline(always)]
pub fn tokio_wake(task: u64) {
    let Some((thread, layout)) = layout(runtime::TOKIO) else {
        return;
    };
    let waker = tokio::current(layout).id;
    if waker == 0 {
        return;
    }
    let Some((woken, state)) = tokio::task(layout, task) else {
        return;
    };
    if woken == waker {
        return;
    }
    let Some(mut entry) = ring::reserve_unsequenced::<Nudge>() else {
        return;
    };
    let len = size_of::<Nudge>() as u32;
    entry.write(Nudge {
        header: ring::unsequenced(kind::NUDGE, len, thread.pid_tgid, ring::now()),
        woken,
        waker,
        runtime: runtime::TOKIO,
        again: u8::from(state & NOTIFIED != 0),
        reserved: [0; 6],
    });
    entry.submit(ring::wakeup());
}

/// Reports that `child` begins, which its origin began.
#[inline(always)]
fn branch(thread: Thread, child: Execution) {
    if child.id == 0 {
        return;
    }
    let Some(mut entry) = ring::reserve_unsequenced::<Branch>() else {
        return;
    };
    let len = size_of::<Branch>() as u32;
    entry.write(Branch {
        header: ring::unsequenced(kind::BRANCH, len, thread.pid_tgid, ring::now()),
        child: child.id,
        parent: child.origin,
        runtime: child.runtime,
        reserved: [0; 7],
    });
    entry.submit(ring::wakeup());
}

/// Reports that `execution` is about to use the connection at descriptor `fd`, if that is a socket.
#[inline(always)]
fn takes(thread: Thread, fd: i32, execution: Execution, how: u8) {
    let Some(file) = OpenFile::of(fd) else {
        return;
    };
    let Some(state) = file.state_preemptible() else {
        return;
    };
    let id = state.id;
    // What was read may have been forgotten, and its place be used for something else, meanwhile.
    let same = file.known().is_some_and(|state| state.id == id);
    if !same || !is_socket(state.class.get()) {
        return;
    }
    let Some(mut entry) = ring::reserve_unsequenced::<Take>() else {
        return;
    };
    let len = size_of::<Take>() as u32;
    entry.write(Take {
        header: ring::unsequenced(kind::TAKE, len, thread.pid_tgid, ring::now()),
        file: id,
        execution: execution.id,
        origin: execution.origin,
        fd,
        runtime: execution.runtime,
        how,
        reserved: 0,
    });
    entry.submit(ring::wakeup());
}
