//! The ring: room, sequence numbers, wake-ups and counts.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    maps::ring_buf::RingBufEntry,
};
use observer_abi::{ABI_VERSION, Header, UNSEQUENCED, control::CpuState};

use crate::{
    atomic::add,
    maps::{CONTROL, CPUS, RING},
};

/// The state of the current CPU.
#[inline(always)]
pub fn cpu() -> Option<&'static mut CpuState> {
    let state = CPUS.get_ptr_mut(0)?;
    // SAFETY: per-CPU element, and programs are not preempted.
    Some(unsafe { &mut *state })
}

/// Takes room for a record; counts it as lost when there is none.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let entry = RING.reserve::<T>(0);
    if entry.is_none() {
        lose();
    }
    entry
}

/// Counts a record that was wanted and can't be sent.
#[inline(always)]
pub fn lose() {
    if let Some(cpu) = cpu() {
        cpu.seq += 1;
        cpu.lost += 1;
    }
}

/// The head of a record of `len` valid bytes about the thread `pid_tgid`; counts it as sent.
#[inline(always)]
pub fn header(kind: u8, len: u32, pid_tgid: u64, time: u64) -> Header {
    let mut seq = 0;
    if let Some(cpu) = cpu() {
        seq = cpu.seq;
        cpu.seq += 1;
        cpu.sent += 1;
    }
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    head(kind, len, pid_tgid, time, cpu, seq as u32)
}

/// As [`reserve`], for programs that may be preempted: what is added in one instruction by a program
/// on the same CPU is never lost, and those that count in several are not preempted by these.
#[inline(always)]
pub fn reserve_unsequenced<T: 'static>() -> Option<RingBufEntry<T>> {
    let entry = RING.reserve::<T>(0);
    if entry.is_none()
        && let Some(cpu) = CPUS.get_ptr_mut(0)
    {
        // SAFETY: an aligned field of a live map element.
        unsafe { add(&raw mut (*cpu).lost, 1) };
    }
    entry
}

/// As [`header`], for programs that may be preempted ([`crate::probe`]).
#[inline(always)]
pub fn unsequenced(kind: u8, len: u32, pid_tgid: u64, time: u64) -> Header {
    if let Some(cpu) = CPUS.get_ptr_mut(0) {
        // SAFETY: an aligned field of a live map element.
        unsafe { add(&raw mut (*cpu).sent, 1) };
    }
    head(kind, len, pid_tgid, time, UNSEQUENCED, 0)
}

#[inline(always)]
fn head(kind: u8, len: u32, pid_tgid: u64, time: u64, cpu: u32, seq: u32) -> Header {
    Header {
        kind,
        flags: 0,
        waited: 0,
        abi: ABI_VERSION,
        len,
        time,
        tgid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
        cpu,
        seq,
    }
}

/// `CLOCK_MONOTONIC`, nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// What [`header`] counted as sent found no room.
#[inline(always)]
pub fn unsent() {
    if let Some(cpu) = cpu() {
        cpu.sent -= 1;
        cpu.lost += 1;
    }
}

/// Flags to submit a record with that has its room already: the reader is woken only if it sleeps and
/// asked for it. A wake-up costs the observed thread more than all the rest of its probe.
#[inline(always)]
pub fn wakeup() -> u64 {
    wakeup_for(0)
}

/// As [`wakeup`], for a record of which `more` bytes are not in the ring yet.
#[inline(always)]
pub fn wakeup_for(more: u64) -> u64 {
    let quiet = u64::from(BPF_RB_NO_WAKEUP);
    let Some(control) = CONTROL.get_ptr_mut(0) else {
        return quiet;
    };
    // SAFETY: map element; the reader writes the word too, and each reading of it is a sound one.
    let wake_at = unsafe { (&raw const (*control).wake_at).read_volatile() };
    if wake_at == 0 || RING.query(u64::from(BPF_RB_AVAIL_DATA)) + more < u64::from(wake_at) {
        return quiet;
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*control).wake_at).write_volatile(0) };
    u64::from(BPF_RB_FORCE_WAKEUP)
}
