//! Goroutines.
//!
//! Go keeps the running `runtime.g` in a register. System calls of C code, and those that the
//! runtime makes on a stack of its own, find something else there, or a goroutine that does not run:
//! a goroutine is believed only while the stack pointer lies in its stack.

pub mod channel;

use observer_abi::{control::Layout, go, runtime};

use super::Execution;
use crate::mem;

/// Addresses of user space end below this one.
const USER_END: u64 = 1 << 56;

/// The goroutine that makes the call, whose registers are at `regs`.
#[inline(always)]
pub fn current(layout: &Layout, regs: u64) -> Execution {
    match running(layout, regs) {
        Some(g) => identity(layout, g),
        None => Execution::NONE,
    }
}

/// Address of the `runtime.g` on whose stack the thread is.
#[inline(always)]
fn running(layout: &Layout, regs: u64) -> Option<u64> {
    let g = word(regs, layout.words[go::G]).filter(|g| plausible(*g))?;
    let sp = word(regs, layout.words[go::SP])?;
    // `g.stack`, the first field: [lo, hi).
    let [low, high]: [u64; 2] = mem::user(g)?;
    (low <= sp && sp < high).then_some(g)
}

/// The register at offset `at` of `regs`.
#[inline(always)]
fn word(regs: u64, at: u64) -> Option<u64> {
    mem::kernel(regs, at as u32)
}

/// Whether something of Go's may lie at `address`.
#[inline(always)]
fn plausible(address: u64) -> bool {
    address != 0 && address.is_multiple_of(8) && address < USER_END
}

/// The goroutine whose `runtime.g` is at `g`. The scheduler's own have number 0.
#[inline(always)]
fn identity(layout: &Layout, g: u64) -> Execution {
    let Some(id) = mem::user::<u64>(g + layout.words[go::GOID]) else {
        return Execution::NONE;
    };
    if id == 0 {
        return Execution::NONE;
    }
    let origin = match layout.words[go::PARENT] {
        0 => 0,
        at => mem::user(g + at).unwrap_or(0),
    };
    Execution {
        runtime: runtime::GO,
        id,
        origin,
    }
}

/// The goroutine that `runtime.newproc` has just made, with the one that made it for its origin: to
/// be called where the new one is handed to the scheduler, on the scheduler's stack.
#[inline(always)]
pub fn begun(layout: &Layout, regs: u64) -> Execution {
    let Some(g) = word(regs, layout.words[go::BEGUN]).filter(|g| plausible(*g)) else {
        return Execution::NONE;
    };
    let mut new = identity(layout, g);
    let parent = || {
        let scheduler = word(regs, layout.words[go::G]).filter(|g| plausible(*g))?;
        let m: u64 = mem::user(scheduler + layout.words[go::M])?;
        let current: u64 = mem::user(m + layout.words[go::CURG])?;
        mem::user(current + layout.words[go::GOID])
    };
    if layout.words[go::PARENT] == 0 {
        new.origin = parent().unwrap_or(0);
    }
    new
}

/// The descriptor of the connection that a `net/http.(*persistConn)` uses, which the receiver of the
/// method that is being called is.
#[inline(always)]
pub fn descriptor(layout: &Layout, regs: u64) -> Option<i32> {
    let pooled = word(regs, layout.words[go::RECEIVER]).filter(|p| plausible(*p))?;
    let (mut kind, mut value) = interface(pooled + layout.words[go::CONN])?;
    if layout.words[go::TLS] != 0 && kind == layout.words[go::TLS] {
        (kind, value) = interface(value + layout.words[go::TLS_CONN])?;
    }
    if kind == 0 || (kind != layout.words[go::TCP] && kind != layout.words[go::UNIX]) {
        return None;
    }
    let socket: u64 = mem::user(value + layout.words[go::FD])?;
    let fd: u64 = mem::user(socket + layout.words[go::SYSFD])?;
    i32::try_from(fd).ok()
}

/// The description of the type of the value that the interface at `address` holds, and the value's
/// address: an interface is the address of an `itab`, whose second word is the type
/// (`internal/abi/iface.go`), and that of the value.
#[inline(always)]
fn interface(address: u64) -> Option<(u64, u64)> {
    let [itab, value]: [u64; 2] = mem::user(address)?;
    if !plausible(itab) || !plausible(value) {
        return None;
    }
    Some((mem::user(itab + 8)?, value))
}
