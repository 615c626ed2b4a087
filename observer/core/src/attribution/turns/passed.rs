//! Connections that may have been passed on to a call which had waited for one.
//!
//! A client that may have few connections keeps calls back until one is free, or may be opened again, and then writes them in a turn of the request whose
//! response it has just read. No id tells that; but no call waits while there is an idle connection, so what was passed on, in a turn that read a response of
//! a request or by an id that such a turn gave out (undici waits for an immediate), is
//!
//! - a connection on which the call before it was of the same request, or
//! - a new one that was opened, or first written to, then.
//!
//! Both are usual for a request's own next call as well. So whose such a call is, is a *guess*: it is told only if the answer of the request follows from it.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::thread::Names;
use super::{Guess, Position, ThreadKey, Turns, Worked, cache};
use crate::ids::{FileId, Tgid};

/// Calls that are remembered at once.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Calls one after the other that rest on each other, as far as they are followed.
const MAX_CHAIN: usize = 1_024;

/// A call: the turn in which it was written, and on which connection.
type Call = (ThreadKey, u64, FileId);

/// Calls, and where they were written.
#[derive(Debug)]
pub(super) struct Passed(LruCache<Call, Written>);

/// Where a call was written, and where the one before it on the same connection.
#[derive(Clone, Copy, Debug)]
struct Written {
    at: Position,
    before: Option<Position>,
}

impl Default for Passed {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_CALLS))
    }
}

impl Passed {
    pub(super) fn called(&mut self, file: FileId, at: Position, before: Option<Position>) {
        self.0
            .push((at.thread, at.turn, file), Written { at, before });
    }

    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.0, |((of, _), ..), _| *of == tgid);
    }
}

impl Turns {
    /// What is known of a call that was written on `file` at a place that works for `worked`.
    pub(super) fn passed_on(&self, file: FileId, at: Position, worked: Worked) -> Worked {
        let Some(call) = self.passed.0.peek(&(at.thread, at.turn, file)) else {
            return worked;
        };
        let another = |before| self.resolve(before).map(|of| of.request) != Some(worked.request);
        if call.before.is_some_and(another) || !self.was_freed(at, call.before.is_none()) {
            return worked;
        }
        Worked {
            guess: Some(Guess::Passed(at.thread, at.turn, file)),
            ..worked
        }
    }

    /// Whether what is done at a place is done in a turn that read a response, or by an id that one gave out: of a `new` connection that may be its own.
    fn was_freed(&self, at: Position, new: bool) -> bool {
        let thread = self.threads.peek(&at.thread);
        let Some((thread, turn)) = thread.and_then(|t| Some((t, t.turn(at.turn)?))) else {
            return false;
        };
        let id = match turn.named(at.current, at.trigger) {
            Names::Other(id) => id,
            _ if turn.frees || turn.serves || !new => return turn.frees,
            _ => turn.root,
        };
        thread.gave_out(id).is_some_and(|turn| turn.frees)
    }

    /// Whether the service is shown to have a queue of its own, if another request's answer follows from what rests on this guess: a message, or a connection,
    /// that ends there, or what is no guess.
    pub(super) fn shows_a_queue(&self, mut guess: Option<Guess>) -> bool {
        for _ in 0..MAX_CHAIN {
            match guess {
                Some(Guess::Message(..) | Guess::Opened(..)) => return true,
                _ if self.is_confirmed(guess) => return true,
                Some(Guess::Passed(thread, turn, file)) => {
                    guess = self.before_passed((thread, turn, file));
                }
                _ => return false,
            }
        }
        true
    }

    /// The guess on which it rests for whom a call was written, had nothing been passed on.
    pub(super) fn before_passed(&self, call: Call) -> Option<Guess> {
        let written = self.passed.0.peek(&call)?;
        self.resolve(written.at)?.guess
    }
}
