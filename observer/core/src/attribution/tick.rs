//! What is decided at a tick, and in which order.

use super::process::Process;
use super::subject::{Subject, Work};
use super::waiting::Entry;
use super::{Attributor, Decision, MAX_WAITING};
use crate::ids::{KernelNanos, Seq, Tgid};

impl Attributor {
    /// Decides every subject that is due at `now`, in the order in which they happened.
    pub fn decide(&mut self, now: KernelNanos, stopping: bool) -> Vec<(Box<Subject>, Decision)> {
        self.look_at_wakes(now, stopping);
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        let due = self.who_is_due(now, |i| stopping || i < excess);
        let subjects = self.waiting.take(due);
        let mut decided = Vec::with_capacity(subjects.len());
        let mut by_ids = Vec::new();
        for mut subject in subjects {
            let decision = self.decision(&subject, now);
            if decision.rests_on_ids()
                && (stopping || !subject.by_ids)
                && excess == 0
                && self.waits_for_more_than_ids(&subject, now)
            {
                // It teaches what is likely right away.
                if !std::mem::replace(&mut subject.by_ids, true) {
                    self.infer(&subject, &decision, now);
                }
                by_ids.push(subject);
            } else {
                decided.extend(self.decided(subject, decision, now));
            }
        }
        if stopping {
            for subject in by_ids {
                let decision = self.decision(&subject, now);
                decided.extend(self.decided(subject, decision, now));
            }
            decided.sort_unstable_by_key(|(subject, _)| subject.seq);
        } else {
            self.waiting.put_back(by_ids);
        }
        self.forget(now);
        decided
    }

    /// Which of those that wait are due; `anyhow` says so of those at some places.
    fn who_is_due(&self, now: KernelNanos, anyhow: impl Fn(usize) -> bool) -> Vec<bool> {
        // Those of one process follow each other, mostly.
        let mut last: Option<(Tgid, Option<Seq>)> = None;
        let mut oldest_open = |tgid: Tgid| match last {
            Some((of, open)) if of == tgid => open,
            _ => {
                let open = self.processes.get(&tgid).and_then(Process::oldest_open);
                last = Some((tgid, open));
                open
            }
        };
        let mut is_due = |entry: &Entry| {
            let rest = entry.rest.get();
            let changes = match rest.of_turns {
                true => self.turns.changes(),
                false => self.executions.changes(),
            };
            if rest.holds(now, changes, || oldest_open(entry.tgid)) {
                debug_assert!(
                    self.due(&entry.subject, now).is_err(),
                    "{rest:?} of {:?}",
                    entry.subject
                );
                return false;
            }
            match self.due(&entry.subject, now) {
                Ok(()) => true,
                Err(rest) => {
                    entry.rest.set(rest);
                    false
                }
            }
        };
        let waiting = self.waiting.iter().enumerate();
        waiting
            .map(|(i, entry)| anyhow(i) || is_due(entry))
            .collect()
    }

    /// Takes note of a decision; nothing is told of a message.
    fn decided(
        &mut self,
        subject: Box<Subject>,
        mut decision: Decision,
        now: KernelNanos,
    ) -> Option<(Box<Subject>, Decision)> {
        let inferred = match subject.by_ids {
            true => None,
            false => self.infer(&subject, &decision, now),
        };
        if let Some(process) = self.processes.get_mut(&subject.tgid) {
            process.trust.note(&decision.compared);
            process.called(subject.seq, decision.owner.map(|owner| owner.request));
        }
        self.note_ids(&subject, &decision);
        self.note_handed(&subject, &decision);
        if self.explain == Some(subject.seq) {
            let story = self.story(&subject, now, &decision, inferred.as_ref());
            self.story = Some((subject.doer, story));
        }
        decision.inferred = inferred.and_then(Result::ok);
        if matches!(subject.work, Work::Message(_)) {
            self.pipes.resolve(subject.seq, subject.tid, &decision);
            return None;
        }
        Some((subject, decision))
    }
}
