//! Connections that were opened in a turn of a request, and first written to in a turn of none.
//!
//! What is loaded for the first requests of a thread has all of them go on in one turn (`fetch` waits for WebAssembly that is
//! compiled), and nothing tells there which call is whose. But each of them had a connection opened before that, in a turn
//! of its own, and the turn that reads the response names it by the id which it was given then. That a connection's first
//! call is of the request that had it opened is a *guess*: a pool may give it to another one. So it is told only of a call
//! from whose response the answer of that same request follows; if another one's answer follows from it, the service has a
//! queue of its own, and that answer counts as a foreign one.

use super::super::executions::{Finding, Now, Owner};
use super::thread::{Ended, Resumes, Running};
use super::{Guess, Position, ThreadKey, Turns, Worked};
use crate::ids::{FileId, Tgid};
use crate::record::Execution;

/// A call: the turn in which it was written, and on which connection.
pub(super) type Call = (ThreadKey, u64, FileId);

impl Turns {
    /// For whom the connection was opened that a turn of `thread` reads from, if its first call was written at `at`, in a turn of none.
    pub(super) fn opener(&self, thread: ThreadKey, turn: &Ended, at: Position) -> Option<Worked> {
        let turns = self.threads.peek(&thread)?;
        let of_none = |turn: &Ended| turn.owner.is_none() && turn.late.is_none();
        let asked = at.thread == thread && turns.turn(at.turn).is_some_and(of_none);
        if !asked || turns.connections.contains(&turn.root) {
            return None;
        }
        let opener = self.creator(thread, turn.root, turn.begun)?;
        Some(Worked {
            guess: Some(Guess::Opened(thread, turn.root)),
            ..opener
        })
    }

    /// The first thing was read from a connection, in a turn that works for `owner`.
    pub(super) fn answers_first(&mut self, running: &Running, owner: Option<Worked>) {
        let (Some(file), Some(Resumes::First(at))) = (running.file(), running.resumes()) else {
            return;
        };
        if self.connections.peek(&file) == Some(&Resumes::First(at)) {
            self.connections.push(file, Resumes::Caller(at));
        }
        if let Some(worked) = owner.filter(|w| matches!(w.guess, Some(Guess::Opened(..)))) {
            self.opened.push((at.thread, at.turn, file), worked);
        }
    }

    /// For which request a call was written on `file`, as far as that is certain by now.
    pub(in crate::attribution) fn caller(
        &self,
        tgid: Tgid,
        execution: Execution,
        file: FileId,
        now: Now,
    ) -> Finding {
        let found = self.owner(tgid, execution, now);
        if found.owner != Owner::Unknown || !found.settled {
            return found;
        }
        let at = Position::of(tgid, execution);
        if self.resolve(at).is_some() {
            return found;
        }
        match self.opened.peek(&(at.thread, at.turn, file)) {
            Some(worked) => self.finding(tgid, *worked, now),
            // What reads the response tells.
            None if self.connections.peek(&file) == Some(&Resumes::First(at)) => Finding {
                settled: false,
                ..found
            },
            None => found,
        }
    }
}
