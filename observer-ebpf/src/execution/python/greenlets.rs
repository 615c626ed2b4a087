//! Greenlets (the package `greenlet`, which gevent rests on): stacks that take turns on one thread.
//!
//! The package keeps, in thread-local storage, what it knows of the thread: its main greenlet, and the one that runs. A
//! greenlet is initialised by whoever makes it, and its memory is used again: what begins and what ends is counted as with
//! contexts.

use observer_abi::{control::Layout, python as word, runtime};

use super::{Place, generation, identity, layout_of, renew, tell_begun};
use crate::{
    execution::{Execution, published, thread_pointer},
    mem,
    thread::Thread,
};

/// What the thread-local variable holds before the thread has greenlets, and after it had them: 1 and 0.
const STATES: u64 = 2;

/// The greenlet that runs on the current thread.
#[inline(always)]
pub fn current(layout: &Layout, pid_tgid: u64) -> Execution {
    let Some(address) = running(layout) else {
        return Execution::NONE;
    };
    Execution {
        runtime: runtime::GREENLET,
        id: identity(address, generation(Place::of(pid_tgid, address))),
        origin: 0,
    }
}

#[inline(always)]
fn running(layout: &Layout) -> Option<u64> {
    let thread = thread_pointer()?;
    let block = published::block(thread, layout.words[word::GREENLET_MODULE])?;
    let variable = block.wrapping_add(layout.words[word::GREENLET_STATE]);
    let state: u64 = mem::user(variable).filter(|state| *state >= STATES)?;
    let [main, running]: [u64; 2] = mem::user(state)?;
    let kind: u64 = mem::user(main.wrapping_add(word::OB_TYPE))?;
    let known = kind == layout.words[word::GREENLET_TYPE] && running != 0;
    (known && running >> word::ADDRESS_BITS == 0).then_some(running)
}

/// The greenlet at `address` is initialised by the one that runs.
#[inline(always)]
pub fn begun(address: u64) {
    if let Some(thread) = Thread::watched() {
        tell(address, thread.pid_tgid);
    }
}

#[inline(never)]
fn tell(address: u64, pid_tgid: u64) -> i32 {
    if let Some(layout) = layout_of(pid_tgid) {
        tell_begun(layout, pid_tgid, address, runtime::GREENLET);
    }
    0
}

/// The greenlet at `address` ends: what will be there is another one.
#[inline(always)]
pub fn ended(address: u64) {
    if let Some(thread) = Thread::watched() {
        renew(thread.pid_tgid, address);
    }
}
