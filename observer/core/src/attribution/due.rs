//! When nothing is to come any more that says for what a subject was done.

use super::executions::{self, Finding, Owner as Owned};
use super::process::Process;
use super::rest::Rest;
use super::subject::{self, Doer, Hold, Subject, Work};
use super::{Attributor, PATIENCE, PROOF_PATIENCE, clients};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::record::ExecutionKind;

impl Attributor {
    /// Whether a subject can be decided; if not, for how long that is certain.
    pub(super) fn due(&self, subject: &Subject, now: KernelNanos) -> Result<(), Rest> {
        if now.since(subject.time) > PATIENCE {
            return Ok(());
        }
        let mut rest = match subject.is_over() {
            true => self.due_once_over(subject, now),
            // Its end changes the subject.
            false => Err(Rest::unlimited()),
        };
        if let Err(rest) = &mut rest {
            rest.no_longer_than(subject.time, PATIENCE);
        }
        rest
    }

    fn due_once_over(&self, subject: &Subject, now: KernelNanos) -> Result<(), Rest> {
        if subject.by_ids {
            return due_if(self.is_waited_for(subject, now));
        }
        // Each of these has to be so: what is asked first tells for how long it is not.
        if let Some(doer) = &subject.doer {
            self.owner_is_due(subject, doer, now)?;
        }
        self.handed_is_due(subject, now)?;
        due_if(self.is_due_otherwise(subject, now))
    }

    fn is_due_otherwise(&self, subject: &Subject, now: KernelNanos) -> bool {
        if !self.sign_is_due(subject, now) || !self.pool_is_due(subject, now) {
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

    /// Whether nothing is to come that says more about what an execution was doing.
    pub(super) fn is_owned(&self, subject: &Subject, doer: &Doer, now: KernelNanos) -> bool {
        self.owner_is_due(subject, doer, now).is_ok()
    }

    /// The same; if not, for how long that is certain.
    pub(super) fn owner_is_due(
        &self,
        subject: &Subject,
        doer: &Doer,
        now: KernelNanos,
    ) -> Result<(), Rest> {
        let mut rest = Rest::unlimited();
        let found = self.doing_of(subject, doer, now, &mut rest);
        if found.settled {
            return Ok(());
        }
        if found.owner != Owned::Unknown {
            return Err(rest);
        }
        let held = doer.execution.kind == ExecutionKind::NodeAsync
            && self.turns.is_held(subject.tgid, doer.execution);
        if held {
            return Err(Rest::none());
        }
        if self.now(subject.tgid, now).all_before_ended(subject.seq) {
            return Ok(());
        }
        rest.while_open(subject.seq);
        Err(rest)
    }

    /// For which request the execution that did a subject did it.
    pub(super) fn owned(&self, subject: &Subject, now: KernelNanos) -> Option<Finding> {
        let doer = subject.doer.as_ref()?;
        Some(self.doing_of(subject, doer, now, &mut Rest::none()))
    }

    /// For which request an execution did a subject; for how long, goes to `rest`.
    fn doing_of(
        &self,
        subject: &Subject,
        doer: &Doer,
        now: KernelNanos,
        rest: &mut Rest,
    ) -> Finding {
        let now = self.now(subject.tgid, now);
        match &subject.work {
            _ if doer.execution.kind != ExecutionKind::NodeAsync => {
                self.executions.follow(doer.life, doer.time, now, rest)
            }
            Work::Call(call) => {
                let file = call.begun.file;
                self.turns
                    .caller(subject.tgid, doer.execution, file, now, rest)
            }
            _ => self.turns.owner(subject.tgid, doer.execution, now, rest),
        }
    }

    /// For which request an execution did what it did.
    pub(super) fn owner_of(&self, tgid: Tgid, doer: &Doer, now: KernelNanos) -> Finding {
        let (now, rest) = (self.now(tgid, now), &mut Rest::none());
        match doer.execution.kind {
            ExecutionKind::NodeAsync => self.turns.owner(tgid, doer.execution, now, rest),
            _ => self.executions.follow(doer.life, doer.time, now, rest),
        }
    }

    fn now(&self, tgid: Tgid, time: KernelNanos) -> executions::Now {
        executions::Now {
            time,
            oldest_open: self.processes.get(&tgid).and_then(Process::oldest_open),
        }
    }
}

fn due_if(due: bool) -> Result<(), Rest> {
    if due { Ok(()) } else { Err(Rest::none()) }
}
