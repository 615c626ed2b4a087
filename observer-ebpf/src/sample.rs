//! Connections that are left out while only a share of them is observed, and taken up again.
//!
//! Whether a connection is observed is decided by its lot when its first bytes move. It is decided anew where a request begins on it
//! after the share or the window of time has changed: then what was before is complete, and what comes begins with a head. One
//! that is taken up is described as if it had not been seen before, since nobody has counted its bytes meanwhile.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use observer_abi::{
    class,
    control::{RECKONED, Reckoned},
    lot,
};

use crate::{
    barrier,
    config::setting,
    file::{Direction, OpenFile, is_socket, state_at},
    maps::{
        ANNOUNCED, CLIENT, CONTROL, FileState, IGNORED, LEFT_OUT, NO_TURN, RECKONED_CALLS, REDRAW,
        ThreadState, UNOBSERVED,
    },
};

/// The `Control::sampling` in force.
#[inline(always)]
pub fn in_force() -> u32 {
    match CONTROL.get_ptr(0) {
        // SAFETY: map element; userspace writes the word as a whole.
        Some(control) => unsafe { (&raw const (*control).sampling).read_volatile() },
        None => 0,
    }
}

/// The window of time in it.
#[inline(always)]
pub fn window(sampling: u32) -> u16 {
    (sampling >> 16) as u16
}

/// What is known of `file`, whose bytes are about to move in `direction`: decided anew if it is time to.
#[inline(always)]
pub fn current(
    file: &OpenFile,
    state: &'static FileState,
    direction: Direction,
    sampling: u32,
) -> Option<&'static FileState> {
    let decided = state.sampling.get() == sampling || !is_socket(state.class.get());
    if decided || renew(state, direction as u8, sampling) == 0 {
        return Some(state);
    }
    // From here, as the stack has no room for one more function in between.
    let bits = state.bits.get() & CLIENT;
    file.enrol();
    let fresh = state_at(file.address)?;
    fresh.bits.set(bits);
    fresh.turn.set(Direction::Write as u8 - asking(bits) as u8);
    Some(fresh)
}

/// Decides, for a connection of which it was decided by another share or in another window; not 0 if it was left out and is to be
/// taken up.
#[inline(never)]
fn renew(state: &FileState, direction: u8, sampling: u32) -> i32 {
    let bits = state.bits.get();
    // Not decided at all yet, or to be decided by the next data.
    if bits & (ANNOUNCED | LEFT_OUT) == 0 || bits & (REDRAW | IGNORED) != 0 {
        return 0;
    }
    let before = state.turn.get();
    if bits & LEFT_OUT != 0 {
        state.turn.set(direction);
    }
    if direction != asking(bits) as u8 || before == direction || before == NO_TURN {
        return 0;
    }
    if bits & LEFT_OUT == 0 {
        state.bits.set(bits | REDRAW);
        return 0;
    }
    let lot = lot::drawn(state.between.get(), window(sampling));
    if lot::is_left_out(lot, sampling as u16) {
        state.sampling.set(sampling);
        return 0;
    }
    1
}

/// The way that requests go on a connection with these [`FileState::bits`].
#[inline(always)]
pub fn asking(bits: u8) -> Direction {
    match bits & CLIENT {
        0 => Direction::Read,
        _ => Direction::Write,
    }
}

/// Leaves the connection out from these bytes on, which move in `direction`; that was told.
#[inline(always)]
pub fn leave_out(state: &FileState, direction: Direction) {
    let mut bits = state.bits.get() & !(ANNOUNCED | REDRAW) | LEFT_OUT;
    if state.turn.get() == NO_TURN && direction == Direction::Write {
        bits |= CLIENT;
    }
    // The next request begins when the direction has changed twice.
    state.turn.set(direction as u8);
    state.bits.set(bits);
}

/// Notes whether the socket that the thread moves bytes on is a connection that it serves, and left out.
#[inline(always)]
pub fn note_served(thread: &mut ThreadState, state: &FileState, sampling: u32) {
    let bits = state.bits.get();
    if bits & CLIENT == 0 {
        thread.serves_left_out = if bits & LEFT_OUT != 0 { sampling } else { 0 };
    }
}

/// Whether what the thread writes to `file` is a log's, and left out with the connection that the thread served last: nothing
/// of it would be given to a request.
#[inline(always)]
pub fn leaves_out_log(
    thread: &ThreadState,
    state: &FileState,
    file: &OpenFile,
    sampling: u32,
) -> bool {
    if sampling == 0 || thread.serves_left_out != sampling || setting!(sample_logs) == 0 {
        return false;
    }
    match state.class.get() {
        class::LOG | class::TTY => true,
        class::PIPE => thread.fd == 1 || thread.fd == 2 || file.appends(),
        _ => false,
    }
}

/// Notes that the call in flight, on descriptor `fd`, is about a connection that is left out: it was counted.
#[inline(always)]
pub fn note(thread: &mut ThreadState, fd: i32, sampling: u32, reads: bool) {
    thread.left_out = sampling;
    thread.left_out_fd = fd;
    if reads {
        thread.bits = UNOBSERVED;
    }
}

/// Counts a call on the connection that [`is_noted`].
#[inline(always)]
pub fn reckon_noted(thread: &ThreadState) {
    if let Some(calls) = reckoned(thread.reckoned_at) {
        calls.counted += 1;
    }
}

/// Counts a call that begins on a connection, by what was decided of that before the call: whether it is observed or left out, these calls
/// are counted at the same moments, so that those which are observed lead to expect as many as are counted.
///
/// Nothing is expected by connections that are ignored: they are observed for good once they were, whatever the share is.
#[inline(never)]
pub fn reckon(thread: &mut ThreadState, state: &FileState) -> i32 {
    let bits = state.bits.get();
    if bits & (ANNOUNCED | LEFT_OUT) == 0 || bits & IGNORED != 0 {
        return 0;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let at = Reckoned::place(tgid, bits & CLIENT != 0);
    thread.reckoned_at = at;
    let Some(calls) = reckoned(at) else {
        return 0;
    };
    if bits & LEFT_OUT != 0 {
        calls.counted += 1;
    } else {
        let left_out = state.sampling.get() & 0xffff;
        calls.expected += u64::from(left_out / ((1 << 16) - left_out));
    }
    0
}

#[inline(always)]
fn reckoned(at: u16) -> Option<&'static mut Reckoned> {
    let calls: *mut Reckoned = RECKONED_CALLS.get_ptr_mut(0)?.cast();
    // Linux 5.10 does not follow how the place was put together, and the compiler drops what it can do without.
    let at = barrier::unknown(u64::from(at)) as usize % RECKONED;
    // SAFETY: per-CPU element, and programs are not preempted; the remainder is below the number of places.
    Some(unsafe { &mut *calls.add(at) })
}

/// Whether the thread's last call that moved bytes was on the same descriptor, and its connection left out: then it still is.
/// Another thread of its process may have closed it meanwhile and got the same number for another one, which is left out
/// unseen then, until this thread does something else: a process of which connections are left out is not judged by what
/// is missing.
#[inline(always)]
pub fn is_noted(thread: &ThreadState, fd: i32, sampling: u32) -> bool {
    sampling != 0 && thread.left_out == sampling && thread.left_out_fd == fd
}
