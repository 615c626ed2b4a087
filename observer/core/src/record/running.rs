//! What records tell of who runs what: executions, what they hand to each other, and whom they wait for.

use super::Execution;
use crate::ids::{FileId, KernelNanos, Tid};

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
