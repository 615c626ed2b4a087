//! What hand-offs between threads prove, once the requests that they rest on have ended.

use super::births::{Answered, BirthId, GRACE, Origin};
use super::evidence::{Link, either};
use super::mounted::Root;
use super::process::Process;
use super::subject::{Hold, Subject};
use super::{Attributor, Served};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::judged::{Evidence, Reason, Tier};
use crate::record::{Execution, TakeHow};

/// Hand-offs that are followed: threads that start threads, and give work to executors.
const MAX_GENERATIONS: usize = 8;

impl Attributor {
    /// Evidence of threads that worked for others, or why there is none.
    pub(super) fn handed(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let born = match &subject.hold {
            hold @ (Hold::Born(_) | Hold::Item(_)) => self.worked_for(process, subject, hold, now),
            Hold::Record(record) => self.by_record(process, subject, *record, now),
            _ => Err(None),
        };
        let link = either(self.by_taker(process, subject, now), born)?;
        self.check(process, subject, link.request, GRACE)?;
        Ok(link)
    }

    /// The request that a thread worked for, itself, by its birth, or by the work that it took; or the execution on it.
    pub(super) fn worked_for(
        &self,
        process: &Process,
        subject: &Subject,
        hold: &Hold,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        match hold {
            Hold::Born(birth) => either(
                self.by_birth(process, subject, *birth, now),
                self.by_target(process, subject, *birth, now),
            ),
            Hold::Item(item) => self.by_item(process, subject, *item, now),
            Hold::Running(doer) => {
                let owned = self.owner_of(subject.tgid, doer, now);
                self.executing(process, subject, doer, owned)
            }
            hold => self.held(process, hold),
        }
    }

    /// The request of whoever else took the call's connection.
    fn by_taker(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let taken = subject.taken.as_deref().ok_or(None)?;
        let connected = taken.how == TakeHow::Connect;
        let (link, evidence) = match &taken.hold {
            Hold::Running(doer) => {
                let owned = self.owner_of(subject.tgid, doer, now);
                let Execution { kind, id, .. } = doer.execution;
                let evidence = Evidence::TakenByExecution {
                    kind,
                    id,
                    connected,
                };
                (self.executing(process, subject, doer, owned)?, evidence)
            }
            hold => {
                let taker = taken.tid;
                let evidence = Evidence::Taken { taker, connected };
                (self.worked_for(process, subject, hold, now)?, evidence)
            }
        };
        if !self.clients.believes(taken, subject.tid) {
            return Err(None);
        }
        Ok(link.handed_on(evidence))
    }

    /// The request for which the thread with this birth was started.
    fn by_birth(
        &self,
        process: &Process,
        subject: &Subject,
        id: BirthId,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let birth = self.births.get(id).ok_or(None)?;
        let ended = |request: Seq| -> Result<(&Served, KernelNanos), Option<Reason>> {
            let served = process.served(request).ok_or(None)?;
            Ok((served, served.until.ok_or(Some(Reason::StillOpen))?))
        };
        match birth.origin().filter(|_| self.births.is_one(birth)) {
            Some(Origin::Answered(request)) => {
                let (served, until) = ended(request)?;
                if birth.born < served.since {
                    return Err(None);
                }
                if !birth.ended_with(until) {
                    return Err(Some(Reason::OutlivedRequest));
                }
                Ok(Link {
                    request,
                    tier: Tier::Execution,
                    confidence: 0.99,
                    evidence: Evidence::AnsweringThread(birth.tid),
                })
            }
            Some(Origin::Parent { .. }) if !self.births.is_certain(birth) => {
                Err(Some(Reason::OutlivedRequest))
            }
            Some(Origin::Parent { tid, hold }) => {
                let link = self.worked_for(process, subject, &hold, now)?;
                let (_, until) = ended(link.request)?;
                if !birth.ended_with(until) || !birth.was_quiet_after(until) {
                    return Err(Some(Reason::OutlivedRequest));
                }
                Ok(link.handed_on(Evidence::Spawned { parent: tid }))
            }
            None => {
                let root = self.root(subject.tgid, id, now);
                Err(root.request().map(|_| Reason::OutlivedRequest))
            }
        }
    }

    /// Whether it is certain for what a thread was started, or that this won't be known.
    pub(super) fn is_grown(&self, tgid: Tgid, id: BirthId, now: KernelNanos) -> bool {
        let Some((birth, process)) = self.births.get(id).zip(self.processes.get(&tgid)) else {
            return true;
        };
        if birth.is_hopeless() {
            return true;
        }
        if !self.births.is_certain(birth) && !birth.was_kept_too_long(now) {
            return false;
        }
        match self.root(tgid, id, now) {
            Root::Request(root) => match process.served(root).map(|s| s.until) {
                Some(Some(until)) => {
                    let outlived = !birth.was_quiet_after(until);
                    match birth.origin() {
                        Some(Origin::Parent { hold, .. }) => {
                            let target = self.target_hold(id);
                            let mut holds = target.into_iter().chain([&hold]);
                            outlived || holds.all(|hold| self.is_shown(tgid, hold, now))
                        }
                        Some(Origin::Answered(_)) => true,
                        None => outlived || birth.ended.is_some() || now.since(until) > GRACE,
                    }
                }
                Some(None) => false,
                None => true,
            },
            // It may still answer a request that had come in before its birth.
            Root::Unanswered | Root::None if !process.serves_since(birth.born) => true,
            Root::Unanswered | Root::Unsettled => false,
            Root::None => birth.ended.is_some() && !self.is_target_open(id, birth.born, now),
        }
    }

    /// Whether nothing is to come that says more about a thread which started another one while it did what `hold` says.
    fn is_shown(&self, tgid: Tgid, hold: &Hold, now: KernelNanos) -> bool {
        match hold {
            Hold::Serving(request) => self.is_served(tgid, *request, now),
            Hold::Born(parent) => self.is_grown(tgid, *parent, now),
            _ => true,
        }
    }

    /// Whether it is certain already that a thread lives longer than what it was started for.
    pub(super) fn outlived(&self, tgid: Tgid, id: BirthId, now: KernelNanos) -> bool {
        match self.root(tgid, id, now) {
            Root::Request(root) => self.is_over(tgid, root),
            Root::Unanswered | Root::Unsettled => false,
            Root::None => true,
        }
    }

    /// Whether a request has ended, or is forgotten.
    pub(super) fn is_over(&self, tgid: Tgid, request: Seq) -> bool {
        let process = self.processes.get(&tgid);
        let served = process.and_then(|process| process.served(request));
        served.is_none_or(|served| served.until.is_some())
    }

    /// What a thread may have been started for.
    pub(super) fn root(&self, tgid: Tgid, id: BirthId, now: KernelNanos) -> Root {
        let mut id = id;
        while let Some(birth) = self.births.get(id) {
            if let Answered::One(request) = birth.answered {
                return Root::Request(request);
            }
            // Whoever wanted it done says more than who began it.
            let mut hold = self.target_hold(id).unwrap_or(&birth.hold);
            while let Hold::Item(item) = hold {
                match self.items.get(*item) {
                    Some(item) => hold = &item.hold,
                    None => return Root::None,
                }
            }
            match hold {
                Hold::Serving(request) => return Root::Request(*request),
                Hold::Running(doer) => return self.root_of(tgid, doer, now),
                Hold::Born(parent) => id = *parent,
                _ => return Root::None,
            }
        }
        Root::None
    }

    /// What a thread was doing, unless that was handed on too often to be followed.
    pub(super) fn within_generations(&self, hold: Hold) -> Hold {
        let mut at = &hold;
        for _ in 0..MAX_GENERATIONS {
            let next = match at {
                Hold::Born(birth) => self.births.get(*birth).map(|birth| &birth.hold),
                Hold::Item(item) => self.items.get(*item).map(|item| &item.hold),
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return hold,
            }
        }
        Hold::Nothing(None)
    }
}
