//! Records: events from the kernel probes, decoded field by field and validated.

mod decode;
mod fields;
mod runtimes;

use std::net::{IpAddr, SocketAddr};

pub(crate) use decode::{Bounds, bounds};
pub use decode::{DecodeError, Place, decode, payload_at, place};

pub use crate::facts::ExecutionKind;
use crate::ids::{FileId, KernelNanos, Tgid, Tid};

/// Which way bytes moved, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the file into the process.
    Read,
    /// From the process into the file.
    Write,
}

/// What kind of open file description something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A Unix stream socket, socket pairs included.
    Unix,
    /// A pipe or FIFO.
    Pipe,
    /// A terminal.
    Tty,
    /// A regular file that is appended to, or standard output or error.
    Log,
}

/// What a thread waited for since its previous record (`observer_abi::waited`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited(pub u8);

impl Waited {
    /// The thread went to an event loop (`epoll_wait`, `io_uring_enter`).
    #[must_use]
    pub fn event_loop(self) -> bool {
        self.0 & observer_abi::waited::EVENT_LOOP != 0
    }

    /// The thread waited for several descriptors at once (`poll` on more than two, `select`).
    #[must_use]
    pub fn poll_many(self) -> bool {
        self.0 & observer_abi::waited::POLL_MANY != 0
    }

    /// The thread waited for a new connection.
    #[must_use]
    pub fn accept(self) -> bool {
        self.0 & observer_abi::waited::ACCEPT != 0
    }
}

/// What a runtime executes: finer than a thread, and not bound to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    /// What kind it is.
    pub kind: ExecutionKind,
    /// Its identity in its process; given out again after its end unless the kind says otherwise.
    pub id: u64,
    /// Where it comes from, 0 for nowhere; the meaning is that of the kind (`observer_abi::runtime`).
    pub origin: u64,
}

impl Execution {
    /// Whether it is no execution, but the trace that a thread publishes, or that is told of it.
    #[must_use]
    pub fn is_published(&self) -> bool {
        matches!(self.kind, ExecutionKind::Published | ExecutionKind::Pinned)
    }

    /// The trace-id that a thread publishes, or that is told of it.
    #[must_use]
    pub fn published(&self) -> Option<u128> {
        self.is_published()
            .then(|| u128::from(self.id) << 64 | u128::from(self.origin))
    }
}

/// One event from a kernel probe.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When a write began, a read ended, or the event happened.
    pub time: KernelNanos,
    /// Process of the thread that caused it.
    pub tgid: Tgid,
    /// The thread that caused it.
    pub tid: Tid,
    /// CPU that recorded it; `observer_abi::UNSEQUENCED` if `seq` says nothing.
    pub cpu: u32,
    /// Position in that CPU's sequence, lost records included; wraps.
    pub seq: u32,
    /// What the thread waited for since its previous record.
    pub waited: Waited,
    /// What happened.
    pub event: Event<'a>,
}

/// What a record tells.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes moved.
    Data(Data<'a>),
    /// A write moved less than its records offered.
    Short(Short),
    /// An open file description, before its first data.
    File(File<'a>),
    /// A descriptor was closed.
    Close {
        /// The description it referred to.
        file: FileId,
        /// Whether that ended the description.
        last: bool,
    },
    /// A watched process forked.
    Fork {
        /// The new process.
        child: Tgid,
    },
    /// A watched process started a thread.
    Spawn {
        /// The new thread.
        child: Tid,
        /// The execution finer than threads that did so.
        by: Option<Execution>,
    },
    /// What ran in the thread has ended; its runtime keeps the thread.
    Park,
    /// The thread gave one that was kept something to run.
    Reuse {
        /// That thread, if it is known which one it is.
        child: Option<Tid>,
    },
    /// A process replaced its program.
    Exec,
    /// A thread ended (the one that caused the record).
    Exit,
    /// An execution is about to use a connection for its next exchange.
    Take(Take),
    /// An execution began; its origin is the one that began it, 0 for none.
    Branch(Execution),
    /// A turn of an event loop ended.
    Turn(Turn),
    /// The thread waited for a futex and was woken by another one.
    Woke(Woke),
    /// An execution had another one run again.
    Nudge(Nudge),
    /// Work was given to an executor, or taken from it; or what was logged, to and from a logger's queue.
    Item(Item),
    /// An execution handed a value to another one.
    Passed(Passed),
    /// What the runtime keeps of the thread, just before it moves bytes or takes a connection.
    Heap(Heap),
    /// The thread uses an `io_uring`: what it does through that is in no record.
    Ring,
}

/// An execution had another one run again, which waits for something (`observer_abi::Nudge`).
#[derive(Clone, Copy, Debug)]
pub struct Nudge {
    /// The one that is to run.
    pub woken: Execution,
    /// The identity of the one that saw to that.
    pub waker: u64,
    /// It was to run already, so that others may have seen to it before.
    pub again: bool,
}

/// Work was given to an executor, or taken from it; or what was logged, to and from a logger's queue; or a message,
/// to and from a port's (`observer_abi::Item`).
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its identity in its process, never used again; 0 if it was taken and its giving not seen.
    pub id: u64,
    /// What happened to it.
    pub how: ItemHow,
    /// What it is.
    pub what: ItemWhat,
    /// The execution that gave it, or that took a message; none if the thread is all that is known.
    pub execution: Option<Execution>,
}

/// What happens to an executor's work (`observer_abi::item`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemHow {
    /// The thread puts it into the executor's queue.
    Given,
    /// The thread has taken it from there, and does it until it takes the next one.
    Taken,
}

/// What is given and taken (`observer_abi::content`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemWhat {
    /// Work, for an executor's threads.
    Work,
    /// What was logged, for whoever writes it.
    Record,
    /// A message, for the turn of an event loop that begins with it.
    Message,
}

/// An execution handed a value to another one (`observer_abi::Passed`).
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Who gave it; absent if nobody did, or it is too small to be work.
    pub giver: Option<Execution>,
    /// Who took it; absent as long as it lies in the queue.
    pub taker: Option<Execution>,
    /// How it passes.
    pub how: PassedHow,
    /// Address of its place in the queue, or of the queue if it goes from one to the other at once.
    pub place: u64,
    /// Its first eight bytes.
    pub value: u64,
    /// Whether values may wait in the queue.
    pub queued: bool,
    /// How far below the beginning of its stack the taker receives, bytes.
    pub depth: u32,
}

/// How a value passes from one execution to another (`observer_abi::passed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedHow {
    /// From one to the other, one of which waited.
    Direct,
    /// Into a queue.
    Put,
    /// Out of a queue.
    Got,
}

/// Where a thread of Java makes objects, and which one is its task (`observer_abi::Heap`).
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// Address of the task; 0 for none that is known.
    pub task: u64,
    /// What tells the task's class from others.
    pub class: u32,
    /// Beginning of the thread's buffer; 0 for none.
    pub start: u64,
    /// Where the next object will be made.
    pub top: u64,
    /// The buffer's end.
    pub end: u64,
    /// Collections that have begun.
    pub collections: u32,
    /// What runs on the thread.
    pub runs: Runs,
    /// Address of what the thread was started to run; 0 if it keeps tasks, or that is not known.
    pub target: u64,
}

/// What runs on a thread of Java (`observer_abi::Heap::execution`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The thread itself, as far as virtual threads are told apart.
    Itself,
    /// The virtual thread with this number.
    Virtual(u64),
    /// That could not be read.
    Unknown,
}

/// A thread waited for a futex and was woken by another thread of its process (`observer_abi::Woke`).
#[derive(Clone, Copy, Debug)]
pub struct Woke {
    /// Address of the futex.
    pub word: u64,
    /// When the wait began.
    pub since: KernelNanos,
    /// When it was woken.
    pub woken: KernelNanos,
    /// The thread that woke it.
    pub waker: Tid,
}

/// A turn of an event loop that ended (`observer_abi::Turn`).
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The turn.
    pub execution: Execution,
    /// The async id that the loop called back for; at most 1 for timers and immediates.
    pub root: u64,
    /// The highest async id given out on the thread by now.
    pub newest: u64,
    /// Reads from sockets that began in it, reported or not.
    pub reads: u32,
}

/// An execution is about to use a connection for its next exchange.
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// The connection.
    pub file: FileId,
    /// The execution; none if the thread is all that is known.
    pub execution: Option<Execution>,
    /// What shows it.
    pub how: TakeHow,
    /// The call that shows it could not block.
    pub nonblocking: bool,
}

/// What shows that an execution takes a connection (`observer_abi::take`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeHow {
    /// It connected the descriptor.
    Connect,
    /// It looked whether there is something to read, and there was nothing.
    Probe,
    /// Its HTTP client gave it the connection for one exchange.
    Client,
}

/// Bytes moved by one read or write.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// The description that was used.
    pub file: FileId,
    /// What kind it is.
    pub class: Class,
    /// Which way the bytes moved.
    pub direction: Direction,
    /// Bytes of this direction before the first one of this record.
    pub pos: u64,
    /// Bytes moved or offered.
    pub len: u32,
    /// The first of these bytes, as many as were captured.
    pub payload: &'a [u8],
    /// Descriptor number.
    pub fd: i32,
    /// Whether the call could not block.
    pub nonblocking: bool,
    /// Another record of the same call follows.
    pub more: bool,
    /// The pipe was empty when this write began.
    pub pipe_empty: bool,
    /// Written to a log by a thread that last served a connection which is left out: so is this, on purpose.
    pub left_out: bool,
    /// How the stream ended, if it did.
    pub end: Option<End>,
    /// The execution that made the call, where the runtime has finer ones than threads.
    pub execution: Option<Execution>,
}

/// How a read direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed it.
    Eof,
    /// A call failed with this error number.
    Error(u16),
}

/// A write that moved less than its records offered.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    /// The description that was used.
    pub file: FileId,
    /// Position after the call.
    pub pos: u64,
    /// Bytes that did not move although they were reported.
    pub missing: u32,
}

/// What an open file description is.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its identity.
    pub file: FileId,
    /// Its kind.
    pub class: Class,
    /// Descriptor number first used.
    pub fd: i32,
    /// Opened for append.
    pub append: bool,
    /// Inode number; both ends of a pipe have the same.
    pub ino: u64,
    /// Inode number of the socket at the other end of a Unix stream, if known.
    pub peer_ino: Option<u64>,
    /// Addresses of a TCP connection.
    pub tcp: Option<TcpAddresses>,
    /// Path of a Unix socket, of either side.
    pub path: &'a [u8],
    /// Where a connection lies among all connections (`observer_abi::lot`); 0 if it is always observed.
    pub lot: u16,
    /// The share of connections that was observed then, in 65 536ths.
    pub keep: u32,
    /// It is left out by its lot, so that nothing more is told of it: which way its first bytes went.
    pub left_out: Option<Direction>,
}

/// Both ends of a TCP connection, as one side sees them. IPv4-mapped addresses are shown as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpAddresses {
    /// The observed process's side.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
}

impl TcpAddresses {
    /// The same connection as the other side sees it.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            local: self.remote,
            remote: self.local,
        }
    }
}

/// An address as the kernel holds it: IPv4-mapped ones become IPv4.
fn canonical(addr: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(addr.to_canonical(), port)
}
