//! What is decided at a tick, and in which order.

use super::subject::{Subject, Work};
use super::{Attributor, Decision, MAX_WAITING};
use crate::ids::KernelNanos;

impl Attributor {
    /// Decides every subject that is due at `now`, in the order in which they happened.
    pub fn decide(&mut self, now: KernelNanos, stopping: bool) -> Vec<(Box<Subject>, Decision)> {
        self.look_at_wakes(now, stopping);
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        let due: Vec<bool> = self
            .waiting
            .iter()
            .enumerate()
            .map(|(i, s)| stopping || i < excess || self.is_due(s, now))
            .collect();
        let mut due = due.into_iter();
        let subjects: Vec<Box<Subject>> = self
            .waiting
            .extract_if(.., |_| due.next().unwrap_or(false))
            .collect();
        // A burst's memory is given back step by step.
        if self.waiting.len() < self.waiting.capacity() / 8 {
            self.waiting.shrink_to(self.waiting.capacity() / 2);
        }
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
        } else if !by_ids.is_empty() {
            self.waiting.extend(by_ids);
            self.waiting.sort_unstable_by_key(|subject| subject.seq);
        }
        self.forget(now);
        decided
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
