//! Tier 4, channels: work that an execution hands to another one, which lives on what it is handed.
//!
//! The runtime tells exactly who took whose value (`observer_abi::Passed`). That alone does not make it work for the giver:
//! connections of a pool, tokens of a semaphore and results are handed on in the same way. So
//!
//! * what is received near the beginning of a stack decides, the outermost first: what is received further down, in the middle of some work, is part of
//!   that, and what is received there next replaces it, whoever gave it;
//! * the giver has to be the one that wrote the response of its request: what pools of connections and
//!   dispatchers hand on may come from anybody;
//! * an execution that takes what it gives away again through the same queue takes turns with something, and does no work for the givers;
//! * of several values that were taken before anything was done, none is believed unless all givers say the same: they may
//!   be done together;
//! * as for items (`items`), what goes on after the request's end tells that it may not have been for it.
//!
//! A request's own executions are not in question: what they wrote or began decides for them.

use super::Attributor;
use super::births::GRACE;
use super::decide::Decision;
use super::evidence::Link;
use super::executions::Owner as Owned;
use super::process::Process;
use super::rest::Rest;
use super::subject::{Doer, Subject, Work};
use super::traffic::{Gift, GiftId, Piece, Value};
use crate::feedback::Feedback;
use crate::ids::{KernelNanos, Tgid};
use crate::judged::{Evidence, Reason};
use crate::record::{Execution, Passed, PassedHow, Record};

impl Attributor {
    /// An execution handed a value to another one.
    pub fn passed(&mut self, record: &Record<'_>, told: &Passed) {
        let (tgid, time) = (record.tgid, record.time);
        let key = (tgid, told.place);
        self.channels.told.push(tgid, time);
        let piece = Piece {
            word: told.value,
            place: told.place,
            queued: told.queued,
        };
        let giver = told
            .giver
            .map(|execution| self.passing(tgid, execution, time));
        if let Some(giver) = giver {
            self.channels.gave(tgid, giver.life, piece);
        }
        let taken = match told.how {
            PassedHow::Direct => Some(Value { giver, piece }),
            PassedHow::Got => self.channels.queued.pop(&key),
            PassedHow::Put => {
                self.channels.queued.push(key, Value { giver, piece });
                return;
            }
        };
        let Some(taker) = told.taker else {
            return;
        };
        let life = self.passing(tgid, taker, time).life;
        let mut value = taken.unwrap_or(Value { giver: None, piece });
        // Timers send to channels of the goroutine that just waits for one.
        value.giver = value.giver.filter(|giver| giver.life != life);
        self.channels.took(tgid, life, value, told.depth, time);
    }

    /// Nothing more is told of the channels of a process, since the last that was: executions may have taken something else.
    pub(super) fn channels_unwatched(&mut self, tgid: Tgid) {
        self.channels.forget(tgid);
        let Some(since) = self.channels.told.pop(&tgid) else {
            return;
        };
        for subject in self.waiting.of_mut(tgid) {
            if subject.doer.is_none_or(|doer| doer.time >= since) {
                subject.handed.clear();
            }
        }
    }

    /// Something is decided: perhaps by a channel, so that it is worth watching them.
    pub(super) fn note_handed(&mut self, subject: &Subject, decision: &Decision) {
        let received = |evidence: &Evidence| matches!(evidence, Evidence::Received { .. });
        if decision.attribution.evidence.iter().any(received)
            && self.channels.useful.put(subject.tgid, ()).is_none()
        {
            self.feedback.push(Feedback::Channels(subject.tgid));
        }
    }

    /// An execution that gives or takes: what goes on after its request is told by what it does itself.
    fn passing(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> Doer {
        Doer {
            life: self.executions.life(tgid, execution, time),
            execution,
            time,
            took: false,
        }
    }

    /// The request for which an execution was handed what it lived on, or why there is none.
    pub(super) fn handed_over(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        // Of most nothing was handed, and they are asked at every tick until they are due.
        let (outermost, inner) = subject.handed.split_first().ok_or(None)?;
        let doer = subject.doer.as_ref().ok_or(None)?;
        let makes_it = !matches!(subject.work, Work::Call(_)) || doer.calls();
        if !makes_it || self.channels.takes_turns(doer.life) {
            return Err(None);
        }
        let owned = self.owner_of(subject.tgid, doer, now).owner;
        if matches!(owned, Owned::Answered(_) | Owned::Shared | Owned::Unwatched) {
            return Err(None);
        }
        let gift = |id: &GiftId| self.channels.gifts.peek(id).ok_or(None);
        let link = self.by_gift(process, subject, gift(outermost)?, now)?;
        let others = inner.iter().map(gift);
        for other in others {
            let other = self.by_gift(process, subject, other?, now);
            if other.is_ok_and(|other| other.request != link.request) {
                return Err(Some(Reason::SharedExecution));
            }
        }
        self.check(process, subject, link.request, GRACE)?;
        Ok(link)
    }

    /// The request for which a value was given.
    fn by_gift(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let link = self.by_giver(process, subject, gift, now)?;
        self.alone_with(process, subject, gift, &link, now)?;
        let served = process.served(link.request).ok_or(None)?;
        let until = served.until.ok_or(Some(Reason::StillOpen))?;
        if gift.last > until {
            return Err(Some(Reason::OutlivedRequest));
        }
        if !gift.over && now.since(until) <= GRACE {
            return Err(Some(Reason::StillOpen));
        }
        let (doer, giver) = subject.doer.zip(gift.giver).ok_or(None)?;
        Ok(link.handed_on(Evidence::Received {
            kind: doer.execution.kind,
            id: doer.execution.id,
            by: giver.execution.id,
        }))
    }

    /// The request that whoever gave a value answered.
    fn by_giver(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let giver = gift.giver.as_ref().ok_or(None)?;
        let owned = self.owner_of(subject.tgid, giver, now);
        if !matches!(owned.owner, Owned::Answered(_)) {
            return Err(None);
        }
        self.executing(process, subject, giver, owned)
    }

    /// Whether what was taken before it, and may be done together with it, was given for the same request, or for none.
    fn alone_with(
        &self,
        process: &Process,
        subject: &Subject,
        gift: &Gift,
        link: &Link,
        now: KernelNanos,
    ) -> Result<(), Option<Reason>> {
        let crowded = || Some(Reason::SharedExecution);
        for id in gift.before.as_ref().ok_or_else(crowded)? {
            let other = self.channels.gifts.peek(id).ok_or_else(crowded)?;
            if other.giver.is_none() {
                continue;
            }
            let other = match self.by_giver(process, subject, other, now) {
                Err(Some(Reason::StillOpen)) => return Err(Some(Reason::StillOpen)),
                other => other.map_err(|_| crowded())?.request,
            };
            let until = process.served(other).and_then(|served| served.until);
            if other != link.request && until.is_none_or(|until| until >= subject.time) {
                return Err(crowded());
            }
        }
        Ok(())
    }

    /// Whether nothing is to come that says more about what an execution was handed.
    /// If something is, for how long that is certain.
    pub(super) fn handed_is_due(&self, subject: &Subject, now: KernelNanos) -> Result<(), Rest> {
        if !subject.is_handed() {
            return Ok(());
        }
        let Some(process) = self.processes.get(&subject.tgid) else {
            return Ok(());
        };
        for id in &subject.handed {
            let gift = self.channels.gifts.peek(id);
            if let Some(giver) = gift.and_then(|gift| gift.giver.as_ref()) {
                self.owner_is_due(subject, giver, now)
                    .map_err(|_| Rest::none())?;
            }
        }
        match self.handed_over(process, subject, now) {
            Err(Some(Reason::StillOpen)) => Err(Rest::none()),
            _ => Ok(()),
        }
    }
}
