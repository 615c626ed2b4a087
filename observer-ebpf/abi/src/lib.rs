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
pub mod haproxy;
pub mod heap;
pub mod java;
pub mod lot;
pub mod node;
pub mod published;
pub mod python;
pub mod tokio;

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

/// Values of [`Passed::how`].
pub mod passed {
    /// The giver's value went to the taker, which waited for it, or the other way round.
    pub const DIRECT: u8 = 1;
    /// The giver put a value into a queue.
    pub const PUT: u8 = 2;
    /// The taker got a value out of a queue.
    pub const GOT: u8 = 3;
    /// The highest value in use.
    pub const LAST: u8 = GOT;
}

/// Values of [`Item::how`].
pub mod item {
    /// The thread is about to put it into the queue.
    pub const GIVEN: u8 = 1;
    /// The thread has taken it out, and does it from now on until it takes the next one.
    pub const TAKEN: u8 = 2;
    /// The highest value in use.
    pub const LAST: u8 = TAKEN;
}

/// Values of [`Item::what`].
pub mod content {
    /// Work: whoever takes it does it until it takes the next one.
    pub const WORK: u8 = 0;
    /// What was logged: whoever takes it writes it to the log.
    pub const RECORD: u8 = 1;
    /// A message: the turn of the event loop that takes it is about it.
    pub const MESSAGE: u8 = 2;
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

/// Values of [`Take::how`].
pub mod take {
    /// It connected the descriptor; with [`data_flag::NONBLOCK`](super::data_flag::NONBLOCK) in the
    /// header it did not wait until that was done.
    pub const CONNECT: u8 = 1;
    /// It tried to read and there was nothing: clients look so whether a pooled connection is alive.
    /// Told only between exchanges, and only if it was not that thread which read last, unless it is told where the threads of a
    /// process with virtual threads make objects.
    pub const PROBE: u8 = 2;
    /// Its HTTP client gave it the connection for one exchange.
    pub const CLIENT: u8 = 3;
    /// The highest value in use.
    pub const LAST: u8 = CLIENT;
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

/// Bits of [`Header::flags`] for [`kind::DATA`].
pub mod data_flag {
    /// Bytes went from the process to the file; otherwise they came from it.
    pub const WRITE: u8 = 1;
    /// The call could not block: `O_NONBLOCK` on the description or `MSG_DONTWAIT` in the call.
    pub const NONBLOCK: u8 = 2;
    /// The payload could not be read from the process's memory; the bytes count as cut.
    pub const FAULT: u8 = 4;
    /// Another record of the same system call follows (vectored input and output).
    pub const MORE: u8 = 8;
    /// A read met the end of the stream (returned 0).
    pub const EOF: u8 = 16;
    /// A write to a log, by a thread that last served a connection which is left out: so is what it writes, on purpose.
    pub const LEFT_OUT: u8 = EOF;
    /// A read failed for good (for example `ECONNRESET`); [`Data::errno`](super::Data::errno) says why.
    pub const ERROR: u8 = 32;
    /// A pipe was empty when this write began: everything written before has been read.
    pub const PIPE_EMPTY: u8 = 64;
    /// Reported when the call returned, because the payload was not readable when it began.
    pub const LATE: u8 = 128;
}

/// Bits of [`Header::flags`] for [`kind::FILE`].
pub mod file_flag {
    /// The connection is left out, by its [`File::lot`]: no more will be told of it.
    pub const LEFT_OUT: u8 = 1;
    /// With [`LEFT_OUT`]: the first bytes came in; otherwise they went out.
    pub const READ: u8 = 2;
}

/// Values of [`Data::class`] and [`File::class`]: what kind of open file description it is.
pub mod class {
    /// Not observed.
    pub const OTHER: u8 = 0;
    /// TCP over IPv4.
    pub const TCP4: u8 = 1;
    /// TCP over IPv6, IPv4-mapped addresses included.
    pub const TCP6: u8 = 2;
    /// A Unix stream or seqpacket socket, socket pairs included.
    pub const UNIX: u8 = 3;
    /// A pipe or FIFO; both ends have the same [`File::ino`](super::File::ino).
    pub const PIPE: u8 = 4;
    /// A terminal.
    pub const TTY: u8 = 5;
    /// A regular file opened for append, or standard output or standard error of the process.
    pub const LOG: u8 = 6;
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

/// Bytes moved by one read or write (or one element of a vectored one); the payload follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Data {
    /// Start of the record.
    pub header: Header,
    /// Identity of the open file description: unique while the observer runs, whatever descriptor
    /// numbers, processes or `struct file` addresses are used again.
    pub file: u64,
    /// Bytes of this direction before the first one of this record, since the description was first seen.
    pub pos: u64,
    /// Bytes moved (a read) or offered (a write; a [`Short`] follows if fewer moved).
    pub len: u32,
    /// Bytes of payload in this record, at most `len`.
    pub captured: u32,
    /// Descriptor number used.
    pub fd: i32,
    /// Positive error number with [`data_flag::ERROR`], else 0.
    pub errno: u16,
    /// One of [`class`].
    pub class: u8,
    /// One of [`runtime`]: whether `execution` and `origin` mean something, and what.
    pub runtime: u8,
    /// The execution that made the call, finer than its thread.
    pub execution: u64,
    /// Where that execution comes from.
    pub origin: u64,
}

/// A write that moved fewer bytes than offered (or none, on an error).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Short {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Bytes of the write direction that have moved after this call: the next write's [`Data::pos`]
    /// when no other thread wrote meanwhile.
    pub pos: u64,
    /// Bytes that the call's records offered.
    pub offered: u32,
    /// What the call returned: bytes moved, or a negative error number.
    pub ret: i32,
}

/// Longest Unix socket address, `sizeof(sockaddr_un.sun_path)`.
pub const UNIX_PATH: usize = 108;

/// Description of an open file description, sent before its first data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Inode number: of the socket, of the pipe (the same at both ends), of the file.
    pub ino: u64,
    /// Inode number of the socket at the other end of a Unix stream, 0 when unknown.
    pub peer_ino: u64,
    /// Descriptor number used.
    pub fd: i32,
    /// `f_flags` of the description.
    pub open_flags: u32,
    /// Local address; an IPv4 address fills the first four bytes.
    pub local_addr: [u8; 16],
    /// Remote address, likewise.
    pub remote_addr: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// One of [`class`].
    pub class: u8,
    /// Unused, zero.
    pub reserved: u8,
    /// Valid bytes of `path`.
    pub path_len: u16,
    /// Unix socket: the address it or its peer is bound to (a leading NUL means abstract).
    pub path: [u8; UNIX_PATH],
    /// A socket: where it lies among all connections ([`lot`]); the same at both ends.
    pub lot: u16,
    /// Share of connections that were left out then ([`control::Control::left_out`]).
    pub left_out: u16,
}

/// A watched process closed a descriptor of a known description.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Close {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Descriptor number closed.
    pub fd: i32,
    /// 1 if no other descriptor referred to the description, so that it ends here; 0 if others may.
    pub last: u32,
}

/// An execution is about to use a connection for its next exchange, although another one may move
/// the bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Take {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// As in [`Data::execution`].
    pub execution: u64,
    /// As in [`Data::origin`].
    pub origin: u64,
    /// Descriptor number.
    pub fd: i32,
    /// One of [`runtime`]; with [`runtime::NONE`] the thread takes it.
    pub runtime: u8,
    /// One of [`take`].
    pub how: u8,
    /// Unused, zero.
    pub reserved: u16,
}

/// An execution began.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Branch {
    /// Start of the record: the thread on which it was begun.
    pub header: Header,
    /// The new execution, as in [`Data::execution`]. Whatever had this identity before has ended.
    pub child: u64,
    /// The execution that began it; 0 for none.
    pub parent: u64,
    /// One of [`runtime`].
    pub runtime: u8,
    /// Unused, zero.
    pub reserved: [u8; 7],
}

/// A turn of an event loop ended. What happened in it is in records before this one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Start of the record: the thread that runs the loop.
    pub header: Header,
    /// The turn, as in [`Data::execution`].
    pub execution: u64,
    /// The async id that the loop called back for; 0 for none, so for timers and immediates.
    pub root: u64,
    /// The highest async id given out on the thread by now: those above the previous turn's were given
    /// out in this one.
    pub newest: u64,
    /// Reads from sockets that began on the thread in this turn, reported or not.
    pub reads: u32,
    /// One of [`runtime`].
    pub runtime: u8,
    /// Unused, zero.
    pub reserved: [u8; 3],
}

/// A thread of a process that is asked for it ([`control::watch::WAKES`]) waited for a futex and was woken.
///
/// Told only if it is certain who woke it: nobody else waited for that futex meanwhile, and one thread
/// woke it once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Woke {
    /// Start of the record: the thread that waited, when its call returned.
    pub header: Header,
    /// Address of the futex.
    pub word: u64,
    /// When the wait began, as in [`Header::time`].
    pub since: u64,
    /// When the waker's call began.
    pub woken: u64,
    /// The thread that woke it, of the same process.
    pub waker: u32,
    /// Unused, zero.
    pub reserved: u32,
}

/// An execution had another one run again, which waits for something (a tokio task, by its waker).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Nudge {
    /// Start of the record: the thread that the first one ran on.
    pub header: Header,
    /// The execution that is to run, as in [`Data::execution`].
    pub woken: u64,
    /// The one that saw to that.
    pub waker: u64,
    /// One of [`runtime`].
    pub runtime: u8,
    /// 1 if it was to run already, so that others may have seen to it before.
    pub again: u8,
    /// Unused, zero.
    pub reserved: [u8; 6],
}

/// A piece of work was put into a queue of a runtime's executor, or taken out of it (CPython: a `_WorkItem` of
/// `concurrent.futures.ThreadPoolExecutor`); or what was logged, into a logger's queue (a `LogRecord` of `logging`); or a message, into a port's
/// (Node: a `node::worker::Message`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Item {
    /// Start of the record: the thread that gives or takes it.
    pub header: Header,
    /// Its identity in its process, never used again; 0 when it was taken and its giving not seen.
    pub item: u64,
    /// [`item::GIVEN`]: the execution that gives it, as in [`Data::execution`]. [`content::MESSAGE`]: also the one that takes it.
    pub execution: u64,
    /// As in [`Data::origin`].
    pub origin: u64,
    /// One of [`runtime`]: with [`runtime::NONE`] the thread is all that is known.
    pub runtime: u8,
    /// One of [`item`].
    pub how: u8,
    /// One of [`content`].
    pub what: u8,
    /// Unused, zero.
    pub reserved: [u8; 5],
}

/// An execution handed a value to another one (a goroutine, through a channel).
///
/// Told of takers near the beginning of whose stack the value is received: what is received further down, in the
/// middle of some work, does not say what that work is for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// Start of the record: the thread on which one of the two runs.
    pub header: Header,
    /// The execution that gave the value, as in [`Data::execution`]; 0 if none did, or the value is too small to be work.
    pub giver: u64,
    /// The execution that took it; 0 with [`passed::PUT`].
    pub taker: u64,
    /// Address of the place in the queue, or of the whole queue with [`passed::DIRECT`]; 0 if nothing was noted of
    /// what was put there.
    pub place: u64,
    /// The value's first eight bytes.
    pub value: u64,
    /// How far below the beginning of its stack the taker receives, bytes; 0 if that is not known.
    pub depth: u32,
    /// One of [`passed`].
    pub how: u8,
    /// One of [`runtime`].
    pub runtime: u8,
    /// 1 if values may wait in the queue.
    pub queued: u8,
    /// Unused, zero.
    pub reserved: u8,
}

/// Where a thread of Java makes objects, and which object is the task that it has taken from the queue of its pool.
///
/// Each thread makes its objects in a buffer of its own, one after the other, so the address of one that was not moved
/// since says who made it, and between which two of these records. Told of processes that are asked for it
/// ([`control::watch::HEAP`]), with the time of the record that follows, and where a thread starts another one; where a thread waits for
/// others or wakes them ([`control::watch::WAKES`]), if its buffer is another one than was told last; of processes with virtual threads
/// also where it wakes one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    /// Start of the record.
    pub header: Header,
    /// Address of the task, or, of a thread that keeps none, of what it runs because a `CompletableFuture` is complete; 0 if the thread
    /// has neither, or none that is known.
    pub task: u64,
    /// Beginning of the thread's buffer; 0 if it has none since the last collection.
    pub start: u64,
    /// Where in it the next object will be made.
    pub top: u64,
    /// The buffer's end.
    pub end: u64,
    /// Collections that have begun: objects may have been moved by each.
    pub collections: u32,
    /// What tells the class of the task from others; 0 for none.
    pub class: u32,
    /// The virtual thread that runs on the thread, as in [`Data::execution`]; 0 if it runs itself, or the process's virtual
    /// threads are not told apart, and [`UNKNOWN_EXECUTION`] if that is not known.
    pub execution: u64,
    /// Address of what the thread was started to run, if it is no pool's thread that keeps tasks; 0 if that is not known.
    pub target: u64,
}

/// [`Heap::execution`] of threads that may run something else than themselves.
pub const UNKNOWN_EXECUTION: u64 = u64::MAX;

/// Something that happened to a thread or process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Task {
    /// Start of the record: the thread that acted.
    pub header: Header,
    /// Process acted upon: the child, the executing process, the exiting thread's process.
    pub tgid: u32,
    /// Thread acted upon.
    pub tid: u32,
    /// Its `comm`, NUL-padded.
    pub comm: [u8; 16],
}

/// A thread that was started by an execution finer than threads (a Java virtual thread).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Started {
    /// As in records without that.
    pub task: Task,
    /// The execution, as in [`Data::execution`].
    pub execution: u64,
    /// One of [`runtime`].
    pub runtime: u8,
    /// Unused, zero.
    pub reserved: [u8; 7],
}

const _: () = {
    assert!(size_of::<Header>() == 32);
    assert!(size_of::<Data>() == 80);
    assert!(size_of::<Short>() == 56);
    assert!(size_of::<File>() == 216);
    assert!(size_of::<Close>() == 48);
    assert!(size_of::<Task>() == 56);
    assert!(size_of::<Take>() == 64);
    assert!(size_of::<Branch>() == 56);
    assert!(size_of::<Turn>() == 64);
    assert!(size_of::<Woke>() == 64);
    assert!(size_of::<Nudge>() == 56);
    assert!(size_of::<Item>() == 64);
    assert!(size_of::<Heap>() == 88);
    assert!(size_of::<Started>() == 72);
    assert!(size_of::<Passed>() == 72);
};
