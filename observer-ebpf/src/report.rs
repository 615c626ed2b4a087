//! How much of which bytes is captured.

use observer_abi::{MAX_PAYLOAD, class, control::policy_slot, data_flag};

use crate::{
    config::setting,
    emit::{Outcome, Piece},
    file::{Direction, is_socket},
    maps::{FileState, IGNORED, POLICY},
    ring::cpu,
};

/// Reports the bytes that `piece` tells of, with as much payload as the policy allows; returns how
/// many of them are dealt with: fewer than all when a payload is not readable yet.
#[inline(never)]
pub fn report(state: &mut FileState, piece: &mut Piece) -> u64 {
    let direction = usize::from(piece.flags & data_flag::WRITE != 0);
    begin_turn(state, direction);
    let skip_until = skip_until(state, direction);
    let total = piece.len;
    let skipped = skip_until.saturating_sub(piece.pos).min(total);
    if skipped > 0 {
        let flags = piece.flags;
        if skipped < total {
            piece.flags |= data_flag::MORE;
        }
        piece.len = skipped;
        piece.want = 0;
        piece.send();
        if skipped == total {
            return total;
        }
        piece.flags = flags;
        piece.pos += skipped;
        piece.from += skipped;
        piece.len = total - skipped;
    }
    if skip_until != 0 && state.granted[direction] != skip_until {
        state.granted[direction] = skip_until;
        state.left[direction] = setting!(turn_budget);
    }
    piece.want = piece.len.min(limit(state, direction));
    match piece.send() {
        Outcome::Fault => return skipped,
        Outcome::Sent if is_socket(state.class) => {
            state.left[direction] = state.left[direction].saturating_sub(piece.want as u32);
        }
        Outcome::Sent | Outcome::Lost => {}
    }
    total
}

/// Reports bytes without payload.
#[inline(always)]
pub fn report_bare(piece: &mut Piece) {
    piece.want = 0;
    piece.send();
}

/// Moves the position of one direction by `delta` bytes, which may be negative.
#[inline(always)]
pub fn advance(state: &mut FileState, direction: Direction, delta: i64) {
    let position = &raw mut state.pos[direction as usize];
    // The addition without fetch, which 5.10 has; `core` offers no atomic addition for this target.
    // SAFETY: aligned, inside a live map element, and accessed by volatile reads and this addition.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({position} + 0) += {delta}",
            position = in(reg) position,
            delta = in(reg) delta,
            options(nostack),
        );
    }
}

/// The position of one direction.
#[inline(always)]
pub fn position(state: &FileState, direction: Direction) -> u64 {
    // SAFETY: a field of a live map element.
    unsafe { (&raw const state.pos[direction as usize]).read_volatile() }
}

/// Learns whether userspace wants the description ignored; counts the call if so.
#[inline(always)]
pub fn ignored(state: &mut FileState) -> bool {
    if state.bits & IGNORED == 0 {
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
        state.bits |= IGNORED;
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
fn begin_turn(state: &mut FileState, direction: usize) {
    if is_socket(state.class) && state.turn != direction as u8 {
        state.turn = direction as u8;
        state.left[direction] = setting!(turn_budget);
    }
}

/// Bytes of payload that one record may have.
#[inline(always)]
fn limit(state: &FileState, direction: usize) -> u64 {
    let limit = match state.class {
        class::PIPE if direction == Direction::Read as usize => setting!(pipe_read_bytes),
        class::PIPE => MAX_PAYLOAD as u32,
        class::LOG | class::TTY => setting!(log_bytes),
        _ => state.left[direction],
    };
    u64::from(limit).min(MAX_PAYLOAD as u64)
}
