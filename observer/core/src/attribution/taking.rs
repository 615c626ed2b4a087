//! Taking in subjects as they happen, with what is known then of whoever did them.

use super::clients::Taker;
use super::executions::LifeId;
use super::inference::Act;
use super::process::Process;
use super::streams::is_stream;
use super::{Attributor, Doer, Hold, PipeKey, Subject, Work, events, is_task, is_turn};
use crate::ids::{KernelNanos, Seq, Tgid, Tid};
use crate::message::Moved;
use crate::record::{Data, Direction, Execution, ExecutionKind};

impl Attributor {
    /// Takes in something that was done for a request, or for none.
    pub fn take(&mut self, seq: Seq, tgid: Tgid, tid: Tid, time: KernelNanos, work: Work) {
        let process = self
            .processes
            .entry(tgid)
            .or_insert_with(|| Process::new(time));
        process.ends.numbered(seq);
        let (in_flight, sole) = process.in_flight();
        let afterwork = process.just_ended(time);
        let template = work.template();
        if let Some(template) = template {
            process.exclusive.saw(template, in_flight > 0);
        }
        let guess = self.inference.as_mut().zip(template);
        let guess = guess.map(|(inference, kind)| {
            let tell = self.explain == Some(seq);
            let act = Act {
                tgid,
                kind,
                time,
                tell,
            };
            inference.guess(process, act)
        });
        let hold = self.threads.hold(tid, seq);
        let sign = match &work {
            Work::Call(call) => self.events.called(tgid, call.begun.file),
            Work::Line(line) => {
                let moved = &line.line.moved;
                let execution = moved.sole_execution();
                let unanswered =
                    execution.is_some_and(|e| is_stream(&e) && self.streams.at_work(tgid, &e));
                let log = events::name(&line.source);
                let logged = || self.events.logged(tgid, tid, log, moved);
                (!unanswered).then(logged).flatten()
            }
            Work::Message(_) => None,
        };
        if let Hold::Record(record) = hold {
            self.wrote(record, &work);
        }
        let doer = self.doer(tgid, &work);
        let by = Taker::of(doer, tid);
        let mut did_at = time;
        let taken = match &work {
            Work::Call(call) => {
                if let Some((reader, since)) = self.clients.unseen(call.begun.file) {
                    self.given.unseen(reader, seq, since, time);
                }
                let serves = matches!(hold, Hold::Serving(_) | Hold::After(_) | Hold::Stayed(_));
                let taken = self.clients.call(call.begun.file, by, tid, serves);
                self.given_call((tgid, seq), &hold, taken.as_ref(), time);
                // A worker may take it for one task, and write it for the client's own.
                let own = taken.as_ref().filter(|t| t.by == Taker::Thread(tid));
                let own = own.filter(|t| self.made.is_at_task(tid, t.time));
                did_at = own.map_or(time, |t| t.time);
                taken
            }
            Work::Line(line) => {
                did_at = line.line.moved.since;
                None
            }
            Work::Message(_) => None,
        };
        // Who writes the call itself makes it, whoever has the connection from before.
        let virtually = doer.is_some_and(|doer| doer.is_virtual());
        let taken = taken.filter(|t| t.by != by && !virtually);
        if matches!(work, Work::Call(_))
            && in_flight == 0
            && let Some(process) = self.processes.get_mut(&tgid)
        {
            let caller = taken.as_ref().map_or(tid, |taken| taken.tid);
            process.workers.calls_idle(caller);
        }
        let handed = doer.map(|doer| self.channels.lives_on(doer.life, doer.time));
        let subject = Box::new(Subject {
            handed: handed.unwrap_or_default(),
            seq,
            tgid,
            tid,
            time,
            in_flight,
            sole,
            afterwork,
            template,
            hold,
            taken: taken.map(Box::new),
            doer,
            sign,
            guess,
            by_ids: false,
            work,
        });
        self.pooled(&subject);
        let taken = subject.taken.as_deref();
        let (done_by, done_at) = taken.map_or((tid, did_at), |taken| (taken.tid, taken.time));
        self.made.did(seq, done_by, done_at);
        self.waiting.insert(subject);
    }

    /// The execution that does some work: that which took the connection for it, else that which
    /// moved the bytes.
    fn doer(&mut self, tgid: Tgid, work: &Work) -> Option<Doer> {
        let moved = match work {
            Work::Call(call) => {
                let moved = &call.begun.moved;
                let taker = self.takes.taken(call.begun.file, moved.since);
                // A stream that writes may have got a connection that another one made and did not need.
                let writes = moved.sole_execution().filter(is_stream);
                if let Some(stream) = &writes {
                    self.streams.called(tgid, stream);
                }
                if let Some(taker) = taker.filter(|_| writes.is_none()) {
                    return Some(taker);
                }
                moved
            }
            Work::Line(line) => &line.line.moved,
            Work::Message(moved) => moved,
        };
        let execution = moved.sole_execution().filter(|e| !e.is_published());
        if let Work::Call(call) = work {
            match execution.filter(|e| is_turn(Some(*e))) {
                Some(turn) => self.turns.called(tgid, call.begun.file, turn),
                None => self.turns.unseen(tgid, moved.tid, call.begun.file),
            }
        }
        let execution = execution?;
        if matches!(work, Work::Line(_)) && !self.streams.at_work(tgid, &execution) {
            return None;
        }
        if let Work::Call(call) = work
            && is_task(&execution)
        {
            self.asked.wrote(tgid, execution.id, call.begun.seq);
        }
        Some(Doer {
            life: self.life(tgid, execution, moved.since),
            execution,
            time: moved.since,
            took: false,
        })
    }

    pub(super) fn life(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> LifeId {
        if execution.kind == ExecutionKind::NodeAsync {
            return LifeId::NONE;
        }
        self.executions.acted(tgid, execution, time)
    }

    /// Takes in bytes that moved through a pipe, or through a socket pair that carries no HTTP.
    pub fn pipe(
        &mut self,
        key: PipeKey,
        tgid: Tgid,
        moved: Moved,
        data: &Data<'_>,
        seq: &mut impl FnMut() -> Seq,
    ) {
        match data.direction {
            Direction::Write => {
                if self.pipes.is_message(data.len) {
                    let message = seq();
                    self.pipes.written(key, tgid, message, data);
                    self.take(message, tgid, moved.tid, moved.time, Work::Message(moved));
                } else {
                    self.pipes.wake_up(key, tgid, data);
                }
            }
            Direction::Read => {
                if let Some(carried) = self.pipes.read(key, tgid, data) {
                    self.threads.carries(moved.tid, carried);
                }
            }
        }
    }
}
