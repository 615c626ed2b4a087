//! Layout of the records that the kernel probes send to userspace.
//!
//! One versioned crate, `no_std` and free of dependencies, is compiled into both sides. The probes
//! fill these structures inside the ring buffer; userspace decodes them **field by field** (see
//! `observer_core::record`) and never transmutes kernel bytes into an enum. All integers are in the
//! byte order of the machine that made them; recordings say which that was.
//!
//! # How loss is made visible
//!
//! * [`Header::seq`] counts every record that a CPU *wanted* to send. A hole in one CPU's sequence
//!   bounds in time what was lost, whoever it belonged to.
//!   Probes inside programs may be interrupted by other probes on their CPU, so that an order of
//!   theirs can't be had for the price of an addition: their records stand outside the sequences
//!   ([`UNSEQUENCED`]), and of their losses there is the kernel's count alone.
//! * [`Data::pos`] counts the bytes of one direction of one open file description, sent or lost, cut
//!   or whole. A hole in a stream's positions says exactly which bytes are missing.
#![no_std]

pub mod control;
mod files;
pub mod go;
pub mod haproxy;
pub mod heap;
pub mod java;
pub mod lot;
pub mod node;
pub mod published;
pub mod python;
mod task;
pub mod tokio;
mod work;

pub use files::{Close, Data, File, Short, UNIX_PATH, class, data_flag, file_flag};
pub use task::{Started, Task};
pub use work::{
    Branch, Heap, Item, Nudge, Passed, Take, Turn, UNKNOWN_EXECUTION, Woke, content, item, passed,
    take,
};

/// Version of everything in this crate, in every record's [`Header::abi`].
///
/// | version | difference |
/// |---|---|
/// | 1 | [`Data`] ended before [`Data::execution`]; no [`kind::TAKE`], no [`kind::BRANCH`] |
/// | 2 | this one |
pub const ABI_VERSION: u8 = 2;

/// The oldest version that is still read.
pub const OLDEST_ABI: u8 = 1;

/// `size_of::<Data>()` in version 1.
pub const DATA_V1: usize = 64;

/// The longest payload of one record, in bytes: a 64 KiB message head in one system call fits.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// [`Header::cpu`] of records that are in no CPU's sequence.
pub const UNSEQUENCED: u32 = u32::MAX;

/// Values of [`Header::kind`].
pub mod kind {
    /// Bytes moved by a read or a write: [`Data`](super::Data), then the payload.
    pub const DATA: u8 = 1;
    /// A write moved fewer bytes than were reported when it began: [`Short`](super::Short).
    pub const SHORT: u8 = 2;
    /// An open file description, before its first data: [`File`](super::File).
    pub const FILE: u8 = 3;
    /// A watched process closed a descriptor: [`Close`](super::Close).
    pub const CLOSE: u8 = 4;
    /// A process was forked by a watched one: [`Task`](super::Task) names the child.
    pub const FORK: u8 = 5;
    /// A thread was created by a watched one: [`Task`](super::Task) names the thread. Where an execution finer than
    /// threads did that, [`Started`](super::Started) names that, too.
    pub const SPAWN: u8 = 6;
    /// A process replaced its program: [`Task`](super::Task) names the process.
    pub const EXEC: u8 = 7;
    /// A thread ended: [`Task`](super::Task) names it.
    pub const EXIT: u8 = 8;
    /// An execution is about to use a connection: [`Take`](super::Take).
    pub const TAKE: u8 = 9;
    /// An execution began: [`Branch`](super::Branch).
    pub const BRANCH: u8 = 10;
    /// A turn of an event loop ended: [`Turn`](super::Turn).
    pub const TURN: u8 = 11;
    /// A thread that waited for a futex was woken by another one: [`Woke`](super::Woke).
    pub const WOKE: u8 = 12;
    /// An execution had another one run again: [`Nudge`](super::Nudge).
    pub const NUDGE: u8 = 13;
    /// A thread made or used an `io_uring`, for the first time since its process was watched: the
    /// [`Header`](super::Header) alone. What is done through a ring makes no system call and is in no record.
    pub const RING: u8 = 14;
    /// A piece of work was put into a queue, or taken out of it: [`Item`](super::Item).
    pub const ITEM: u8 = 15;
    /// What the runtime of a process keeps of the thread that moves bytes or takes a connection, just before that:
    /// [`Heap`](super::Heap).
    pub const HEAP: u8 = 16;
    /// An execution handed a value to another one, at once or through a queue: [`Passed`](super::Passed).
    pub const PASSED: u8 = 17;
    /// What ran in a thread has ended, and the thread waits to be given something else to run
    /// ([`control::watch::KEEPS`](super::control::watch::KEEPS)): [`Task`](super::Task) names it.
    pub const PARK: u8 = 18;
    /// A thread that waited so was given something to run by the one that acts: [`Task`](super::Task) names it, with thread 0 if
    /// it is not known which one.
    pub const REUSE: u8 = 19;
    /// The highest value in use.
    pub const LAST: u8 = REUSE;
}

/// Values of [`Data::runtime`]: what kind of execution identity goes with a record.
pub mod runtime {
    /// None: the thread is all that is known.
    pub const NONE: u8 = 0;
    /// A goroutine. `execution` is its id, `origin` the id of the goroutine that started it.
    pub const GO: u8 = 1;
    /// A running Python context. `execution` is the address of the `PyContext` (and, where its
    /// beginning was seen, a generation in the upper 16 bits), `origin` that of its variables.
    pub const PYTHON: u8 = 2;
    /// A tokio task. `execution` is its id.
    pub const TOKIO: u8 = 3;
    /// A turn of Node's event loop: everything from the end of one callback that the loop makes to the end of the
    /// next. `execution` is the turn's number, never used again: the thread's id in the upper 24 bits, a
    /// count of that thread's turns below. `origin` says where in the turn: the low 32 bits of the
    /// current async id in the upper half, those of its trigger's in the lower half.
    pub const NODE: u8 = 4;
    /// A Java virtual thread. `execution` is its `Thread.threadId()`.
    pub const JAVA: u8 = 5;
    /// No execution, but the trace that the thread says it works in (OTEP 4947): `execution` is the upper half of
    /// its id, `origin` the lower one.
    pub const PUBLISHED: u8 = 6;
    /// A stream of HAProxy's: a request and its response. `execution` is its address, which is used again after it has ended.
    pub const HAPROXY: u8 = 7;
    /// A greenlet of Python's. `execution` is its address and a generation in the upper 16 bits.
    pub const GREENLET: u8 = 8;
    /// No execution, but the trace that another observer of the host has pinned for the thread (`traces_ctx_v1`); as with
    /// [`PUBLISHED`].
    pub const PINNED: u8 = 9;
    /// The highest value in use.
    pub const LAST: u8 = PINNED;
}

/// Bits of [`Header::waited`]: what the thread waited for since its previous record.
pub mod waited {
    /// `epoll_wait`, `epoll_pwait`, `epoll_pwait2`, `io_uring_enter`: the thread went to an event loop.
    pub const EVENT_LOOP: u8 = 1;
    /// `poll`, `ppoll` on at most two descriptors: the thread waited for one peer.
    pub const POLL_ONE: u8 = 2;
    /// `poll`, `ppoll` on more than two descriptors, or `select`, `pselect6` on any.
    pub const POLL_MANY: u8 = 4;
    /// `accept`, `accept4`.
    pub const ACCEPT: u8 = 8;
}

/// Start of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    /// What follows: one of [`kind`].
    pub kind: u8,
    /// Bits whose meaning depends on the kind.
    pub flags: u8,
    /// Bits of [`waited`].
    pub waited: u8,
    /// [`ABI_VERSION`].
    pub abi: u8,
    /// Valid bytes of this record, header included; the ring's slot may be longer.
    pub len: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds: when a write began or a read ended.
    pub time: u64,
    /// Process (thread group) of the thread that caused the record, in the initial pid namespace.
    pub tgid: u32,
    /// The thread that caused it.
    pub tid: u32,
    /// The CPU it was recorded on, or [`UNSEQUENCED`].
    pub cpu: u32,
    /// Position in that CPU's sequence of records, lost ones included; wraps.
    pub seq: u32,
}

const _: () = assert!(size_of::<Header>() == 32);
