//! What the makers of tasks say about what was done for these.

use super::Task;
use super::origins::Origin;
use crate::attribution::births::{self, BirthId, GRACE};
use crate::attribution::evidence::Link;
use crate::attribution::ids::Ids;
use crate::attribution::mounted::Root;
use crate::attribution::process::Process;
use crate::attribution::subject::{Hold, Subject};
use crate::attribution::{Attributor, PROOF_PATIENCE};
use crate::feedback::Feedback;
use crate::ids::KernelNanos;
use crate::judged::{Evidence, Reason};
use crate::record::{Heap, Record};

impl Attributor {
    /// What the runtime keeps of a thread that is about to move bytes, or to take a connection.
    pub fn heap(&mut self, record: &Record<'_>, heap: &Heap) {
        let hold = self.making(record, heap);
        let birth = self.threads.birth(record.tid);
        let born = birth
            .and_then(|birth| self.births.get(birth))
            .map(|birth| birth.born);
        if let Some(birth) = birth {
            self.made.targets.told(birth, record.tgid, heap);
        }
        let thread = (record.tgid, record.tid);
        self.made.saw(thread, record.time, *heap, hold, born);
        if self.made.counted(record.tgid) && self.wakes.following(record.tgid).ends() {
            self.feedback.push(Feedback::NoTasks(record.tgid));
        }
    }

    /// Counts for which classes it is known by now who makes them, or ever will be when `stopping`.
    pub(in crate::attribution) fn look_at_makers(&mut self, now: KernelNanos, stopping: bool) {
        let by = if stopping { KernelNanos(u64::MAX) } else { now };
        while let Some(task) = self.made.settled(by) {
            if let Some(serving) = self.is_maker_serving(task, now) {
                self.made.count(task, serving);
            }
        }
    }

    /// Whether the maker of a task served a request, or was started for one; `None` if that is not known.
    fn is_maker_serving(&self, task: Task, now: KernelNanos) -> Option<bool> {
        let piece = self.made.piece(task).filter(|piece| !piece.shared)?;
        if self.made.is_carried(piece) {
            return None;
        }
        let root = match &piece.hold {
            Hold::Serving(_) => return Some(true),
            // Made for another task.
            _ if piece.task.is_some() => return None,
            Hold::Running(doer) => self.root_of(task.tgid, doer, now),
            Hold::Born(birth) => match self.births.get(*birth)?.ended {
                None if self.outlived(task.tgid, *birth, now) => Root::None,
                None => return None,
                Some(_) => self.root(task.tgid, *birth, now),
            },
            _ => Root::None,
        };
        match root {
            Root::Request(_) => Some(true),
            // What a timer's own thread makes is like what requests' threads make.
            Root::None if !self.made.is_worker(piece.by) && !self.clients.writes(piece.by) => None,
            Root::None => Some(false),
            Root::Unanswered | Root::Unsettled => None,
        }
    }

    /// Whether nothing is to come that says more about who made the task for which something was done: tasks of its class, mostly.
    pub(in crate::attribution) fn made_is_due(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> bool {
        let named = Ids::name(process, subject);
        let known = !self.made.is_open(subject.seq) || now.since(subject.time) > PROOF_PATIENCE;
        named || (known && self.is_made_over(process, subject, now))
    }

    /// Whether nothing more is to be seen of the task for which something was done.
    fn is_made_over(&self, process: &Process, subject: &Subject, now: KernelNanos) -> bool {
        let Some(origin) = self.made.origin(subject.seq).filter(|origin| !origin.done) else {
            return true;
        };
        let link = self.worked_for(process, subject, origin.maker.hold, now);
        let until = link
            .ok()
            .and_then(|link| process.served(link.request)?.until);
        until.is_none_or(|until| origin.last > until || now.since(until) > GRACE)
    }

    /// What was done by the thread that had made the task for which something was done, if that was made for a request.
    pub(in crate::attribution) fn made_by(&self, subject: &Subject) -> Option<&Hold> {
        self.made
            .origin(subject.seq)
            .map(|origin| origin.maker.hold)
    }

    /// Evidence of the thread that made the task for which something was done.
    pub(in crate::attribution) fn made(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let origin = self.made.origin(subject.seq).ok_or(None)?;
        let link = self.originating(process, subject, &origin, now)?;
        self.check(process, subject, link.request, GRACE)?;
        Ok(link)
    }

    /// The request for which whoever made a task made it, if it was over within that.
    fn originating(
        &self,
        process: &Process,
        subject: &Subject,
        origin: &Origin<'_>,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let Origin {
            maker, last, done, ..
        } = origin;
        let link = self.worked_for(process, subject, maker.hold, now)?;
        let served = process.served(link.request).ok_or(None)?;
        let until = served.until.ok_or(Some(Reason::StillOpen))?;
        let made_during = served.since <= maker.piece.since && until >= maker.held;
        if !made_during || subject.time > until {
            return Err(None);
        }
        if *last > until || subject.lasted_beyond(until) {
            return Err(Some(Reason::OutlivedRequest));
        }
        if !done && now.since(until) <= GRACE {
            return Err(Some(Reason::StillOpen));
        }
        Ok(link.handed_on(Evidence::Made { by: maker.piece.by }))
    }

    /// Evidence of the thread that made what the one with this birth was started to run.
    pub(in crate::attribution) fn by_target(
        &self,
        process: &Process,
        subject: &Subject,
        id: BirthId,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let birth = self.births.get(id).ok_or(None)?;
        if !matches!(birth.origin(), Some(births::Origin::Parent { .. })) {
            return Err(None);
        }
        let origin = self.target_of(id).ok_or(None)?;
        let link = self.originating(process, subject, &origin, now)?;
        let until = process.served(link.request).and_then(|s| s.until);
        let ended = until.is_some_and(|u| birth.ended_with(u) && birth.was_quiet_after(u));
        if !ended || !self.births.is_certain(birth) {
            return Err(Some(Reason::OutlivedRequest));
        }
        Ok(link)
    }

    /// What may be made for by whoever made what the thread with this birth was started to run.
    pub(in crate::attribution) fn target_hold(&self, id: BirthId) -> Option<&Hold> {
        self.target_of(id).map(|origin| origin.maker.hold)
    }

    /// Where that was made which the thread with this birth was started to run, if one that serves requests itself made it: threads that
    /// were started for one are followed by their births.
    fn target_of(&self, id: BirthId) -> Option<Origin<'_>> {
        let serves =
            |origin: &Origin<'_>| matches!(origin.maker.hold, Hold::Serving(_) | Hold::Running(_));
        self.made.target(id).filter(serves)
    }

    /// Whether it may still become known who made what the thread with this birth was started to run.
    pub(in crate::attribution) fn is_target_open(
        &self,
        id: BirthId,
        born: KernelNanos,
        now: KernelNanos,
    ) -> bool {
        self.made.is_target_open(id) && now.since(born) <= PROOF_PATIENCE
    }
}
