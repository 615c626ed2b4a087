//! Records: events from the kernel probes, decoded field by field and validated.

mod bytes;
mod decode;
mod fields;
mod running;
mod runtimes;

pub use bytes::{Class, Data, Direction, End, File, Short, TcpAddresses};
pub(crate) use decode::{Bounds, bounds};
pub use decode::{DecodeError, Place, decode, payload_at, place};
pub use running::{
    Heap, Item, ItemHow, ItemWhat, Nudge, Passed, PassedHow, Runs, Take, TakeHow, Turn, Woke,
};

pub use crate::facts::ExecutionKind;
use crate::ids::{FileId, KernelNanos, Tgid, Tid};

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
