//! Data records: room of a fitting size, and one copy from the process into the ring.

use core::{cell::Cell, mem::MaybeUninit};

use observer_abi::{Data, MAX_PAYLOAD, data_flag, kind};

use crate::{
    barrier,
    execution::Execution,
    maps::{FileState, PIECES, REGULAR, RING, ThreadState},
    mem,
    ring::{self, cpu},
};

/// One data record to be: what [`Data`] says, and where its payload lies.
///
/// It lies in `PIECES`, one for each program, so that [`send`] finds it there by number. Hence the
/// cells: the compiler must not assume that a function which is not given the piece leaves it alone.
#[repr(C)]
pub struct Piece {
    /// User address of the first byte.
    pub from: Cell<u64>,
    /// Bytes moved or offered.
    pub len: Cell<u64>,
    /// Bytes of payload wanted, at most `len`.
    pub want: Cell<u64>,
    /// As in [`Data::pos`].
    pub pos: Cell<u64>,
    /// As in [`Data::file`].
    pub file: Cell<u64>,
    /// Address of its `struct file`.
    pub address: Cell<u64>,
    /// User address of the messages of the call.
    pub messages: Cell<u64>,
    /// How many of them moved.
    pub count: Cell<u64>,
    /// Elements of the vector in `VECTORS`.
    pub elements: Cell<u64>,
    /// First byte of the vector to report.
    pub start: Cell<u64>,
    /// End of the bytes of the vector to report.
    pub end: Cell<u64>,
    /// Time of the call.
    pub time: Cell<u64>,
    /// The thread.
    pub pid_tgid: Cell<u64>,
    /// As in [`Data::fd`].
    pub fd: Cell<i32>,
    /// As in [`Data::execution`].
    pub execution: Cell<u64>,
    /// As in [`Data::origin`].
    pub origin: Cell<u64>,
    /// `data_flag`s.
    pub flags: Cell<u8>,
    /// As in [`Data::class`].
    pub class: Cell<u8>,
    /// As in `Header::waited`; cleared once it is sent.
    pub waited: Cell<u8>,
    /// Which program's it is. In `sys_exit` what can't be read now never will be.
    pub program: Cell<Program>,
    /// As in [`Data::errno`].
    pub errno: Cell<u16>,
    /// As in [`Data::runtime`].
    pub runtime: Cell<u8>,
}

// SAFETY: each CPU and program has its own, and programs are not preempted.
unsafe impl Sync for Piece {}

/// The programs that report data; each has working memory of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Program {
    /// `sys_enter`.
    Enter = 0,
    /// `sys_exit`.
    Exit = 1,
}

/// What became of a [`Piece`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the ring.
    Sent,
    /// The ring had no room; counted.
    Lost,
    /// The payload is not readable now; nothing was sent nor counted.
    Fault,
}

impl Piece {
    /// The working memory of program number `program`.
    #[inline(always)]
    pub fn at(program: u32) -> Option<&'static Self> {
        match program {
            0 => Self::of(Program::Enter),
            _ => Self::of(Program::Exit),
        }
    }

    /// The working memory of `program`.
    #[inline(always)]
    pub fn of(program: Program) -> Option<&'static Self> {
        let piece = PIECES.get_ptr(program as u32)?;
        // SAFETY: per-CPU and per-program element, and programs are not preempted. Zeros are a
        // valid piece, and so is whatever a program left there.
        Some(unsafe { &*piece })
    }

    /// Takes over what `call` and `state` say of the description and of the whole call.
    #[inline(always)]
    pub fn describe(&self, call: &ThreadState, state: &FileState) {
        self.from.set(call.buffer);
        self.file.set(call.id);
        self.address.set(call.file);
        self.fd.set(call.fd);
        self.flags.set(call.flags as u8);
        self.class.set(state.class.get() & !REGULAR);
        self.waited.set(call.waited);
        self.len.set(0);
        self.errno.set(0);
    }

    /// Says which execution of its thread's process moves the bytes.
    #[inline(always)]
    pub fn executed_by(&self, execution: Execution) {
        self.runtime.set(execution.runtime);
        self.execution.set(execution.id);
        self.origin.set(execution.origin);
    }

    /// Sends it with its payload.
    #[inline(always)]
    pub fn send(&self) -> Outcome {
        match send(self.program.get() as u32) {
            0 => Outcome::Sent,
            1 => Outcome::Lost,
            _ => Outcome::Fault,
        }
    }
}

/// Sends the piece of program number `program`; returns an [`Outcome`].
///
/// A global function (`BTF_FUNC_GLOBAL`, Linux 5.6) with numbers for arguments: the verifier checks
/// it once by itself and not again at each call, which would be beyond its limit.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn send(program: u32) -> i32 {
    let Some(piece) = Piece::at(program) else {
        return Outcome::Lost as i32;
    };
    let outcome = match piece.want.get() {
        0 => fill::<0>(piece),
        1..=128 => fill::<128>(piece),
        129..=320 => fill::<320>(piece),
        321..=704 => fill::<704>(piece),
        705..=1472 => fill::<1472>(piece),
        1473..=4096 => fill::<4096>(piece),
        4097..=16384 => fill::<16384>(piece),
        _ => fill::<MAX_PAYLOAD>(piece),
    };
    outcome as i32
}

/// A slot of the ring for up to `N` bytes of payload.
#[repr(C)]
struct Slot<const N: usize> {
    data: Data,
    payload: MaybeUninit<[u8; N]>,
}

/// Sends `piece` in a slot for `N` bytes: the verifier wants sizes that are constant.
#[inline(always)]
fn fill<const N: usize>(piece: &Piece) -> Outcome {
    let Some(mut entry) = RING.reserve::<Slot<N>>(0) else {
        ring::lose();
        return Outcome::Lost;
    };
    let slot: *mut Slot<N> = entry.as_mut_ptr();
    let mut captured = bounded::<N>(piece.want.get());
    if captured > 0 {
        // SAFETY: at most `N` bytes, into a slot that has room for `N`.
        let read = unsafe {
            mem::user_bytes(
                (&raw mut (*slot).payload).cast(),
                captured as u32,
                piece.from.get(),
            )
        };
        if !read {
            if piece.program.get() == Program::Enter {
                entry.discard(u64::from(aya_ebpf::bindings::BPF_RB_NO_WAKEUP));
                return Outcome::Fault;
            }
            captured = 0;
            piece.flags.set(piece.flags.get() | data_flag::FAULT);
        }
    }
    // SAFETY: inside the slot.
    unsafe { (&raw mut (*slot).data).write(data(piece, captured)) };
    entry.submit(ring::wakeup());
    Outcome::Sent
}

/// The record of `piece` with `captured` bytes of payload; counts it as sent.
#[inline(always)]
pub fn data(piece: &Piece, captured: u64) -> Data {
    let mut header = ring::header(
        kind::DATA,
        size_of::<Data>() as u32 + captured as u32,
        piece.pid_tgid.get(),
        piece.time.get(),
    );
    header.flags = piece.flags.get();
    header.waited = piece.waited.get();
    if let Some(cpu) = cpu() {
        cpu.captured += captured;
        cpu.cut += piece.len.get() - captured;
        cpu.faults += u64::from(piece.flags.get() & data_flag::FAULT != 0);
    }
    piece.waited.set(0);
    Data {
        header,
        file: piece.file.get(),
        pos: piece.pos.get(),
        len: piece.len.get() as u32,
        captured: captured as u32,
        fd: piece.fd.get(),
        errno: piece.errno.get(),
        class: piece.class.get(),
        runtime: piece.runtime.get(),
        execution: piece.execution.get(),
        origin: piece.origin.get(),
    }
}

/// `want`, at most `N`, in a form that the verifier can follow: without the barrier the compiler
/// knows that the caller has checked, and drops the comparison.
#[inline(always)]
fn bounded<const N: usize>(want: u64) -> u64 {
    let want = barrier::unknown(want);
    if want > N as u64 { N as u64 } else { want }
}
