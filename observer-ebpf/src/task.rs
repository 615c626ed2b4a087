//! The life of processes and threads.

use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid};
use observer_abi::{Started, Task, control::watch, kind, runtime};

use crate::{
    close,
    config::{offset, setting},
    execution, heap, kept,
    maps::PENDING,
    mem, ring,
    thread::{Thread, cell, cell_at, is_watched, slot},
};

/// `CLONE_THREAD` of `include/uapi/linux/sched.h`.
const CLONE_THREAD: u64 = 0x1_0000;

/// The current thread made the task at `child`, which has not run yet.
#[inline(always)]
pub fn fork(child: u64) {
    if let (Some(tgid), Some(tid)) = (
        mem::kernel::<u32>(child, offset!(task_tgid)),
        mem::kernel::<u32>(child, offset!(task_pid)),
    ) {
        born(tgid, tid);
    }
}

/// The current thread made the task `tid`, which has not run yet, with the `CLONE_*` bits `flags`.
#[inline(always)]
pub fn cloned(tid: u32, flags: u64) {
    let tgid = match flags & CLONE_THREAD {
        0 => tid,
        _ => (bpf_get_current_pid_tgid() >> 32) as u32,
    };
    born(tgid, tid);
}

/// Thread `tid` of process `tgid` comes from the current one: a child of a watched process is watched, and one of
/// an unwatched process is not, whoever had its id before.
#[inline(always)]
fn born(tgid: u32, tid: u32) {
    let pid_tgid = bpf_get_current_pid_tgid();
    let parent = (pid_tgid >> 32) as u32;
    let inherited = cell(parent) & !watch::EXCLUDED;
    if tgid != parent
        && let Some(at) = cell_at(tgid)
    {
        let fresh = if inherited & watch::WATCHED != 0 {
            inherited
        } else {
            0
        };
        if fresh & watch::RUNTIME != 0 {
            execution::inherit(parent, tgid);
        }
        // SAFETY: map element; the process has not run yet, so nobody else writes to it but
        // userspace, which may select any process at any time.
        unsafe { at.write_volatile(fresh) };
    }
    if !is_watched(cell(parent)) {
        return;
    }
    if let Some(state) = slot(tid)
        && (state.tid == tid || state.bits & PENDING == 0)
    {
        state.tid = tid;
        state.watch = cell(tgid);
        state.bits = 0;
        state.waited = 0;
        state.ring = 0;
        state.left_out = 0;
        state.serves_left_out = 0;
    }
    if tgid == parent {
        started(pid_tgid, tid);
    } else {
        send(kind::FORK, pid_tgid, tgid, tid);
    }
}

/// The current thread has started the thread `tid`.
#[inline(always)]
fn started(pid_tgid: u64, tid: u32) {
    let tgid = (pid_tgid >> 32) as u32;
    let cell = cell(tgid);
    heap::tell(Thread { pid_tgid, cell }, ring::now());
    let execution = match cell & watch::RUNTIME {
        0 => 0,
        _ => execution::java::running_on(pid_tgid),
    };
    if execution == 0 {
        return send(kind::SPAWN, pid_tgid, tgid, tid);
    }
    let Some(mut entry) = ring::reserve::<Started>() else {
        return;
    };
    let len = size_of::<Started>() as u32;
    entry.write(Started {
        task: task(kind::SPAWN, len, pid_tgid, (tgid, tid)),
        execution,
        runtime: runtime::JAVA,
        reserved: [0; 7],
    });
    entry.submit(ring::wakeup());
}

/// The current process has replaced its program.
#[inline(always)]
pub fn exec() {
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let cell = cell(tgid);
    if cell & watch::ASPECTS != 0
        && let Some(at) = cell_at(tgid)
    {
        // SAFETY: map element. Userspace learns of the new program from the record sent below.
        unsafe { at.write_volatile(cell & !watch::ASPECTS) };
    }
    if cell & watch::KEEPS != 0 {
        kept::forget(tgid);
    }
    if let Some(state) = slot(pid_tgid as u32)
        && state.tid == pid_tgid as u32
    {
        // Rings are closed, as are all descriptors that the kernel makes so.
        state.ring = 0;
        state.left_out = 0;
    }
    if is_watched(cell) || (setting!(all_execs) != 0 && cell & watch::EXCLUDED == 0) {
        send(kind::EXEC, pid_tgid, tgid, pid_tgid as u32);
    }
}

/// The current thread ends.
#[inline(always)]
pub fn exit() {
    let pid_tgid = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    let cell = cell(tgid);
    if cell & watch::KEEPS != 0 {
        kept::ends(pid_tgid);
    }
    if !is_watched(cell) {
        return;
    }
    if let Some(state) = slot(tid)
        && state.tid == tid
    {
        state.tid = 0;
        state.bits = 0;
    }
    send(kind::EXIT, pid_tgid, tgid, tid);
    close::all();
}

/// Sends a record of what the current thread, `pid_tgid`, did, and which thread it did it to: itself, or one that
/// still has its name.
#[inline(always)]
pub fn send(kind: u8, pid_tgid: u64, tgid: u32, tid: u32) {
    let Some(mut entry) = ring::reserve::<Task>() else {
        return;
    };
    let len = size_of::<Task>() as u32;
    entry.write(task(kind, len, pid_tgid, (tgid, tid)));
    entry.submit(ring::wakeup());
}

/// What a record of `len` bytes begins with, of what the current thread, `pid_tgid`, did to the thread `tid` of the process
/// `tgid`.
#[inline(always)]
fn task(kind: u8, len: u32, pid_tgid: u64, (tgid, tid): (u32, u32)) -> Task {
    Task {
        header: ring::header(kind, len, pid_tgid, ring::now()),
        tgid,
        tid,
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
    }
}
