//! Whether the ids that a process's calls and lines carry are those of the requests that these are done for.
//!
//! A context may leak from one request to another: it is kept on a thread, in a global, in a pooled object. An id that
//! came in names its request all the same, and alone it can't be told from a right one. But where evidence that needs
//! no id names requests too, both are compared, and where they disagree in more than a few cases, an id alone no longer
//! decides in that process. Calls and lines are apart: a logger may keep its ids elsewhere than a client does.
//!
//! Ids are believed from the beginning, since in many processes nothing else ever names a request. But other evidence
//! has to prove itself first, mostly. So what ids alone name is waited with, until enough was compared, or for a few seconds.
//!
//! Where nothing else ever names a request, times of calls may still speak against their ids (`parted`).

use super::decide::rests_on_ids;
use super::evidence::Found;
use super::named;
use super::parted::{Parted, When};
use super::process::Process;
use super::subject::{Subject, Work};
use super::trust::{AWAITED, Count, DECLARED, GIVEN};
use super::{Attributor, Decision, PROOF_PATIENCE};
use crate::exchange::Ended;
use crate::ids::{KernelNanos, Seq};
use crate::judged::Reason;

/// Comparisons after which ids are known to be right.
const MIN_COMPARED: u32 = 20;

/// So many comparisons must have disagreed before ids are doubted.
const MIN_DISAGREED: u32 = 3;

/// Of so many comparisons one may disagree.
const TOLERATED: u32 = 50;

/// Counts are halved when they reach this: ids that begin to leak show soon.
const RECENT: u32 = 512;

/// How the ids of a process did.
#[derive(Debug, Default)]
pub(super) struct Ids {
    calls: Carried,
    lines: Carried,
    pub(super) parted: Parted,
}

/// Ids that calls carry, or lines.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    /// When the first was carried that nothing else confirms.
    since: Option<KernelNanos>,
    count: Count,
}

impl Ids {
    /// Why an id alone does not say for which request a subject was done, if it does not.
    pub(super) fn doubt(&self, subject: &Subject) -> Option<Reason> {
        if let Some((disagreed, compared)) = self.of(&subject.work).doubt() {
            return Some(Reason::IdsDistrusted {
                disagreed,
                compared,
            });
        }
        let calls = matches!(subject.work, Work::Call(_));
        let kind = subject.template.filter(|_| calls)?;
        let (parted, requests) = self.parted.too_often(kind)?;
        Some(Reason::IdsParted { parted, requests })
    }

    /// Whether an id names the request of a subject, and may do so alone.
    pub(super) fn name(process: &Process, subject: &Subject) -> bool {
        process.ids.doubt(subject).is_none() && !named::same_trace(process, subject).is_empty()
    }

    fn of(&self, work: &Work) -> &Carried {
        match work {
            Work::Line(_) => &self.lines,
            Work::Call(_) | Work::Message(_) => &self.calls,
        }
    }

    fn of_mut(&mut self, work: &Work) -> &mut Carried {
        match work {
            Work::Line(_) => &mut self.lines,
            Work::Call(_) | Work::Message(_) => &mut self.calls,
        }
    }
}

impl Carried {
    fn doubt(&self) -> Option<(u32, u32)> {
        let Count {
            disagreed,
            compared,
        } = self.count;
        let bad = disagreed >= MIN_DISAGREED && disagreed.saturating_mul(TOLERATED) > compared;
        bad.then_some((disagreed, compared))
    }

    /// Whether it is known if they are right, as far as anything else names requests.
    fn is_settled(&self) -> bool {
        self.doubt().is_some()
            || (self.count.compared >= MIN_COMPARED
                && self.count.disagreed.saturating_mul(TOLERATED) <= self.count.compared)
    }
}

impl Decision {
    /// Whether ids that came in are all that names the request.
    pub(super) fn rests_on_ids(&self) -> bool {
        self.owner.is_some() && rests_on_ids(&self.attribution)
    }
}

impl Attributor {
    /// Compares the id that a subject carries with evidence that needs none, where both name requests that were in flight.
    pub(super) fn ids_agree(
        &self,
        process: &Process,
        subject: &Subject,
        strong: &[Found],
        same_trace: &[Seq],
    ) -> Option<bool> {
        let [named] = same_trace else {
            return None;
        };
        let at_work = |request: Seq| {
            process.served(request).filter(|s| {
                s.since <= subject.time && s.until.is_none_or(|until| until >= subject.time)
            })
        };
        // What the process asks of itself carries the id of whoever asks.
        at_work(*named).filter(|served| !served.own)?;
        let mut agreed = None;
        for Found { kind, says } in strong {
            if let Ok(link) = says
                && self.needs_no_ids(process, subject, *kind)
                && at_work(link.request).is_some()
            {
                let agrees = link.request == *named;
                // They do not even agree with each other.
                if agreed.is_some_and(|agreed| agreed != agrees) {
                    return None;
                }
                agreed = Some(agrees);
            }
        }
        agreed
    }

    /// Whether a kind of evidence is believed about a subject without any comparison with ids.
    pub(super) fn needs_no_ids(&self, process: &Process, subject: &Subject, kind: usize) -> bool {
        match kind {
            DECLARED => false,
            AWAITED => self.wakes_look_right(process, subject),
            GIVEN => self.given.believes(subject.tgid),
            _ => true,
        }
    }

    /// Takes note of how the id of a subject did.
    pub(super) fn note_ids(&mut self, subject: &Subject, decision: &Decision) {
        let Some(process) = self.processes.get_mut(&subject.tgid) else {
            return;
        };
        if let Some(agreed) = decision.ids_agree {
            let carried = process.ids.of_mut(&subject.work);
            carried.count.add(agreed, RECENT);
        }
    }

    /// Whether it is to be waited with what ids alone name, since other evidence may have to prove itself yet.
    pub(super) fn waits_for_more_than_ids(&mut self, subject: &Subject, now: KernelNanos) -> bool {
        let Some(process) = self.processes.get_mut(&subject.tgid) else {
            return false;
        };
        let carried = process.ids.of_mut(&subject.work);
        let since = *carried.since.get_or_insert(subject.time);
        !carried.is_settled() && now.since(since) <= PROOF_PATIENCE
    }

    /// Whether the wait for a subject that only ids name is over.
    pub(super) fn is_waited_for(&self, subject: &Subject, now: KernelNanos) -> bool {
        self.processes.get(&subject.tgid).is_none_or(|process| {
            let carried = process.ids.of(&subject.work);
            let late = |since: KernelNanos| now.since(since) > PROOF_PATIENCE;
            carried.is_settled() || carried.since.is_none_or(late)
        })
    }

    /// A call is over: before the answer to the request whose id it carries, or not.
    pub(super) fn note_parted(&mut self, at: usize, ended: &Ended) {
        let subject = &self.waiting[at];
        let Some((process, kind)) = self.processes.get_mut(&subject.tgid).zip(subject.template)
        else {
            return;
        };
        let same_trace = named::same_trace(process, subject);
        let [request] = same_trace[..] else {
            return;
        };
        let began = subject.time;
        process.parted(request, kind, |answered| {
            When::of((began, ended.time), answered)
        });
    }
}
