//! Which execution of a process makes a call, where its runtime keeps more of them than threads.
//!
//! Userspace finds out what a process runs on and where that keeps what is read here; each runtime
//! has a file of its own. What can't be read is no execution, never a guess.

pub mod go;
pub mod haproxy;
pub mod java;
pub mod node;
pub mod published;
pub mod python;
pub mod queue;
pub mod tokio;

use aya_ebpf::helpers::bpf_get_current_task;
use observer_abi::{control::watch, runtime};

use crate::{config::offset, maps::RUNTIMES, mem, thread::Thread};

/// An execution, as in `observer_abi::Data`.
#[derive(Clone, Copy)]
pub struct Execution {
    /// One of `observer_abi::runtime`.
    pub runtime: u8,
    /// Its identity in its process.
    pub id: u64,
    /// Where it comes from.
    pub origin: u64,
}

impl Execution {
    /// Nothing is known but the thread.
    pub const NONE: Self = Self {
        runtime: runtime::NONE,
        id: 0,
        origin: 0,
    };
}

/// The execution that runs on the current thread, whose registers in the call are at `regs`.
#[inline(always)]
pub fn current(thread: Thread, regs: u64) -> Execution {
    if thread.cell & watch::RUNTIME == 0 {
        return Execution::NONE;
    }
    read(thread.pid_tgid, regs)
}

/// The process `child`, which `parent` is just forking, keeps things where its parent does.
#[inline(always)]
pub fn inherit(parent: u32, child: u32) {
    // SAFETY: as in `read`.
    if let Some(layout) = unsafe { RUNTIMES.get(parent) } {
        // Without room the child's executions are not known.
        let _ = RUNTIMES.insert(child, layout, 0);
    }
}

#[inline(never)]
fn read(pid_tgid: u64, regs: u64) -> Execution {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { RUNTIMES.get((pid_tgid >> 32) as u32) }) else {
        return Execution::NONE;
    };
    match layout.runtime as u8 {
        runtime::GO => go::current(layout, regs),
        runtime::PYTHON => python::current(layout, pid_tgid),
        runtime::NODE => node::current(layout, pid_tgid),
        runtime::JAVA => java::current(layout, pid_tgid),
        runtime::PUBLISHED => published::current(layout),
        runtime::PINNED => published::pinned(pid_tgid),
        runtime::TOKIO => tokio::current(layout),
        runtime::HAPROXY => haproxy::current(layout),
        _ => Execution::NONE,
    }
}

/// `pthread_self()` of the current thread, which on x86-64 is the base of its `fs` segment.
#[inline(always)]
pub fn thread_pointer() -> Option<u64> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task() };
    mem::kernel(task, offset!(task_thread_pointer)).filter(|pointer| *pointer != 0)
}
