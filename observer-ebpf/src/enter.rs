//! The beginning of a system call: writes are reported, the rest is noted for the call's return.

use observer_abi::{
    class,
    control::{call, watch},
    data_flag, waited,
};

use crate::{
    close,
    config::call_of,
    describe::announce,
    emit::{Piece, Program},
    execution,
    file::{Direction, OpenFile, is_socket, observed},
    heap,
    maps::{FileState, LEFT_OUT, PENDING, ThreadState, UNREPORTED, VECTOR},
    mem,
    regs::Regs,
    report::{advance, ignored, position, report, report_bare},
    ring, sample,
    thread::Thread,
    vector::{self, MAX_MOVED},
    wake,
};

/// `MSG_*` bits of a receive that change what it means.
const MSG_OOB: u64 = 0x1;
const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;
const MSG_DONTWAIT: u64 = 0x40;
const MSG_ERRQUEUE: u64 = 0x2000;
/// `RWF_NOWAIT`, of `preadv2` and `pwritev2`.
const RWF_NOWAIT: u64 = 0x8;
/// `SPLICE_F_NONBLOCK`.
const SPLICE_F_NONBLOCK: u64 = 0x2;

/// Bit of [`ThreadState::flags`] above the `data_flag`s: the call discards what it receives.
pub const NO_PAYLOAD: u32 = 0x100;
/// Bit of [`ThreadState::flags`] above the `data_flag`s: what it writes to a log is left out.
const LOG_LEFT_OUT: u32 = 0x200;

/// The current thread and what its system call `number` does, if that is to be looked at.
#[inline(always)]
pub fn wanted(number: u64) -> Option<(Thread, u8)> {
    let call = call_of(number);
    if call == call::NONE {
        return None;
    }
    let thread = Thread::watched()?;
    let looked_at = call != call::FUTEX || thread.cell & (watch::WAKES | watch::KEEPS) != 0;
    looked_at.then_some((thread, call))
}

/// Looks at the beginning of a `call` of the current `thread`, whose registers are at `regs`. Preemption is off.
#[inline(always)]
pub fn watched(thread: Thread, regs: u64, call: u8) {
    let Some(state) = thread.claim() else {
        return;
    };
    if call == call::FUTEX {
        if wake::begins(thread, regs, state) {
            heap::tell_shared(thread);
        }
        return heap::check(thread);
    }
    if call & call::FAMILY == call::WAITS && !matches!(call, call::POLL | call::SELECT) {
        state.waited |= match call {
            call::EVENT_LOOP | call::RING_ENTER => waited::EVENT_LOOP,
            call::ACCEPT => waited::ACCEPT,
            _ => 0,
        };
        if matches!(call, call::RING_ENTER | call::RING_SETUP) && state.ring == 0 {
            state.call = call;
            state.bits = PENDING;
        }
        return;
    }
    match call & call::FAMILY {
        call::CLOSES => {
            state.left_out = 0;
            aside(call, regs, state);
        }
        call::WAITS => aside(call, regs, state),
        _ => {
            if let Some(file) = prepare(call, regs, Stage::Begins, state) {
                begin(thread, regs, state, file);
            }
        }
    }
}

/// Calls that move no bytes.
#[inline(never)]
fn aside(call: u8, regs: u64, state: &mut ThreadState) {
    let (mut words, address) = (Regs::room(), regs);
    let Some(regs) = words.read(address) else {
        return;
    };
    let (first, second) = (regs.arg(0) as u32, regs.arg(1) as u32);
    match call {
        call::POLL if second <= 2 => state.waited |= waited::POLL_ONE,
        // Without descriptors it is a way to sleep: Python's until 3.10.
        call::SELECT if first == 0 => {}
        call::POLL | call::SELECT => state.waited |= waited::POLL_MANY,
        call::CLOSE_RANGE => close::range(first, second, regs.arg(2) as u32),
        _ => close::run(call, first as i32, second as i32),
    }
}

/// Where a call is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// In `sys_enter`.
    Begins,
    /// In `sys_exit`.
    Returns,
}

/// Notes in `thread` what a call that moves bytes is about, and returns the state of its description;
/// `None` if it is not to be reported. `regs` is the address of its registers.
#[inline(never)]
pub fn prepare(
    call: u8,
    regs: u64,
    stage: Stage,
    thread: &mut ThreadState,
) -> Option<&'static FileState> {
    let (mut words, address) = (Regs::room(), regs);
    let regs = words.read(address)?;
    thread.fd = match stage {
        Stage::Begins => regs.arg(0),
        Stage::Returns => regs.exit_first(),
    } as i32;
    thread.buffer = regs.arg(1);
    thread.count = regs.arg(2);
    let options = match call {
        call::RECVFROM | call::RECVMMSG | call::SENDTO | call::SENDMMSG => regs.arg(3),
        call::RECVMSG | call::SENDMSG => regs.arg(2),
        _ => 0,
    };
    if call & call::FAMILY == call::READS && options & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB) != 0 {
        return None;
    }
    let fd = thread.fd;
    let sampling = sample::in_force();
    let may_be_noted = stage == Stage::Begins && !matches!(call, call::SPLICE | call::TEE);
    if may_be_noted && sample::is_noted(thread, fd, sampling) {
        let reads = call & call::FAMILY == call::READS;
        thread.reads = thread.reads.wrapping_add(u32::from(reads));
        sample::reckon_noted(thread);
        sample::note(thread, fd, sampling, reads);
        return None;
    }
    thread.left_out = 0;
    let file = OpenFile::of(fd)?;
    let state = file.state()?;
    thread.call = plain(call, &file);
    let reads = thread.call & call::FAMILY == call::READS;
    if reads && is_socket(state.class.get()) {
        thread.reads = thread.reads.wrapping_add(1);
    }
    let direction = if reads || call == call::SPLICE {
        Direction::Read
    } else {
        Direction::Write
    };
    // All are observed in what was described without a share.
    if may_be_noted && state.sampling.get() as u16 != 0 {
        sample::reckon(thread, state);
    }
    let state = sample::current(&file, state, direction, sampling)?;
    if is_socket(state.class.get()) {
        sample::note_served(thread, state, sampling);
    }
    if may_be_noted && state.bits.get() & LEFT_OUT != 0 {
        // Until it is decided by what is in force, the way of each call has to be noted: where a request begins is told by that.
        let decided = state.sampling.get() == sampling;
        sample::note(thread, if decided { fd } else { -1 }, sampling, reads);
        return None;
    }
    let mut wanted = call != call::TEE && observed(state, fd, direction) && !ignored(state);
    match call {
        call::SPLICE => wanted |= prepare_splice(regs.arg(2), thread),
        call::TEE => wanted = prepare_splice(regs.arg(1), thread),
        call::PWRITE | call::PWRITEV => wanted &= state.class.get() == class::LOG,
        _ => {}
    }
    if !wanted {
        return None;
    }
    thread.file = file.address;
    thread.id = state.id;
    thread.flags = 0;
    let asked_not_to_block = match call {
        call::PREADV2 | call::PWRITEV2 => regs.arg(5) & RWF_NOWAIT != 0,
        call::VMSPLICE => regs.arg(3) & SPLICE_F_NONBLOCK != 0,
        _ => options & MSG_DONTWAIT != 0,
    };
    if file.nonblocking() || asked_not_to_block {
        thread.flags |= u32::from(data_flag::NONBLOCK);
    }
    if !reads {
        thread.flags |= u32::from(data_flag::WRITE);
        if sample::leaves_out_log(thread, state, &file, sampling) {
            thread.flags |= LOG_LEFT_OUT;
        }
        let pipe = state.class.get() == class::PIPE;
        if thread.call & call::FAMILY == call::WRITES && pipe && file.pipe_empty() {
            thread.flags |= u32::from(data_flag::PIPE_EMPTY);
        }
    } else if options & MSG_TRUNC != 0 && matches!(state.class.get(), class::TCP4 | class::TCP6) {
        thread.flags |= NO_PAYLOAD;
    }
    Some(state)
}

/// The call of the same effect among those that [`ThreadState::call`] may name.
#[inline(always)]
fn plain(call: u8, file: &OpenFile) -> u8 {
    match call {
        call::PREADV2 => call::READV,
        call::PWRITE => call::WRITE,
        call::PWRITEV | call::PWRITEV2 => call::WRITEV,
        call::VMSPLICE if file.read_only() => call::READV,
        call::VMSPLICE => call::WRITEV,
        _ => call,
    }
}

/// Notes the end of a `splice` or `tee` that is written to, descriptor `to`; true if it is observed.
#[inline(always)]
fn prepare_splice(to: u64, thread: &mut ThreadState) -> bool {
    let to_fd = to as i32;
    thread.pos = 0;
    thread.offered = 0;
    thread.count = u64::from(to_fd as u32);
    if let Some(file) = OpenFile::of(to_fd)
        && let Some(to) = file.state()
        && observed(to, to_fd, Direction::Write)
        && !ignored(to)
    {
        thread.pos = file.address;
        thread.offered = to.id;
        return true;
    }
    false
}

/// Reports a write that begins; leaves everything else to the call's return.
#[inline(never)]
fn begin(caller: Thread, regs: u64, thread: &mut ThreadState, state: &FileState) {
    thread.bits = PENDING;
    if thread.call & call::FAMILY != call::WRITES {
        return;
    }
    let Some(piece) = Piece::of(Program::Enter) else {
        return;
    };
    piece.program.set(Program::Enter);
    let vector = match thread.call {
        call::WRITEV => Some((thread.buffer, thread.count)),
        call::SENDMSG => message_vector(thread.buffer),
        _ => None,
    };
    let offered = match vector {
        Some((address, count)) if count <= VECTOR as u64 => vector::load(piece, address, count),
        None if !matches!(thread.call, call::WRITEV | call::SENDMSG) => {
            Some(thread.count.min(MAX_MOVED))
        }
        // Too long to be added up, or not readable now.
        _ => None,
    };
    let Some(offered) = offered else {
        thread.bits = PENDING | UNREPORTED;
        return;
    };
    if offered == 0 {
        thread.bits = 0;
        return;
    }
    piece.pid_tgid.set(caller.pid_tgid);
    piece.executed_by(execution::current(caller, regs));
    piece.time.set(ring::now());
    heap::tell_writer(caller, piece.time.get());
    thread.pos = position(state, Direction::Write);
    advance(state, Direction::Write, offered as i64);
    let when = (piece.pid_tgid.get(), piece.time.get());
    if !announce(state, thread.file, thread.fd, when, Direction::Write) {
        thread.offered = offered | offered << 32;
        return;
    }
    piece.describe(thread, state);
    piece.pos.set(thread.pos);
    piece.len.set(offered);
    let reported = match vector {
        _ if thread.flags & LOG_LEFT_OUT != 0 => {
            piece.flags.set(piece.flags.get() | data_flag::LEFT_OUT);
            report_bare(piece);
            offered
        }
        None => report(state, piece),
        Some(_) => vector::report_range(piece, 0, offered),
    };
    thread.waited = piece.waited.get();
    thread.offered = offered | reported << 32;
}

/// `msg_iov` and `msg_iovlen` of the `struct user_msghdr` at `address`.
#[inline(always)]
pub fn message_vector(address: u64) -> Option<(u64, u64)> {
    let [base, count]: [u64; 2] = mem::user(address.wrapping_add(16))?;
    Some((base, count))
}
