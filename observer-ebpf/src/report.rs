//! How much of which bytes is captured.

use observer_abi::{MAX_PAYLOAD, class, control::policy_slot, data_flag};

use crate::{
    atomic::add,
    config::setting,
    emit::{Outcome, Piece},
    file::{Direction, is_socket},
    maps::{CLIENT, FileState, IGNORED, NO_TURN, POLICY},
    ring::cpu,
};

/// Reports the bytes that `piece` tells of, with as much payload as the policy allows; returns how
/// many of them are dealt with: fewer than all when a payload is not readable yet.
#[inline(never)]
pub fn report(state: &FileState, piece: &Piece) -> u64 {
    let direction = usize::from(piece.flags.get() & data_flag::WRITE != 0);
    begin_turn(state, direction);
    let skip_until = skip_until(state, direction);
    let total = piece.len.get();
    let skipped = skip_until.saturating_sub(piece.pos.get()).min(total);
    if skipped > 0 {
        let flags = piece.flags.get();
        if skipped < total {
            piece.flags.set(piece.flags.get() | data_flag::MORE);
        }
        piece.len.set(skipped);
        piece.want.set(0);
        piece.send();
        if skipped == total {
            return total;
        }
        piece.flags.set(flags);
        piece.pos.set(piece.pos.get() + skipped);
        piece.from.set(piece.from.get() + skipped);
        piece.len.set(total - skipped);
    }
    grant(state, direction, skip_until);
    piece.want.set(piece.len.get().min(limit(state, direction)));
    match piece.send() {
        Outcome::Fault => return skipped,
        Outcome::Sent => spend(state, direction, piece.want.get()),
        Outcome::Lost => {}
    }
    total
}

/// Whether the policy allows the payload of all `len` bytes from `pos` on to be captured.
#[inline(always)]
pub fn granted_whole(state: &FileState, direction: usize, pos: u64, len: u64) -> bool {
    begin_turn(state, direction);
    let skip_until = skip_until(state, direction);
    if skip_until > pos {
        return false;
    }
    grant(state, direction, skip_until);
    len <= limit(state, direction)
}

/// The position that was to be skipped to is reached: a fresh budget, once.
#[inline(always)]
fn grant(state: &FileState, direction: usize, skip_until: u64) {
    if skip_until != 0 && state.granted[direction].get() != skip_until {
        state.granted[direction].set(skip_until);
        state.left[direction].set(setting!(turn_budget));
    }
}

/// Takes `bytes` that were captured off the turn's budget.
#[inline(always)]
pub fn spend(state: &FileState, direction: usize, bytes: u64) {
    if is_socket(state.class.get()) {
        let left = &state.left[direction];
        left.set(left.get().saturating_sub(bytes as u32));
    }
}

/// Reports bytes without payload.
#[inline(always)]
pub fn report_bare(piece: &Piece) {
    piece.want.set(0);
    piece.send();
}

/// Moves the position of one direction by `delta` bytes, which may be negative.
#[inline(always)]
pub fn advance(state: &FileState, direction: Direction, delta: i64) {
    let position = state.pos[direction as usize].as_ptr();
    // SAFETY: an aligned field of a live map element, otherwise accessed by volatile reads alone.
    unsafe { add(position, delta) };
}

/// Gives back what `bytes` that did not move have used up of the turn's budget: they will come again.
#[inline(always)]
pub fn refund(state: &FileState, direction: Direction, bytes: u64) {
    let left = &state.left[direction as usize];
    let refunded = bytes.saturating_add(u64::from(left.get()));
    left.set(refunded.min(u64::from(setting!(turn_budget))) as u32);
}

/// The position of one direction.
#[inline(always)]
pub fn position(state: &FileState, direction: Direction) -> u64 {
    // SAFETY: a field of a live map element.
    unsafe { state.pos[direction as usize].as_ptr().read_volatile() }
}

/// Learns whether userspace wants the description ignored; counts the call if so.
#[inline(always)]
pub fn ignored(state: &FileState) -> bool {
    if state.bits.get() & IGNORED == 0 {
        let Some(policy) = POLICY.get_ptr(policy_slot(state.id, setting!(policy_bits))) else {
            return false;
        };
        // SAFETY: map element; userspace writes the identity last and clears it first.
        let ignore = unsafe {
            (&raw const (*policy).file).read_volatile() == state.id
                && (&raw const (*policy).ignore).read_volatile() != 0
                && (&raw const (*policy).file).read_volatile() == state.id
        };
        if !ignore {
            return false;
        }
        state.bits.set(state.bits.get() | IGNORED);
    }
    if let Some(cpu) = cpu() {
        cpu.ignored += 1;
    }
    true
}

/// The position before which no payload is wanted.
#[inline(always)]
fn skip_until(state: &FileState, direction: usize) -> u64 {
    let Some(policy) = POLICY.get_ptr(policy_slot(state.id, setting!(policy_bits))) else {
        return 0;
    };
    // SAFETY: map element; userspace writes the identity last and clears it first.
    unsafe {
        if (&raw const (*policy).file).read_volatile() != state.id {
            return 0;
        }
        let until = (&raw const (*policy).skip_until[direction]).read_volatile();
        if (&raw const (*policy).file).read_volatile() != state.id {
            return 0;
        }
        until
    }
}

/// A change of direction on a socket begins a turn with a fresh budget.
#[inline(always)]
fn begin_turn(state: &FileState, direction: usize) {
    if is_socket(state.class.get()) && state.turn.get() != direction as u8 {
        if state.turn.get() == NO_TURN && direction == Direction::Write as usize {
            state.bits.set(state.bits.get() | CLIENT);
        }
        state.turn.set(direction as u8);
        state.left[direction].set(setting!(turn_budget));
    }
}

/// Bytes of payload that one record may have.
#[inline(always)]
fn limit(state: &FileState, direction: usize) -> u64 {
    let limit = match state.class.get() {
        class::PIPE if direction == Direction::Read as usize => setting!(pipe_read_bytes),
        class::PIPE => MAX_PAYLOAD as u32,
        class::LOG | class::TTY => setting!(log_bytes),
        _ => state.left[direction].get(),
    };
    u64::from(limit).min(MAX_PAYLOAD as u64)
}
