//! Connections that were opened in a turn of a request, and first written to in a turn of none.
//!
//! What is loaded for the first requests of a thread has all of them go on in one turn (`fetch` waits for WebAssembly that is
//! compiled), and nothing tells there which call is whose. But each of them had a connection opened before that, in a turn
//! of its own, and the turn that reads the response names it by the id which it was given then. That a connection's first
//! call is of the request that had it opened is a *guess*: a pool may give it to another one. So it is told only of a call
//! from whose response the answer of that same request follows; if another one's answer follows from it, the service has a
//! queue of its own, and that answer counts as a foreign one.
//!
//! Of calls in parallel the answer follows from the last response alone. The others were opened in the same turn of the request, and went on in
//! the same turn of none. So they are told with that one, if their responses came before the answer.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::super::executions::{Finding, Now};
use super::super::rest::Rest;
use super::thread::{Ended, Resumes, Running};
use super::{Guess, Position, ThreadKey, Turns, Worked, cache};
use crate::ids::{FileId, Tgid};
use crate::record::Execution;

/// Calls, and turns in which connections were opened, that are remembered at once.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Calls that one turn had opened, at most; beyond that each is on its own.
const MAX_TOGETHER: usize = 256;

/// A call: the turn in which it was written, and on which connection.
type Call = (ThreadKey, u64, FileId);

/// First calls on connections that were opened for requests, made in turns of none, whose responses have come.
#[derive(Debug)]
pub(super) struct Opened {
    calls: LruCache<Call, Worked>,
    /// By the turn in which connections were opened: the id of each, and the turn in which its call was written.
    together: LruCache<(ThreadKey, u64), Vec<(u64, u64)>>,
}

impl Default for Opened {
    fn default() -> Self {
        Self {
            calls: LruCache::sparse(MAX_CALLS),
            together: LruCache::sparse(MAX_CALLS),
        }
    }
}

impl Opened {
    /// The ids of connections that were opened in the turn `opener` of a thread and written to in the same turn as that of `id`.
    pub(super) fn with(&self, thread: ThreadKey, opener: u64, id: u64) -> Vec<u64> {
        let calls = self.together.peek(&(thread, opener));
        let calls = calls.map_or(&[][..], Vec::as_slice);
        let Some((_, written)) = calls.iter().find(|(of, _)| *of == id) else {
            return Vec::new();
        };
        let same = calls.iter().filter(|(_, at)| at == written);
        same.map(|(id, _)| *id).collect()
    }

    fn called(&mut self, opener: (ThreadKey, u64), id: u64, written: u64) {
        let calls = self.together.get_or_insert_mut(opener, Vec::new);
        if calls.len() < MAX_TOGETHER {
            calls.push((id, written));
        }
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.calls, |((of, _), ..), _| *of == tgid);
        cache::remove(&mut self.together, |((of, _), _), _| *of == tgid);
    }
}

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
        let Some(worked) = owner else { return };
        if let Some(Guess::Opened(thread, id)) = worked.guess {
            self.opened.calls.push((at.thread, at.turn, file), worked);
            let opener = self.threads.peek(&thread).and_then(|t| t.gave_out(id));
            // A turn that worked for others as well may have opened it for one of these.
            if let Some(opener) = opener.filter(|turn| !turn.mixed) {
                self.opened.called((thread, opener.turn), id, at.turn);
            }
        }
    }

    /// For which request a call was written on `file`, as far as that is certain by now; for how long that holds, goes to `rest`.
    pub(in crate::attribution) fn caller(
        &self,
        tgid: Tgid,
        execution: Execution,
        file: FileId,
        now: Now,
        rest: &mut Rest,
    ) -> Finding {
        let at = Position::of(tgid, execution);
        if self.goes_on(at) {
            rest.nothing();
            return Finding::unknown(false);
        }
        if let Some(worked) = self.resolve(at) {
            // That it may have been passed on makes a guess of it, and changes nothing else.
            let worked = self.passed_on(file, at, worked);
            return self.finding_at(at, worked, now, rest);
        }
        // Guesses may turn out right, and be forgotten.
        rest.nothing();
        match self.opened.calls.peek(&(at.thread, at.turn, file)) {
            Some(worked) => self.finding(tgid, *worked, now, rest),
            // What reads the response tells, if nothing was read yet.
            None => Finding::unknown(self.connections.peek(&file) != Some(&Resumes::First(at))),
        }
    }
}
