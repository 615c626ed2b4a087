//! What hand-offs between threads prove, once the requests that they rest on have ended.

use super::births::{Answered, BirthId, GRACE, Origin};
use super::decide::Link;
use super::process::Process;
use super::subject::{Hold, Subject};
use super::{Attributor, Served};
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::judged::{Evidence, Reason, Tier};
use crate::record::TakeHow;

impl Attributor {
    /// The request of the other thread that took the call's connection.
    pub(super) fn by_taker(
        &self,
        process: &Process,
        subject: &Subject,
    ) -> Result<Link, Option<Reason>> {
        let taken = subject.taken.as_ref().ok_or(None)?;
        let link = self.held(process, subject, &taken.hold)?;
        if !self.takes.believes(taken, subject.tid) {
            return Err(None);
        }
        Ok(Link {
            request: link.request,
            tier: Tier::HandOff,
            confidence: link.confidence * 0.99,
            evidence: Evidence::Taken {
                taker: taken.tid,
                connected: taken.how == TakeHow::Connect,
            },
        })
    }

    /// The request for which the thread with this birth was started.
    pub(super) fn by_birth(
        &self,
        process: &Process,
        subject: &Subject,
        id: BirthId,
    ) -> Result<Link, Option<Reason>> {
        let birth = self.births.get(id).ok_or(None)?;
        let ended = |request: Seq| -> Result<(&Served, KernelNanos), Option<Reason>> {
            let served = process.served(request).ok_or(None)?;
            Ok((served, served.until.ok_or(Some(Reason::StillOpen))?))
        };
        match birth.origin() {
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
            Some(Origin::Parent { tid, hold }) => {
                let link = self.held(process, subject, &hold)?;
                let (_, until) = ended(link.request)?;
                if !birth.ended_with(until) || !birth.was_quiet_after(until) {
                    return Err(Some(Reason::OutlivedRequest));
                }
                Ok(Link {
                    request: link.request,
                    tier: Tier::HandOff,
                    confidence: link.confidence * 0.99,
                    evidence: Evidence::Spawned { parent: tid },
                })
            }
            None => Err(self.root(id).map(|_| Reason::OutlivedRequest)),
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
        match self.root(id) {
            Some(root) => match process.served(root).map(|s| s.until) {
                Some(Some(until)) => {
                    birth.ended.is_some()
                        || !birth.was_quiet_after(until)
                        || now.since(until) > GRACE
                }
                Some(None) => false,
                None => true,
            },
            // It may still answer a request that had come in before its birth.
            None => birth.ended.is_some() || !process.serves_since(birth.born),
        }
    }

    /// The request that a thread may have been started for.
    fn root(&self, id: BirthId) -> Option<Seq> {
        let mut birth = self.births.get(id)?;
        loop {
            match (birth.answered, &birth.hold) {
                (Answered::One(request), _) => return Some(request),
                (_, Hold::Serving(request)) => return Some(*request),
                (_, Hold::Born(parent)) => birth = self.births.get(*parent)?,
                _ => return None,
            }
        }
    }
}
