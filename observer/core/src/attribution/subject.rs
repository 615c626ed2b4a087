//! Subjects: what is to be attributed.

use super::births::BirthId;
use super::clients::Taken;
use super::events::Sign;
use super::executions::LifeId;
use super::inference::{Guess, Silence};
use super::items::ItemId;
use super::traffic::GiftId;
use crate::context::line::LineContext;
use crate::exchange::{Begun, Ended};
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::judged::Reason;
use crate::message::{LogLine, Moved};
use crate::record::{Execution, ExecutionKind};
use crate::text::Text;

/// How long a line after a response waits for the proof that its thread stayed, nanoseconds.
pub const STAY_PATIENCE: u64 = 2_000_000_000;

/// Something that was done for a request, or for none.
#[derive(Debug)]
pub struct Subject {
    /// Its number.
    pub seq: Seq,
    /// The process that did it.
    pub tgid: Tgid,
    /// The thread that did it.
    pub tid: Tid,
    /// When.
    pub time: KernelNanos,
    /// Requests that were in flight in the process at that time.
    pub in_flight: usize,
    /// The request in flight, if it was the only one.
    pub sole: Option<Seq>,
    /// Another request had been answered so lately that work for that one may still have gone on.
    pub afterwork: bool,
    /// What kind of work it is, for telling background work.
    pub template: Option<u64>,
    /// What its thread was doing.
    pub hold: Hold,
    /// A call: the other thread that took its connection last.
    pub taken: Option<Box<Taken>>,
    /// The execution that did it, where the runtime has finer ones than threads.
    pub doer: Option<Doer>,
    /// What the event of a proxy, in which it was done, says.
    pub(super) sign: Option<Sign>,
    /// What that execution lived on: values that others had handed to it, the outermost first.
    pub(super) handed: Vec<GiftId>,
    /// Its likeliest request, as it looked when it began; absent unless inference is asked for.
    pub(super) guess: Option<Result<Box<Guess>, Silence>>,
    /// Only ids name its request, and it is waited for other evidence in its process.
    pub(super) by_ids: bool,
    /// What it is.
    pub work: Work,
}

/// An execution at the time of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doer {
    /// Which of all lives of executions.
    pub(super) life: LifeId,
    /// What it is.
    pub execution: Execution,
    /// When it did the work, or took the connection for it.
    pub time: KernelNanos,
    /// Whether it took the connection for it.
    pub took: bool,
}

impl Doer {
    /// Whether it is a virtual thread.
    pub(super) fn is_virtual(&self) -> bool {
        self.execution.kind == ExecutionKind::VirtualThread
    }

    /// Whether it makes its calls itself: the clients of Go and of tokio's hyper write through executions that
    /// belong to connections and serve whoever uses these.
    pub(super) fn calls(&self) -> bool {
        self.took
            || !matches!(
                self.execution.kind,
                ExecutionKind::Goroutine | ExecutionKind::TokioTask
            )
    }
}

/// What a thread's work can be held to belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The request that the thread was serving.
    Serving(Seq),
    /// The request that the thread had answered, if it turns out to have stayed with its connection.
    After(Seq),
    /// The request that the thread had answered: it stayed.
    Stayed(Seq),
    /// The requests that these messages, which the thread had taken from a pipe, were written for.
    Messages(Vec<Seq>),
    /// What the thread was started for, if its life shows that.
    Born(BirthId),
    /// What the work was given for that the thread took from its executor's queue last.
    Item(ItemId),
    /// Whoever logged what the thread took from a logger's queue last.
    Record(ItemId),
    /// What the virtual thread does that ran on the thread.
    Running(Doer),
    /// Nothing; the thread says why, if it knows.
    Nothing(Option<Reason>),
}

/// What was done.
#[derive(Debug)]
pub enum Work {
    /// A call: a client exchange.
    Call(Box<Call>),
    /// A logged event.
    Line(Box<Line>),
    /// A message written to an in-process pipe.
    Message(Moved),
}

/// A client exchange.
#[derive(Debug)]
pub struct Call {
    /// How it began.
    pub begun: Box<Begun>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// A logged event.
#[derive(Debug)]
pub struct Line {
    /// The event.
    pub line: LogLine,
    /// `stdout`, `stderr` or `file:PATH`.
    pub source: Text,
    /// What it says about its trace.
    pub context: LineContext,
}

impl Subject {
    pub(super) fn stayed(&mut self) {
        if let Hold::After(request) = self.hold {
            self.hold = Hold::Stayed(request);
        }
    }

    /// Whether an execution did it that others hand values to.
    pub(super) fn is_handed(&self) -> bool {
        !self.handed.is_empty()
    }

    /// Whether it is a call that was not over at `time`.
    pub(super) fn lasted_beyond(&self, time: KernelNanos) -> bool {
        match &self.work {
            Work::Call(call) => call.ended.is_none_or(|ended| ended.time > time),
            Work::Line(_) | Work::Message(_) => false,
        }
    }

    /// Whether nothing more of it is to come.
    pub(super) fn is_over(&self) -> bool {
        match &self.work {
            Work::Call(call) => call.ended.is_some(),
            Work::Line(_) | Work::Message(_) => true,
        }
    }
}

impl Work {
    pub(super) fn template(&self) -> Option<u64> {
        match self {
            Self::Call(call) => Some(super::exclusive::call_template(&call.begun)),
            Self::Line(line) => Some(super::exclusive::line_template(&line.line.text)),
            Self::Message(_) => None,
        }
    }
}
