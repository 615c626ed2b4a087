//! What turns say, as far as it is certain, and what a finding that is not settled rests on: as long as nothing of that changes, it stays the same.
//!
//! A turn that has ended, and those before it, stay as they were until they are forgotten.

use super::super::executions::{Finding, Now, OVERLAPS, Owner};
use super::super::rest::{Changes, Rest};
use super::requests::Standing;
use super::thread::Thread;
use super::{OUTLIVES, Position, ThreadKey, Turns, Worked};
use crate::ids::{Seq, Tgid};
use crate::record::Execution;

/// A thread counts as changed after so many turns, since it forgets those that are too long ago.
pub(super) const ERA: usize = 1_024;

/// Stands for the turns that are remembered of a thread.
pub(super) fn thread((tgid, thread): ThreadKey) -> u64 {
    thread.rotate_left(24) ^ u64::from(tgid.0)
}

/// Stands for the request that the connection with this id served last.
pub(super) fn connection(of: ThreadKey, id: u64) -> u64 {
    thread(of) ^ id.rotate_left(32)
}

/// Stands for what is known of a request.
pub(super) fn request(request: Seq) -> u64 {
    request.0
}

/// Stands for what the turns of a process are worth.
pub(super) fn process(tgid: Tgid) -> u64 {
    !u64::from(tgid.0)
}

impl Turns {
    /// How often has changed what findings rest on.
    pub(in crate::attribution) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// A thread, which is remembered from now on.
    pub(super) fn thread(&mut self, key: ThreadKey) -> &mut Thread {
        if self.threads.len() == self.threads.cap().get() && !self.threads.contains(&key) {
            // Another one is forgotten.
            self.changes.all_changed();
        }
        self.threads.get_or_insert_mut(key, Thread::default)
    }

    /// For which request something was done, as far as that is certain by now; for how long that holds, if it is not settled, goes
    /// to `rest`.
    pub(in crate::attribution) fn owner(
        &self,
        tgid: Tgid,
        execution: Execution,
        now: Now,
        rest: &mut Rest,
    ) -> Finding {
        let at = Position::of(tgid, execution);
        if self.goes_on(at) {
            rest.nothing();
            return Finding::unknown(false);
        }
        match self.resolve(at) {
            Some(worked) => self.finding_at(at, worked, now, rest),
            None => Finding::unknown(true),
        }
    }

    /// Whether the turn of a place has not ended yet.
    pub(super) fn goes_on(&self, at: Position) -> bool {
        let thread = self.threads.peek(&at.thread);
        thread.is_some_and(|thread| thread.running.turn <= at.turn)
    }

    /// What it is worth that something was done at a place, which works for `worked`.
    pub(super) fn finding_at(
        &self,
        at: Position,
        worked: Worked,
        now: Now,
        rest: &mut Rest,
    ) -> Finding {
        let found = self.finding(at.thread.0, worked, now, rest);
        if !found.settled {
            self.rests_on(at, worked, rest);
        }
        found
    }

    /// What it is worth that something was done for a request; how long it stays so, if it is not settled and its standing
    /// does not change, goes to `rest`.
    pub(super) fn finding(&self, tgid: Tgid, worked: Worked, now: Now, rest: &mut Rest) -> Finding {
        let settled = |owner| Finding {
            owner,
            settled: true,
        };
        let Worked {
            request,
            by_id,
            guess,
        } = worked;
        let wait = if by_id { OUTLIVES } else { 0 };
        match self.requests.standing(tgid, request, wait) {
            Standing::Forgotten | Standing::Unproven => settled(Owner::Unknown),
            Standing::Unwatched => settled(Owner::Unwatched),
            // The end of the turn may be lost.
            Standing::Answering(since) if now.time.since(since) > OVERLAPS => {
                settled(Owner::Unknown)
            }
            Standing::Open => Finding {
                owner: Owner::Answered(request),
                settled: false,
            },
            Standing::Answering(since) => {
                rest.no_longer_than(since, OVERLAPS);
                Finding {
                    owner: Owner::Answered(request),
                    settled: false,
                }
            }
            Standing::Shared => settled(Owner::Shared),
            Standing::Proven { .. } if !self.is_confirmed(guess) => settled(Owner::Unknown),
            Standing::Doubtful { since, young } => {
                if let Some(since) = since {
                    rest.no_longer_than(since, OVERLAPS);
                }
                Finding {
                    owner: Owner::Shared,
                    settled: !young || since.is_some_and(|since| now.time.since(since) > OVERLAPS),
                }
            }
            Standing::Proven {
                until,
                watermark,
                usual,
            } => {
                if guess.is_some() {
                    // It may be forgotten that the guess turned out right. Before the answer, guesses decide nothing.
                    rest.nothing();
                }
                let late = now.time.since(until) >= wait;
                rest.no_longer_than(until, OVERLAPS);
                if usual && late {
                    rest.while_open(watermark);
                } else if usual {
                    rest.only_before(until.plus(wait));
                }
                Finding {
                    owner: Owner::Answered(request),
                    settled: now.time.since(until) > OVERLAPS
                        || (usual && late && now.all_before_ended(watermark)),
                }
            }
        }
    }

    /// Has `rest` hold as long as nothing changes on which it rests that `worked` was resolved for `at`, and what that is worth.
    fn rests_on(&self, at: Position, worked: Worked, rest: &mut Rest) {
        rest.of_turns = true;
        let kept = self.threads.peek(&at.thread).and_then(|thread| {
            let turn = thread.turn(at.turn)?;
            let id = turn.named(at.current, at.trigger).other();
            let by_id = match id {
                Some(id) if !thread.connections.contains(&id) => thread.gave_out(id),
                _ => None,
            };
            let kept = thread.is_kept(turn) && by_id.is_none_or(|turn| thread.is_kept(turn));
            kept.then_some(id)
        });
        let Some(id) = kept else {
            return rest.nothing();
        };
        rest.on(&self.changes, thread(at.thread));
        if let Some(id) = id {
            rest.on(&self.changes, connection(at.thread, id));
        }
        rest.on(&self.changes, request(worked.request));
        rest.on(&self.changes, process(at.thread.0));
    }
}
