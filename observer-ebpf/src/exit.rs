//! The return of a system call: reads are reported, writes corrected.

use observer_abi::{Header, Short, control::call, data_flag, kind};

use crate::{
    config::call_of,
    describe::announce,
    emit::{Piece, Program},
    enter::{NO_PAYLOAD, Stage, message_vector, prepare},
    execution,
    file::{Direction, is_socket, observed, same},
    heap,
    maps::{ANNOUNCED, FileState, PENDING, REGULAR, ThreadState, UNOBSERVED, UNREPORTED},
    mem,
    regs::Regs,
    report::{advance, position, refund, report, report_bare},
    ring::{self, cpu},
    sample,
    take::{self, EAGAIN},
    thread::Thread,
    vector, wake,
};

/// Messages of a `recvmmsg` or `sendmmsg` whose payload is captured; the rest is one bare piece.
const MESSAGES: u64 = 4;
/// Messages of one call that are counted at all, `UIO_MAXIOV`.
const MAX_MESSAGES: u64 = 1024;
/// `sizeof(struct mmsghdr)` and where `msg_len` lies in it.
const MMSGHDR: u64 = 64;
const MSG_LEN: u64 = 56;

/// Looks at the return of a system call of the current `thread`, whose registers are at `regs`; it returned `ret`.
/// Preemption is off.
#[inline(always)]
pub fn watched(thread: Thread, regs: u64, ret: i64) {
    if let Some(state) = thread.known() {
        if state.bits & PENDING != 0 {
            if state.call == call::FUTEX {
                return wake::returns(thread, state, ret);
            }
            if matches!(state.call, call::RING_ENTER | call::RING_SETUP) {
                return uses_ring(thread, state, ret);
            }
            if wrote_as_reported(state, ret) {
                state.bits = 0;
                return;
            }
            return finish(thread, regs, state, ret);
        }
        let unobserved = state.bits & UNOBSERVED != 0;
        state.bits = 0;
        // The connection may have been taken up while the call waited: then what it brought belongs to that.
        if !unobserved || state.left_out == sample::in_force() {
            return;
        }
    }
    unpaired(thread, regs, ret);
}

/// Whether the call is a write that moved exactly what its beginning offered and reported, as nearly all do: then
/// there is nothing to add or to correct.
#[inline(always)]
fn wrote_as_reported(state: &ThreadState, ret: i64) -> bool {
    state.call & call::FAMILY == call::WRITES
        && state.bits == PENDING
        && state.offered == (ret as u64) << 32 | ret as u64 & 0xffff_ffff
}

/// The call began before its process was watched, or its thread's place was taken: nothing was
/// reported yet, so all of it is reported now.
#[inline(always)]
fn unpaired(thread: Thread, regs: u64, ret: i64) {
    let call = call_at(regs);
    let moves = matches!(
        call & call::FAMILY,
        call::READS | call::WRITES | call::MOVES
    );
    if let Some(state) = thread.claim()
        && moves
        && prepare(call, regs, Stage::Returns, state).is_some()
    {
        state.bits = UNREPORTED;
        finish(thread, regs, state, ret);
    }
    if moves && let Some(cpu) = cpu() {
        cpu.unpaired += 1;
    }
}

/// Tells that the thread uses an `io_uring`, if the call that says so did not fail.
#[inline(always)]
fn uses_ring(thread: Thread, state: &mut ThreadState, ret: i64) {
    state.bits = 0;
    if ret < 0 {
        return;
    }
    let Some(mut entry) = ring::reserve::<Header>() else {
        return;
    };
    state.ring = 1;
    let len = size_of::<Header>() as u32;
    entry.write(ring::header(kind::RING, len, thread.pid_tgid, ring::now()));
    entry.submit(ring::wakeup());
}

/// What the call that returns is; its registers are at `regs`.
#[inline(never)]
fn call_at(regs: u64) -> u8 {
    let mut words = Regs::room();
    words
        .read(regs)
        .map_or(call::NONE, |regs| call_of(regs.number()))
}

/// Reports what `call` did, now that it returned `ret`.
#[inline(never)]
fn finish(caller: Thread, regs: u64, call: &mut ThreadState, ret: i64) {
    let bits = core::mem::take(&mut call.bits);
    let Some(state) = same(call.file, call.id) else {
        return;
    };
    let family = call.call & call::FAMILY;
    if family == call::CONNECTS {
        return take::connected(caller, regs, call, state, ret);
    }
    if family == call::READS && ret == -EAGAIN {
        return take::probed(caller, regs, call, state);
    }
    let Some(piece) = Piece::of(Program::Exit) else {
        return;
    };
    piece.program.set(Program::Exit);
    piece.pid_tgid.set(caller.pid_tgid);
    // What the beginning of a write has reported needs no second look at who makes it.
    if family != call::WRITES || bits & UNREPORTED != 0 || ret > (call.offered >> 32) as i64 {
        piece.executed_by(execution::current(caller, regs));
    }
    piece.time.set(ring::now());
    if family == call::READS && ret > 0 {
        heap::tell(caller, piece.time.get());
    }
    piece.describe(call, state);
    match family {
        call::READS => read(call, state, piece, ret),
        call::WRITES => write(call, state, piece, bits, ret),
        _ => moved(call, state, piece, ret),
    }
    call.waited = piece.waited.get();
}

#[inline(always)]
fn read(call: &ThreadState, state: &FileState, piece: &Piece, ret: i64) {
    if ret > 0 {
        if call.call == call::RECVMMSG {
            return messages(call, state, piece, ret as u64, 0);
        }
        piece.pos.set(position(state, Direction::Read));
        advance(state, Direction::Read, ret);
        take::read(call, state, piece);
        if introduce(call, state, piece) {
            range(call, state, piece, 0, ret as u64);
        }
        return;
    }
    if ret == 0 && asked(call, piece) {
        piece.flags.set(piece.flags.get() | data_flag::EOF);
    } else if ret < 0 && is_socket(state.class.get()) && fatal(-ret) {
        piece.flags.set(piece.flags.get() | data_flag::ERROR);
        piece.errno.set((-ret) as u16);
    } else {
        return;
    }
    piece.pos.set(position(state, Direction::Read));
    if introduce(call, state, piece) {
        report_bare(piece);
    }
}

#[inline(always)]
fn write(call: &ThreadState, state: &FileState, piece: &Piece, bits: u8, ret: i64) {
    let moved = if ret > 0 { ret as u64 } else { 0 };
    piece.flags.set(piece.flags.get() | data_flag::LATE);
    if bits & UNREPORTED != 0 {
        if moved == 0 {
            return;
        }
        piece.pos.set(position(state, Direction::Write));
        advance(state, Direction::Write, moved as i64);
        if introduce(call, state, piece) {
            range(call, state, piece, 0, moved);
        }
        return;
    }
    let offered = call.offered & 0xffff_ffff;
    let reported = call.offered >> 32;
    if moved > reported {
        piece.pos.set(call.pos + reported);
        range(call, state, piece, reported, moved);
    }
    if moved != offered {
        advance(state, Direction::Write, moved as i64 - offered as i64);
    }
    if moved < reported && state.bits.get() & ANNOUNCED != 0 {
        refund(state, Direction::Write, reported - moved);
        short(call, piece, call.pos + moved, reported, ret);
    }
}

/// Calls whose size is known only now.
#[inline(always)]
fn moved(call: &ThreadState, state: &FileState, piece: &Piece, ret: i64) {
    if ret <= 0 {
        return;
    }
    piece.flags.set(piece.flags.get() | data_flag::LATE);
    piece.len.set(ret as u64);
    match call.call {
        call::SENDMMSG => {
            messages(call, state, piece, ret as u64, 1);
        }
        call::SPLICE | call::TEE => splice(call, state, piece),
        _ => bare(call.file, call.fd, state, piece, Direction::Write),
    }
}

/// Both ends of a `splice`, the written one of a `tee`.
#[inline(always)]
fn splice(call: &ThreadState, from: &FileState, piece: &Piece) {
    if call.pos != 0
        && let Some(to) = same(call.pos, call.offered)
    {
        piece.file.set(to.id);
        piece.class.set(to.class.get() & !REGULAR);
        piece.flags.set(piece.flags.get() | data_flag::WRITE);
        piece.fd.set(call.count as i32);
        bare(call.pos, piece.fd.get(), to, piece, Direction::Write);
    }
    if call.call == call::SPLICE && observed(from, call.fd, Direction::Read) {
        piece.file.set(from.id);
        piece.class.set(from.class.get());
        piece.flags.set(piece.flags.get() & !data_flag::WRITE);
        piece.fd.set(call.fd);
        bare(call.file, call.fd, from, piece, Direction::Read);
    }
}

/// Reports `piece.len` bytes without payload, at the current position.
#[inline(always)]
fn bare(file: u64, fd: i32, state: &FileState, piece: &Piece, direction: Direction) {
    piece.pos.set(position(state, direction));
    advance(state, direction, piece.len.get() as i64);
    let when = (piece.pid_tgid.get(), piece.time.get());
    if announce(state, file, fd, when, direction) {
        report_bare(piece);
    }
}

/// Reports the bytes `start..end` of the call; `piece.pos` is the position of the first.
#[inline(always)]
fn range(call: &ThreadState, state: &FileState, piece: &Piece, start: u64, end: u64) {
    let vector = match call.call {
        _ if call.flags & NO_PAYLOAD != 0 => None,
        call::READV | call::WRITEV => Some((call.buffer, call.count)),
        call::RECVMSG | call::SENDMSG => message_vector(call.buffer),
        _ => {
            piece.from.set(call.buffer.wrapping_add(start));
            piece.len.set(end - start);
            report(state, piece);
            return;
        }
    };
    vector_range(vector, piece, start, end);
}

/// Reports the bytes `start..end` of a vector, without payload if it is not readable.
#[inline(always)]
fn vector_range(vector: Option<(u64, u64)>, piece: &Piece, start: u64, end: u64) {
    if let Some((address, count)) = vector
        && vector::load(piece, address, count).is_some()
    {
        vector::report_range(piece, start, end);
    } else {
        piece.len.set(end - start);
        report_bare(piece);
    }
}

/// Reports the first of the messages that the call moved, then the rest as one piece.
///
/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn report_messages(write: u32) -> i32 {
    let Some(piece) = Piece::of(Program::Exit) else {
        return 0;
    };
    let Some(state) = same(piece.address.get(), piece.file.get()) else {
        return 0;
    };
    let direction = if write == 0 {
        Direction::Read
    } else {
        Direction::Write
    };
    let (flags, count) = (piece.flags.get(), piece.count.get());
    let mut rest = 0;
    for index in 0..MAX_MESSAGES {
        if index >= count {
            break;
        }
        let message = piece.messages.get().wrapping_add(index * MMSGHDR);
        let len = message_len(message);
        if index >= MESSAGES {
            rest += len;
        } else if len > 0 {
            piece.pos.set(position(state, direction));
            advance(state, direction, len as i64);
            piece.flags.set(flags);
            vector_range(message_vector(message), piece, 0, len);
        }
    }
    if rest > 0 {
        piece.pos.set(position(state, direction));
        advance(state, direction, rest as i64);
        piece.flags.set(flags);
        piece.len.set(rest);
        report_bare(piece);
    }
    0
}

#[inline(always)]
fn messages(call: &ThreadState, state: &FileState, piece: &Piece, count: u64, write: u32) {
    if introduce(call, state, piece) {
        piece.messages.set(call.buffer);
        piece.count.set(count);
        report_messages(write);
    }
}

#[inline(always)]
fn message_len(message: u64) -> u64 {
    u64::from(mem::user::<u32>(message.wrapping_add(MSG_LEN)).unwrap_or(0))
}

/// Announces the description before its first data; false if that is not to be sent.
#[inline(always)]
fn introduce(call: &ThreadState, state: &FileState, piece: &Piece) -> bool {
    let direction = match piece.flags.get() & data_flag::WRITE {
        0 => Direction::Read,
        _ => Direction::Write,
    };
    let when = (piece.pid_tgid.get(), piece.time.get());
    announce(state, call.file, call.fd, when, direction)
}

/// Whether a read that returned 0 asked for any bytes: otherwise that is not the end.
#[inline(always)]
fn asked(call: &ThreadState, piece: &Piece) -> bool {
    let vector = match call.call {
        call::READV => Some((call.buffer, call.count)),
        call::RECVMSG => message_vector(call.buffer),
        call::RECVMMSG => None,
        _ => return call.count > 0,
    };
    let total = vector.and_then(|(address, count)| vector::load(piece, address, count));
    total.is_some_and(|total| total > 0)
}

#[inline(always)]
fn short(call: &ThreadState, piece: &Piece, pos: u64, offered: u64, ret: i64) {
    let Some(mut entry) = ring::reserve::<Short>() else {
        return;
    };
    let len = size_of::<Short>() as u32;
    entry.write(Short {
        header: ring::header(kind::SHORT, len, piece.pid_tgid.get(), piece.time.get()),
        file: call.id,
        pos,
        offered: offered as u32,
        ret: ret as i32,
    });
    entry.submit(ring::wakeup());
}

/// Errors of a read after which a socket delivers nothing more; numbers of `asm-generic/errno.h`.
#[inline(always)]
fn fatal(errno: i64) -> bool {
    const EIO: i64 = 5;
    const EPIPE: i64 = 32;
    const EPROTO: i64 = 71;
    const ENETDOWN: i64 = 100;
    const ECONNRESET: i64 = 104;
    const ESHUTDOWN: i64 = 108;
    const ETIMEDOUT: i64 = 110;
    const EHOSTUNREACH: i64 = 113;
    matches!(
        errno,
        EIO | EPIPE | EPROTO | ENETDOWN..=ECONNRESET | ESHUTDOWN | ETIMEDOUT..=EHOSTUNREACH
    )
}
