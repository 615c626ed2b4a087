//! What wakes prove about the work of threads that serve no request, once the requests have ended.

use super::clients::Taken;
use super::evidence::Link;
use super::ids::Ids;
use super::process::Process;
use super::subject::{Hold, Subject, Work};
use super::tasks::Item;
use super::trust::{AWAITED, GIVEN};
use super::wakes::{DELAY, Event, Other, Wait};
use super::{Attributor, PROOF_PATIENCE};
use crate::feedback::Feedback;
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::judged::{Evidence, Reason};
use crate::message::Moved;
use crate::record::{Class, Data, Direction, Record, Woke};

impl Attributor {
    /// What is asked of the probes since the last call.
    pub fn take_feedback(&mut self) -> Vec<Feedback> {
        std::mem::take(&mut self.feedback)
    }

    /// A thread moved bytes.
    pub fn acted(&mut self, tgid: Tgid, tid: Tid, data: &Data<'_>, time: KernelNanos) {
        if self.wakes.follows(tgid) {
            let read = data.direction == Direction::Read && data.class == Class::Tcp;
            self.wakes.acted(tid, time, read);
            self.given.acted(tid, time);
        }
        self.made.may_leave(tid, time);
        self.item_moved(tid, time);
        self.awake(tid);
    }

    /// A thread waited for a futex and was woken.
    pub fn woke(&mut self, record: &Record<'_>, woke: &Woke) {
        let (tgid, tid) = (record.tgid, record.tid);
        if !self.wakes.follows(tgid) {
            return;
        }
        let waiter = self.doing(tgid, tid, woke.since);
        let waker = self.doing(tgid, woke.waker, woke.woken);
        if self.runtimes.hands_over(tgid) {
            let by = Other {
                tid: woke.waker,
                hold: waker.clone(),
            };
            self.given
                .waited(tid, woke.since, woke.woken, record.time, by);
        }
        match waiter {
            Hold::Serving(_) => {
                let Some(acted) = self.wakes.last_act(tid) else {
                    return;
                };
                let event = Event::Woke {
                    tid: woke.waker,
                    tgid,
                    other: Other { tid, hold: waiter },
                    wait: Wait {
                        word: woke.word,
                        since: woke.since,
                        acted,
                    },
                    serves: matches!(waker, Hold::Serving(_)),
                };
                self.wakes.happened(woke.woken, event);
            }
            Hold::Nothing(None) | Hold::Born(_) => {
                let by = Other {
                    tid: woke.waker,
                    hold: waker,
                };
                let time = record.time;
                self.wakes.happened(time, Event::Woken { tid, by, time });
            }
            _ => {}
        }
    }

    /// What a thread was doing at a moment that is not long past.
    fn doing(&self, tgid: Tgid, tid: Tid, at: KernelNanos) -> Hold {
        let hold = self.threads.hands_on(tid);
        let process = self.processes.get(&tgid);
        match hold {
            Hold::Serving(request)
                if process
                    .and_then(|p| p.served(request))
                    .is_none_or(|s| s.since > at) =>
            {
                Hold::Nothing(Some(Reason::SharedThread))
            }
            hold => hold,
        }
    }

    /// Something was done: perhaps by a thread of a pool.
    pub(super) fn pooled(&mut self, subject: &Subject) {
        let Some((tid, time, own)) = self.pool_thread(subject, subject.time) else {
            return;
        };
        let tgid = subject.tgid;
        if self.wakes.following(tgid).unserved(tid) {
            self.feedback.push(Feedback::Wakes(tgid));
        }
        if self.wakes.follows(tgid)
            && let Some(template) = subject.template
        {
            let item = Item {
                seq: subject.seq,
                time,
                template,
                call: matches!(subject.work, Work::Call(_)),
                answered: None,
                before_wait: false,
            };
            self.wakes.happened(time, Event::Did { tid, item, own });
        }
    }

    /// The thread that did something, if it serves no request; when, and whether it moved the bytes itself.
    fn pool_thread(&self, subject: &Subject, now: KernelNanos) -> Option<(Tid, KernelNanos, bool)> {
        if subject.in_flight == 0
            || subject.doer.is_some()
            || self.runtimes.shares_threads(subject.tgid)
        {
            return None;
        }
        let (hold, done) = match subject.taken.as_deref() {
            Some(taken) => (&taken.hold, (taken.tid, taken.time, false)),
            None => (&subject.hold, (subject.tid, subject.time, true)),
        };
        let pooled = match hold {
            Hold::Nothing(None) => true,
            // One that was started for a request may do what its pool's other threads do.
            Hold::Born(birth) => {
                self.wakes.follows(subject.tgid) || self.outlived(subject.tgid, *birth, now)
            }
            _ => false,
        };
        pooled.then_some(done)
    }

    /// A call was made: perhaps by a worker that was woken for it.
    pub(super) fn given_call(
        &mut self,
        (tgid, seq): (Tgid, Seq),
        hold: &Hold,
        taken: Option<&Taken>,
        time: KernelNanos,
    ) {
        if !self.runtimes.hands_over(tgid) {
            return;
        }
        match (taken, taken.map_or(hold, |taken| &taken.hold)) {
            (_, Hold::Serving(_)) => self.given.own(tgid),
            (Some(taken), Hold::Nothing(None) | Hold::Born(_)) if taken.by_selector() => {
                self.given.called((tgid, taken.tid), seq, taken.time, time);
            }
            _ => {}
        }
    }

    /// The response to a call was read.
    pub(super) fn pool_answered(&mut self, call: Seq, response: &Moved, time: KernelNanos) {
        let tid = response.tid;
        if self.wakes.has_threads() {
            self.wakes
                .happened(time, Event::Answered { tid, call, time });
        }
    }

    /// Looks at wakes that happened a moment ago.
    pub(super) fn look_at_wakes(&mut self, now: KernelNanos, stopping: bool) {
        self.wakes.look(now, stopping);
        self.given.look(now, stopping);
        self.look_at_makers(now, stopping);
        for (tgid, woken, awaited) in self.wakes.take_compared() {
            let Some(process) = self.processes.get_mut(&tgid) else {
                continue;
            };
            process.trust.note_wakes(woken.hold == awaited.hold);
        }
    }

    /// Whether nothing is to come that says more about the work of a pool's thread.
    pub(super) fn pool_is_due(&self, subject: &Subject, now: KernelNanos) -> bool {
        let followed = self.wakes.follows(subject.tgid) || self.made.has_task(subject.seq);
        if !followed || self.pool_thread(subject, now).is_none() {
            return true;
        }
        let Some(process) = self.processes.get(&subject.tgid) else {
            return true;
        };
        // A wake that says for whom it was done comes before the request's end. That is asked first, as it takes least.
        let before = KernelNanos(now.0.saturating_sub(2 * DELAY));
        if !process.all_ended_by(subject.seq, subject.time, before) {
            return false;
        }
        if !self.made_is_due(process, subject, now) {
            return false;
        }
        let awaited = self.wakes.awaited(subject.seq);
        let given = self.given.by(subject.seq);
        let others = awaited.into_iter().chain(given).map(|other| &other.hold);
        let mut others = others.chain(self.made_by(subject));
        if others.any(|hold| !self.is_settled(subject, hold, now))
            || self.given.is_open(subject.seq)
        {
            return false;
        }
        let unproven = (self.wakes.is_open(subject.seq)
            && (awaited.is_none() || !self.believes_wakes(process, subject)))
            || (given.is_some() && !self.believes_given(process, subject.tgid));
        // What carries an id proves the kind itself.
        !unproven || now.since(subject.time) > PROOF_PATIENCE || Ids::name(process, subject)
    }

    /// Whether what wakes say about some work is to be believed.
    pub(super) fn believes_wakes(&self, process: &Process, subject: &Subject) -> bool {
        if let Some(proven) = process.trust.proven(AWAITED) {
            return proven;
        }
        self.wakes_look_right(process, subject)
    }

    /// Whether what wakes say about some work is to be believed without any comparison with ids.
    pub(super) fn wakes_look_right(&self, process: &Process, subject: &Subject) -> bool {
        // Where no ids come out of the pool, and nobody is seen to be woken for a task: locks that are held
        // during a call would give other work to the thread that waits for one.
        process.trust.wakes_agree()
            || (self.wakes.looks_like_tasks(subject.tgid)
                && subject
                    .template
                    .is_some_and(|kind| !process.exclusive.is_background(kind)))
    }

    /// Whether workers of a process are to be believed to work for those who wake them.
    pub(super) fn believes_given(&self, process: &Process, tgid: Tgid) -> bool {
        self.given.believes(tgid) && process.trust.proven(GIVEN) != Some(false)
    }

    /// Evidence of a thread that woke the worker which made a call, and waited for it.
    pub(super) fn given(
        &self,
        process: &Process,
        subject: &Subject,
        now: KernelNanos,
    ) -> Result<Link, Option<Reason>> {
        let other = self.given.by(subject.seq).ok_or(None)?;
        let link = self.worked_for(process, subject, &other.hold, now)?;
        let served = process.served(link.request).ok_or(None)?;
        if !served.lasted_over(subject.time) {
            return Err(None);
        }
        self.check(process, subject, link.request, 0)?;
        Ok(link.handed_on(Evidence::Given { by: other.tid }))
    }

    /// Evidence of a thread that waited for what was done, or why there is none.
    pub(super) fn awaited(
        &self,
        process: &Process,
        subject: &Subject,
    ) -> Result<Link, Option<Reason>> {
        let Some(other) = self.wakes.awaited(subject.seq) else {
            let pooled = self.wakes.is_pooled(subject.seq);
            return Err(pooled.then_some(Reason::UnprovenWakes));
        };
        let link = self.held(process, &other.hold)?;
        let served = process.served(link.request).ok_or(None)?;
        if !served.lasted_over(subject.time) {
            return Err(None);
        }
        self.check(process, subject, link.request, 0)?;
        Ok(link.handed_on(Evidence::Awaited { waiter: other.tid }))
    }
}
