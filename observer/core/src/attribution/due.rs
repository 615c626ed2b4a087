//! When nothing is to come any more that says for what a subject was done.

use super::executions::{self, Finding, Owner as Owned};
use super::process::Process;
use super::subject::{self, Doer, Hold, Subject, Work};
use super::{Attributor, PATIENCE, PROOF_PATIENCE, clients};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::record::ExecutionKind;

impl Attributor {
    pub(super) fn is_due(&self, subject: &Subject, now: KernelNanos) -> bool {
        if now.since(subject.time) > PATIENCE {
            return true;
        }
        if !subject.is_over() {
            return false;
        }
        if subject.by_ids {
            return self.is_waited_for(subject, now);
        }
        if !self.sign_is_due(subject, now) || !self.is_handed_settled(subject, now) {
            return false;
        }
        if !self.doer_is_due(subject, now) || !self.pool_is_due(subject, now) {
            return false;
        }
        let taken = |t: &clients::Taken| {
            self.is_settled(subject, &t.hold, now)
                && (now.since(subject.time) > PROOF_PATIENCE
                    || self.clients.is_known(t, subject.tid))
        };
        self.is_settled(subject, &subject.hold, now) && subject.taken.as_deref().is_none_or(taken)
    }

    /// Whether nothing is to come that says more about what a thread was doing.
    pub(super) fn is_settled(&self, subject: &Subject, hold: &Hold, now: KernelNanos) -> bool {
        match hold {
            Hold::Serving(request) => self.is_served(subject.tgid, *request, now),
            Hold::After(_) => now.since(subject.time) > subject::STAY_PATIENCE,
            Hold::Messages(messages) => !messages.iter().any(|m| self.waiting_at(*m).is_some()),
            Hold::Item(item) => self.is_item_settled(subject, *item, now),
            Hold::Record(record) => self.is_record_settled(subject, *record, now),
            Hold::Born(birth) => self.is_grown(subject.tgid, *birth, now),
            Hold::Running(doer) => self.is_owned(subject, doer, now),
            Hold::Stayed(_) | Hold::Nothing(_) => true,
        }
    }

    /// Whether nothing is to come that says more about a request's thread.
    pub(super) fn is_served(&self, tgid: Tgid, request: Seq, now: KernelNanos) -> bool {
        let Some(process) = self.processes.get(&tgid) else {
            return true;
        };
        process.served(request).is_none_or(|served| {
            let since = served.until.map_or(0, |until| now.since(until));
            served.claim.is_settled()
                && (!process.is_conduct_open(served) || since > PROOF_PATIENCE)
        })
    }

    fn doer_is_due(&self, subject: &Subject, now: KernelNanos) -> bool {
        let doer = subject.doer.as_ref();
        doer.is_none_or(|doer| self.is_owned(subject, doer, now))
    }

    /// Whether nothing is to come that says more about what an execution was doing.
    pub(super) fn is_owned(&self, subject: &Subject, doer: &Doer, now: KernelNanos) -> bool {
        let found = self.doing_of(subject, doer, now);
        if found.settled || found.owner != Owned::Unknown {
            return found.settled;
        }
        let held = doer.execution.kind == ExecutionKind::NodeAsync
            && self.turns.is_held(subject.tgid, doer.execution);
        !held && self.now(subject.tgid, now).all_before_ended(subject.seq)
    }

    /// For which request the execution that did a subject did it.
    pub(super) fn owned(&self, subject: &Subject, now: KernelNanos) -> Option<Finding> {
        let doer = subject.doer.as_ref()?;
        Some(self.doing_of(subject, doer, now))
    }

    /// For which request an execution did a subject.
    fn doing_of(&self, subject: &Subject, doer: &Doer, now: KernelNanos) -> Finding {
        match &subject.work {
            Work::Call(call) if doer.execution.kind == ExecutionKind::NodeAsync => {
                let now = self.now(subject.tgid, now);
                self.turns
                    .caller(subject.tgid, doer.execution, call.begun.file, now)
            }
            _ => self.owner_of(subject.tgid, doer, now),
        }
    }

    /// For which request an execution did what it did.
    pub(super) fn owner_of(&self, tgid: Tgid, doer: &Doer, now: KernelNanos) -> Finding {
        let now = self.now(tgid, now);
        if doer.execution.kind == ExecutionKind::NodeAsync {
            return self.turns.owner(tgid, doer.execution, now);
        }
        self.executions.owner(doer.life, doer.time, now)
    }

    fn now(&self, tgid: Tgid, time: KernelNanos) -> executions::Now {
        executions::Now {
            time,
            oldest_open: self.processes.get(&tgid).and_then(Process::oldest_open),
        }
    }
}
