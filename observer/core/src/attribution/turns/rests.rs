//! What a finding that is not settled rests on, beside time: as long as nothing of it changes, it stays the same.
//!
//! A turn that has ended, and those before it, stay as they were until they are forgotten.

use super::super::rest::{Changes, Rest};
use super::thread::Thread;
use super::{Position, ThreadKey, Turns, Worked};
use crate::ids::{Seq, Tgid};

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

    /// Has `rest` hold as long as nothing changes on which it rests that `worked` was resolved for `at`, and what that is worth.
    pub(super) fn rests_on(&self, at: Position, worked: Worked, rest: &mut Rest) {
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
        // Guesses may turn out right, and be forgotten.
        let (Some(id), None) = (kept, worked.guess) else {
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
