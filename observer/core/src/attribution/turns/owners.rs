//! For which request turns work, and what is done in them.

use super::thread::{Ended, Names, Resumes, Running};
use super::{Guess, Position, ThreadKey, Turns, Worked};
use crate::ids::KernelNanos;

impl Turns {
    /// For which request a turn goes on, whether or not that is answered by now.
    pub(super) fn resumed(
        &self,
        thread: ThreadKey,
        running: &Running,
        turn: &Ended,
        reads: u32,
    ) -> Option<Worked> {
        if running.reads != reads {
            return None;
        }
        if reads == 0 {
            return self.unread(thread, turn);
        }
        // Timers and immediates, which ran although something had been read.
        if turn.root <= 1 {
            return None;
        }
        let passed = |at, worked| match running.file() {
            Some(file) => self.passed_on(file, at, worked),
            None => worked,
        };
        match running.resumes()? {
            Resumes::Request(request) => Some(Worked {
                request,
                by_id: false,
                guess: None,
            }),
            Resumes::Caller(at) => self
                .resolve(at)
                .map(|worked| passed(at, worked))
                .or_else(|| self.late(at)),
            Resumes::Nobody => None,
            Resumes::First(at) => self
                .resolve(at)
                .map(|worked| passed(at, worked))
                .or_else(|| self.late(at))
                .or_else(|| self.opener(thread, turn, at)),
        }
    }

    /// For which request a turn of `thread` goes on that took the message which was given at `giver`, whether or not that is answered by now.
    pub(super) fn handed(
        &mut self,
        thread: ThreadKey,
        turn: u64,
        giver: Position,
    ) -> Option<Worked> {
        let worked = self.resolve(giver).or_else(|| self.late(giver))?;
        let guess = Guess::Message(thread, turn);
        self.taken.push(guess, worked.guess);
        Some(Worked {
            guess: Some(guess),
            ..worked
        })
    }

    /// The same of a turn in which nothing was read.
    fn unread(&self, thread: ThreadKey, turn: &Ended) -> Option<Worked> {
        let turns = self.threads.peek(&thread)?;
        if let Some(last) = turns.continued(turn) {
            return last.owner;
        }
        // Whom a connection serves, only what is read from it tells.
        if turns.connections.contains(&turn.root) {
            return None;
        }
        self.creator(thread, turn.root, turn.begun)
    }

    /// The request of the turn that gave out an async id, if that was still open at `time`. A turn that also worked
    /// for others may have given it to one of these; that it was not, the answer has to show.
    pub(super) fn creator(&self, thread: ThreadKey, id: u64, time: KernelNanos) -> Option<Worked> {
        let turn = self.threads.peek(&thread)?.gave_out(id)?;
        let Worked { request, guess, .. } = turn.owner?;
        let open = self.requests.is_open(request, time);
        open.then_some(Worked {
            request,
            by_id: true,
            guess: if turn.mixed {
                Some(Guess::Id(thread, id))
            } else {
                guess
            },
        })
    }

    /// For which request something was done; `None` too while its turn goes on.
    pub(super) fn resolve(&self, at: Position) -> Option<Worked> {
        let thread = self.threads.peek(&at.thread)?;
        let turn = thread.turn(at.turn)?;
        let id = match turn.named(at.current, at.trigger) {
            Names::Turn | Names::Own => return turn.owner,
            Names::Unknown => return None,
            Names::Other(id) => id,
        };
        // The id of a connection stays, whomever it serves: it must have served the same one last.
        if let Some(last) = thread.connections.peek(&id) {
            return turn.owner.filter(|owner| Some(owner.request) == *last);
        }
        let other = self.creator(at.thread, id, turn.begun)?;
        match turn.owner {
            Some(owner) if owner.request == other.request => Some(owner),
            // A pool had kept it for the other one, and goes on with it in a tick of its own.
            Some(_) if turn.has_begun(at.current) => Some(other),
            Some(_) => None,
            None => Some(other),
        }
    }

    /// The request for which something would have been done, had that not been answered before its turn.
    pub(super) fn late(&self, at: Position) -> Option<Worked> {
        let turn = self.threads.peek(&at.thread)?.turn(at.turn)?;
        match turn.named(at.current, at.trigger) {
            Names::Turn | Names::Own => turn.late,
            Names::Other(_) | Names::Unknown => None,
        }
    }

    /// What rests on a guess turned out right, and so does what that guess rests on.
    pub(super) fn confirm(&mut self, guess: Option<Guess>) {
        let mut next = guess;
        while let Some(guess) = next
            && self.confirmed.put(guess, ()).is_none()
        {
            next = match guess {
                Guess::Id(thread, id) => self.guess_behind(thread, id),
                Guess::Opened(thread, id) => {
                    self.confirm_together(thread, id);
                    self.guess_behind(thread, id)
                }
                Guess::Passed(thread, turn, file) => self.before_passed((thread, turn, file)),
                Guess::Message(..) => self.taken.peek(&guess).copied().flatten(),
            };
        }
    }

    /// The guess on which it rests for whom an id was given out.
    fn guess_behind(&self, thread: ThreadKey, id: u64) -> Option<Guess> {
        let turn = self.threads.peek(&thread)?.gave_out(id)?;
        turn.owner?.guess
    }

    /// A connection was opened for whoever was guessed, and so were those that were opened and written to with it.
    fn confirm_together(&mut self, thread: ThreadKey, id: u64) {
        let turns = self.threads.peek(&thread);
        let Some(opener) = turns.and_then(|turns| turns.gave_out(id)) else {
            return;
        };
        for other in self.opened.with(thread, opener.turn, id) {
            self.confirmed.put(Guess::Opened(thread, other), ());
        }
    }

    /// Whether nothing is guessed, or the guess turned out right.
    pub(super) fn is_confirmed(&self, guess: Option<Guess>) -> bool {
        guess.is_none_or(|guess| self.confirmed.contains(&guess))
    }
}
