//! Tier 4, virtual threads that start threads and make tasks: what those do belongs to the request that the virtual
//! thread answers.
//!
//! Many virtual threads share a thread of the machine, so that what that one starts, and fills its buffer with, is of
//! whichever of them runs on it. The probes tell that number with each record: at the beginning and at the end of a piece of the
//! buffer the same virtual thread must run, else the piece is nobody's.

use super::Attributor;
use super::executions::Owner;
use super::subject::{Doer, Hold};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::record::{Execution, ExecutionKind, Heap, Record, Runs};

/// What a thread may have been started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// This request.
    Request(Seq),
    /// One that the execution which started it may be about to answer.
    Unanswered,
    /// One that was answered while others were open, which will tell whether that can be believed.
    Unsettled,
    /// Nothing.
    None,
}

impl Root {
    /// The request, if it is known.
    pub(super) fn request(self) -> Option<Seq> {
        match self {
            Self::Request(request) => Some(request),
            Self::Unanswered | Self::Unsettled | Self::None => None,
        }
    }
}

impl Attributor {
    /// What is to be held of what `execution` does at a record of its thread.
    pub(super) fn running(&mut self, record: &Record<'_>, execution: Execution) -> Hold {
        Hold::Running(Doer {
            life: self.executions.life(record.tgid, execution, record.time),
            execution,
            time: record.time,
            took: false,
        })
    }

    /// What is to be held of what is made on a thread of Java.
    pub(super) fn making(&mut self, record: &Record<'_>, heap: &Heap) -> Hold {
        match heap.runs {
            Runs::Itself => self.threads.hands_on(record.tid),
            Runs::Virtual(id) => {
                let execution = Execution {
                    kind: ExecutionKind::VirtualThread,
                    id,
                    origin: 0,
                };
                self.running(record, execution)
            }
            Runs::Unknown => Hold::Nothing(None),
        }
    }

    /// What is started by an execution is started for.
    pub(super) fn root_of(&self, tgid: Tgid, doer: &Doer, now: KernelNanos) -> Root {
        let found = self.owner_of(tgid, doer, now);
        match found.owner {
            Owner::Answered(_) | Owner::Begun { .. } if !found.settled => Root::Unsettled,
            Owner::Answered(request) | Owner::Begun { request, .. } => Root::Request(request),
            Owner::Unknown => Root::Unanswered,
            Owner::Shared | Owner::Outlived | Owner::Unwatched => Root::None,
        }
    }
}
