//! Records that say which execution does what for whom.

use crate::Header;

/// Values of [`Take::how`].
pub mod take {
    /// It connected the descriptor; with [`data_flag::NONBLOCK`](crate::data_flag::NONBLOCK) in the
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

/// An execution is about to use a connection for its next exchange, although another one may move
/// the bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Take {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`](crate::Data::file).
    pub file: u64,
    /// As in [`Data::execution`](crate::Data::execution).
    pub execution: u64,
    /// As in [`Data::origin`](crate::Data::origin).
    pub origin: u64,
    /// Descriptor number.
    pub fd: i32,
    /// One of [`runtime`](crate::runtime); with [`runtime::NONE`](crate::runtime::NONE) the thread takes it.
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
    /// The new execution, as in [`Data::execution`](crate::Data::execution). Whatever had this identity before has ended.
    pub child: u64,
    /// The execution that began it; 0 for none.
    pub parent: u64,
    /// One of [`runtime`](crate::runtime).
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
    /// The turn, as in [`Data::execution`](crate::Data::execution).
    pub execution: u64,
    /// The async id that the loop called back for; 0 for none, so for timers and immediates.
    pub root: u64,
    /// The highest async id given out on the thread by now: those above the previous turn's were given
    /// out in this one.
    pub newest: u64,
    /// Reads from sockets that began on the thread in this turn, reported or not.
    pub reads: u32,
    /// One of [`runtime`](crate::runtime).
    pub runtime: u8,
    /// Unused, zero.
    pub reserved: [u8; 3],
}

/// A thread of a process that is asked for it ([`control::watch::WAKES`](crate::control::watch::WAKES)) waited for a futex and was woken.
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
    /// The execution that is to run, as in [`Data::execution`](crate::Data::execution).
    pub woken: u64,
    /// The one that saw to that.
    pub waker: u64,
    /// One of [`runtime`](crate::runtime).
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
    /// [`item::GIVEN`]: the execution that gives it, as in [`Data::execution`](crate::Data::execution). [`content::MESSAGE`]: also the one that takes it.
    pub execution: u64,
    /// As in [`Data::origin`](crate::Data::origin).
    pub origin: u64,
    /// One of [`runtime`](crate::runtime): with [`runtime::NONE`](crate::runtime::NONE) the thread is all that is known.
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
    /// The execution that gave the value, as in [`Data::execution`](crate::Data::execution); 0 if none did, or the value is too small to be work.
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
    /// One of [`runtime`](crate::runtime).
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
/// ([`control::watch::HEAP`](crate::control::watch::HEAP)), with the time of the record that follows, and where a thread starts another one; where a thread waits for
/// others or wakes them ([`control::watch::WAKES`](crate::control::watch::WAKES)), if its buffer is another one than was told last; of processes with virtual threads
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
    /// The virtual thread that runs on the thread, as in [`Data::execution`](crate::Data::execution); 0 if it runs itself, or the process's virtual
    /// threads are not told apart, and [`UNKNOWN_EXECUTION`] if that is not known.
    pub execution: u64,
    /// Address of what the thread was started to run, if it is no pool's thread that keeps tasks; 0 if that is not known.
    pub target: u64,
}

/// [`Heap::execution`] of threads that may run something else than themselves.
pub const UNKNOWN_EXECUTION: u64 = u64::MAX;

const _: () = {
    assert!(size_of::<Take>() == 64);
    assert!(size_of::<Branch>() == 56);
    assert!(size_of::<Turn>() == 64);
    assert!(size_of::<Woke>() == 64);
    assert!(size_of::<Nudge>() == 56);
    assert!(size_of::<Item>() == 64);
    assert!(size_of::<Passed>() == 72);
    assert!(size_of::<Heap>() == 88);
};
