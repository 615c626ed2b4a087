//! Node: turns of the event loop.
//!
//! Whatever JavaScript the loop runs, it runs inside a `node::InternalCallbackScope`, and a turn ends with the outermost
//! one. A probe at the end of each scope numbers the turns and reports what a turn was begun for; records in
//! between carry its number. A lost end is seen by the gap in the numbers. What precedes the scope (the read that it is about) belongs to the turn as well.

pub mod message;

use aya_ebpf::{EbpfContext, macros::map, maps::LruHashMap, programs::ProbeContext};
use observer_abi::{
    Turn,
    control::Layout,
    kind,
    node::{DEPTH, ENDS, End, FIRST_END, IDS, RUNS, WINDOW, page_offset, whole},
    runtime,
};

use super::Execution;
use crate::{
    maps::RUNTIMES,
    mem, ring,
    thread::{cell, is_watched, slot},
};

/// What is known of a thread that runs an event loop.
#[repr(C)]
#[derive(Clone, Copy)]
struct Loop {
    /// Its process; the number may come to another thread.
    tgid: u32,
    /// Reads from sockets that the thread had begun at the end of the last turn.
    reads: u32,
    /// Turns that have ended.
    turns: u64,
    /// Address of the async ids.
    ids: u64,
    /// The highest async id given out at the end of the last turn.
    newest: u64,
    /// Something was reported as done in the current turn.
    used: u64,
    /// The window of time in which the current turn began.
    window: u64,
}

/// Threads that run event loops, by thread id.
#[map]
static LOOPS: LruHashMap<u32, Loop> = LruHashMap::with_max_entries(8192, 0);

/// Offset of `ip` in `struct pt_regs` of x86-64.
const IP: usize = 128;
/// Bytes of `struct pt_regs` of x86-64 that hold registers of the thread.
const REGISTERS: u16 = 168;
/// `-1.0`, the default trigger id while there is none.
const NO_TRIGGER: u64 = 0xbff0_0000_0000_0000;

/// The turn that runs on the current thread, and where in it the thread is.
#[inline(always)]
pub fn current(layout: &Layout, pid_tgid: u64) -> Execution {
    let tid = pid_tgid as u32;
    let Some(state) = LOOPS.get_ptr_mut(tid) else {
        return Execution::NONE;
    };
    // SAFETY: map element; only the thread itself writes to its own.
    let state = unsafe { &mut *state };
    // What ended between two windows was not seen: the turn is another one by now.
    if state.tgid != (pid_tgid >> 32) as u32 || state.window != layout.words[WINDOW] {
        return Execution::NONE;
    }
    let Some([current, trigger]) = mem::user::<[u64; 2]>(state.ids) else {
        return Execution::NONE;
    };
    let (Some(current), Some(trigger)) = (whole(current), whole(trigger)) else {
        return Execution::NONE;
    };
    state.used = 1;
    Execution {
        runtime: runtime::NODE,
        id: number(tid, state.turns),
        origin: current << 32 | trigger & 0xffff_ffff,
    }
}

/// A turn's identity.
#[inline(always)]
fn number(tid: u32, turns: u64) -> u64 {
    u64::from(tid) << 40 | turns & 0xff_ffff_ffff
}

/// A callback scope ends on the current thread, which is at an instruction that its process's layout names.
#[inline(always)]
pub fn scope_ended(ctx: &ProbeContext) {
    let pid_tgid = aya_ebpf::helpers::bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    if !is_watched(cell(tgid)) {
        return;
    }
    let Some(layout) = RUNTIMES.get_ptr_mut(tgid) else {
        return;
    };
    // SAFETY: map element; userspace replaces it as a whole, and reads the one word that is written. Threads of one process that
    // count at once may lose a run.
    let layout = unsafe { &mut *layout };
    if layout.runtime as u8 != runtime::NODE {
        return;
    }
    count_run(layout);
    if let Some(turn) = outermost(ctx, layout) {
        ended(pid_tgid, &turn, layout.words[WINDOW]);
    }
}

/// Counts a run of a probe in a process.
#[inline(always)]
fn count_run(layout: &mut Layout) {
    layout.words[RUNS] += 1;
}

/// What a turn that ends shows.
struct Ending {
    root: u64,
    ids: u64,
    newest: u64,
}

/// What the scope at the probed instruction shows, if it is the outermost one and all of it is plausible.
#[inline(always)]
fn outermost(ctx: &ProbeContext, layout: &Layout) -> Option<Ending> {
    let (scope, outermost_depth) = scope(ctx, layout)?;
    // `InternalCallbackScope`: `Environment* env_`, then `async_context { double async_id, trigger }`.
    let [environment, root]: [u64; 2] = mem::user(scope)?;
    let depth: u64 = mem::user(environment.wrapping_add(layout.words[DEPTH]))?;
    if depth != outermost_depth {
        return None;
    }
    let ids: u64 = mem::user(environment.wrapping_add(layout.words[IDS]))?;
    let [_, _, newest, default]: [u64; 4] = mem::user(ids)?;
    let (root, newest) = (whole(root)?, whole(newest)?);
    let plausible =
        newest >= 1 && root <= newest && (default == NO_TRIGGER || whole(default).is_some());
    plausible.then_some(Ending { root, ids, newest })
}

/// Address of the scope that ends at the probed instruction, and the depth that is counted there if
/// it is the outermost one.
#[inline(always)]
fn scope(ctx: &ProbeContext, layout: &Layout) -> Option<(u64, u64)> {
    let registers = ctx.as_ptr() as u64;
    let ip: u64 = mem::kernel(registers, IP as u32)?;
    let here = page_offset(ip);
    for index in 0..ENDS {
        if let Some(end) = End::of(layout.words[FIRST_END + index])
            && end.page_offset == here
            && end.register < REGISTERS
        {
            let base: u64 = mem::kernel(registers, u32::from(end.register))?;
            let address = base.wrapping_add(i64::from(end.displacement) as u64);
            return Some((address, u64::from(!end.counted)));
        }
    }
    None
}

/// Counts a turn and reports it, if anything that was reported or may be later rests on it.
#[inline(always)]
fn ended(pid_tgid: u64, turn: &Ending, window: u64) {
    let tid = pid_tgid as u32;
    let tgid = (pid_tgid >> 32) as u32;
    let begun = slot(tid)
        .filter(|thread| thread.tid == tid)
        .map_or(0, |thread| thread.reads);
    let Some(state) = LOOPS.get_ptr_mut(tid) else {
        let fresh = Loop {
            tgid,
            reads: begun,
            turns: 1,
            ids: turn.ids,
            newest: turn.newest,
            used: 0,
            window,
        };
        // Without room the thread's turns are not known.
        let _ = LOOPS.insert(tid, fresh, 0);
        return;
    };
    // SAFETY: map element; only the thread itself writes to its own.
    let state = unsafe { &mut *state };
    let reads = begun.wrapping_sub(state.reads);
    let idle = state.used == 0 && turn.newest == state.newest && reads == 0;
    // Where the beginning was not seen, the turn is not told: its number is missing then.
    let known = state.tgid == tgid && state.window == window;
    if known && idle {
        return;
    }
    let execution = number(tid, state.turns);
    *state = Loop {
        tgid,
        reads: begun,
        turns: state.turns + 1,
        ids: turn.ids,
        newest: turn.newest,
        used: 0,
        window,
    };
    if !known {
        return;
    }
    tell(pid_tgid, execution, turn.root, turn.newest, reads);
}

/// A turn begins on the current thread, of which the one before was not seen: nothing runs in `environment`. What precedes it
/// is told as a turn of its own, about nothing, so that the ids are known that are given out from here on.
#[inline(never)]
pub fn begins(pid_tgid: u64, environment: u64, layout: &Layout) -> i32 {
    let tid = pid_tgid as u32;
    let Some(ids) = mem::user::<u64>(environment.wrapping_add(layout.words[IDS])) else {
        return 0;
    };
    let Some([_, _, newest, _]) = mem::user::<[u64; 4]>(ids) else {
        return 0;
    };
    let Some(newest) = whole(newest) else {
        return 0;
    };
    // What went on when the thread was seen last has a number of its own.
    let before = match LOOPS.get_ptr(tid) {
        // SAFETY: map element; only the thread itself writes to its own.
        Some(state) => (unsafe { (*state).turns }) + 1,
        None => 0,
    };
    let reads = slot(tid)
        .filter(|thread| thread.tid == tid)
        .map_or(0, |thread| thread.reads);
    let begun = Loop {
        tgid: (pid_tgid >> 32) as u32,
        reads,
        turns: before + 1,
        ids,
        newest,
        used: 0,
        window: layout.words[WINDOW],
    };
    if LOOPS.insert(tid, begun, 0).is_ok() {
        tell(pid_tgid, number(tid, before), 0, newest, 0);
    }
    0
}

/// Reports a turn that is over.
#[inline(always)]
fn tell(pid_tgid: u64, execution: u64, root: u64, newest: u64, reads: u32) {
    let Some(mut entry) = ring::reserve_unsequenced::<Turn>() else {
        return;
    };
    let len = size_of::<Turn>() as u32;
    entry.write(Turn {
        header: ring::unsequenced(kind::TURN, len, pid_tgid, ring::now()),
        execution,
        root,
        newest,
        reads,
        runtime: runtime::NODE,
        reserved: [0; 3],
    });
    entry.submit(ring::wakeup());
}
