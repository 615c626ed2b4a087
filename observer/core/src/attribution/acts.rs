//! What threads, executions and processes are seen to do, between the exchanges.

use super::births::{Birth, BirthId};
use super::clients::{Taken, Taker};
use super::{Attributor, Doer, Hold, asked, is_turn, served, wakes};
use crate::ids::{FileId, KernelNanos, Tgid, Tid};
use crate::record::{
    Data, Direction, Execution, ExecutionKind, Item, ItemHow, Nudge, Record, Take, TakeHow, Turn,
    Waited,
};

impl Attributor {
    /// A thread did something, after having waited for `waited`.
    pub fn thread_acted(&mut self, tgid: Tgid, tid: Tid, waited: Waited) {
        if waited == Waited::default() {
            return;
        }
        self.events.waited(tid);
        if let Some(request) = self.threads.waited(tid, waited)
            && let Some(process) = self.processes.get_mut(&tgid)
        {
            process.break_claim(request, served::Broken::Shared);
        }
    }

    /// An execution moved bytes.
    pub fn execution_acted(
        &mut self,
        tgid: Tgid,
        execution: Execution,
        data: &Data<'_>,
        time: KernelNanos,
    ) {
        if execution.kind == ExecutionKind::NodeAsync {
            let read = (data.direction == Direction::Read).then_some(data.file);
            self.turns.acted(tgid, execution, read, !data.more);
        } else {
            let life = self.executions.acted(tgid, execution, time);
            self.channels.acted(life, time);
        }
    }

    /// A turn of an event loop ended.
    pub fn turn_ended(&mut self, tgid: Tgid, turn: &Turn, time: KernelNanos) {
        self.turns.ended(tgid, turn, time);
    }

    /// A message went into a port's queue, or came out of it, in a turn of an event loop.
    pub(super) fn message(&mut self, record: &Record<'_>, told: &Item) {
        let Some(execution) = told.execution.filter(|e| is_turn(Some(*e))) else {
            return;
        };
        let tgid = record.tgid;
        match told.how {
            ItemHow::Given => self.turns.gave(tgid, execution, told.id),
            ItemHow::Taken => self.turns.took(tgid, execution, told.id, record.time),
        }
    }

    /// An execution began.
    pub fn execution_began(&mut self, tgid: Tgid, child: Execution, time: KernelNanos) {
        self.executions.begun(tgid, child, time);
    }

    /// An execution had another one run again.
    pub fn nudged(&mut self, record: &Record<'_>, nudge: &Nudge) {
        let Nudge {
            woken,
            waker,
            again,
        } = *nudge;
        let asker = self
            .asked
            .nudged(record.tgid, waker, woken.id, again, record.time);
        self.asked_by(record.tgid, asker);
    }

    /// Which task asked for a call that waits for its decision is known.
    pub(super) fn asked_by(&mut self, tgid: Tgid, asker: Option<asked::Asker>) {
        let Some(asker) = asker else {
            return;
        };
        let Some(at) = self.waiting_at(asker.call) else {
            return;
        };
        let time = self.waiting[at].time;
        let execution = Execution {
            kind: ExecutionKind::TokioTask,
            id: asker.task,
            origin: 0,
        };
        self.waiting[at].doer = Some(Doer {
            life: self.executions.acted(tgid, execution, time),
            execution,
            time,
            took: true,
        });
    }

    /// An execution, or a thread, takes a connection for its next exchange.
    pub fn takes(&mut self, record: &Record<'_>, take: &Take) {
        let (tgid, time) = (record.tgid, record.time);
        self.made.may_leave(record.tid, time);
        self.awake(record.tid);
        let taker = take.execution.map(|execution| Doer {
            life: self.life(tgid, execution, time),
            execution,
            time,
            took: true,
        });
        if let Some(taker) = taker {
            self.channels.acted(taker.life, time);
        }
        let (by, hold) = match taker {
            Some(taker) if taker.execution.kind != ExecutionKind::VirtualThread => {
                self.streams.called(tgid, &taker.execution);
                return self.takes.took(take.file, taker);
            }
            Some(taker) => (Taker::Execution(taker.life), Hold::Running(taker)),
            None => {
                let hold = self.threads.hands_on(record.tid);
                (Taker::Thread(record.tid), hold)
            }
        };
        let taken = Taken {
            by,
            tid: record.tid,
            time,
            hold,
            how: take.how,
            eager: take.how == TakeHow::Connect && take.nonblocking,
            client: None,
        };
        self.clients.taken(take.file, taken);
        if take.how == TakeHow::Connect {
            self.events.connects(tgid, record.tid, take.file);
        }
        if self.wakes.follows(tgid) {
            self.given.acted(record.tid, time);
        }
    }

    /// A thread, or an execution on it, moved bytes on a connection.
    pub fn moved(&mut self, record: &Record<'_>, data: &Data<'_>) {
        let (tid, time) = (record.tid, record.time);
        let by = self.taker(record.tgid, tid, data.execution, time);
        self.clients.moved(by, data.file);
        let led = self
            .events
            .moved(record.tgid, tid, data.file, data.direction);
        if let Some((agreed, process)) = led.zip(self.processes.get_mut(&record.tgid)) {
            process.trust.note_relay(agreed);
        }
        if let Some(birth) = self.threads.birth(tid) {
            self.births.moved(birth, time);
        }
    }

    fn taker(
        &mut self,
        tgid: Tgid,
        tid: Tid,
        execution: Option<Execution>,
        time: KernelNanos,
    ) -> Taker {
        match execution.filter(|e| e.kind == ExecutionKind::VirtualThread) {
            Some(execution) => Taker::Execution(self.life(tgid, execution, time)),
            None => Taker::Thread(tid),
        }
    }

    /// A connection was closed.
    pub fn closed(&mut self, file: FileId) {
        self.clients.closed(file);
        self.events.closed(file);
        self.threads.closed(file);
    }

    /// A thread read from a connection, or closed it: if it had answered a request on it, it has
    /// stayed with the connection, and what it did since belongs to that request. Any other
    /// connection that it serves ends its stay.
    pub fn touched(&mut self, tid: Tid, file: FileId) {
        for seq in self.threads.stayed(tid, file) {
            if let Some(at) = self.waiting_at(seq) {
                self.waiting[at].stayed();
            }
        }
    }

    /// What goes on on a connection is not followed any more. A thread that answered there by an upgrade is free
    /// for whatever the new protocol asks of it.
    pub fn unfollowed(&mut self, file: FileId) {
        self.threads.unfollowed(file);
    }

    pub(super) fn stay_ended(&mut self, tid: Tid, file: FileId) {
        self.touched(tid, file);
        self.threads.left(tid);
    }

    /// A thread was started by the one that caused the record, or by the execution `by` on it.
    pub fn thread_began(&mut self, record: &Record<'_>, child: Tid, by: Option<Execution>) {
        self.births.over(child);
        self.awake(record.tid);
        self.began(record, child, by);
    }

    fn began(&mut self, record: &Record<'_>, child: Tid, by: Option<Execution>) -> Option<BirthId> {
        if self.runtimes.shares_threads(record.tgid) {
            return None;
        }
        let hold = match by {
            Some(execution) => self.running(record, execution),
            None => self.threads.hands_on(record.tid),
        };
        let hold = self.within_generations(hold);
        let birth = self
            .births
            .began(record.tgid, record.tid, child, hold, record.time);
        self.threads.began(child, birth);
        Some(birth)
    }

    /// A thread ended.
    pub fn thread_ended(&mut self, tid: Tid, time: KernelNanos) {
        self.births.over(tid);
        if let Some(birth) = self.life_ended(tid, time) {
            self.births.ended(birth, time);
        }
    }

    /// What ran in a thread has ended; its birth is returned, if that was seen.
    fn life_ended(&mut self, tid: Tid, time: KernelNanos) -> Option<BirthId> {
        self.wakes.happened(time, wakes::Event::Ended { tid });
        self.clients.thread_ended(tid);
        self.events.thread_ended(tid);
        if let Some(item) = self.threads.item(tid) {
            self.items.over(item);
        }
        self.threads.remove(tid)
    }

    /// What ran in a thread has ended, and its runtime keeps the thread for what is to run next.
    pub fn thread_kept(&mut self, record: &Record<'_>) {
        let (tid, time) = (record.tid, record.time);
        let birth = self.threads.birth(tid);
        let birth = birth.and_then(|birth| self.births.get(birth));
        // It was given something as it was about to wait: that is still to run.
        if birth.is_some_and(Birth::is_fresh) {
            return;
        }
        let ended = self.life_ended(tid, time);
        self.births.kept((record.tgid, tid), ended, time);
    }

    /// A thread that was kept is given something to run: for what that thread does, this is its birth.
    pub fn thread_given(&mut self, record: &Record<'_>, child: Option<Tid>) {
        self.awake(record.tid);
        self.births.given(record.tgid, child, record.time);
        let Some(child) = child else {
            return;
        };
        self.thread_ended(child, record.time);
        if let Some(birth) = self.began(record, child, None) {
            self.births.runs_in_kept(birth);
        }
    }

    /// A thread does something of its own: moves bytes, takes a connection or work, starts another one.
    pub(super) fn awake(&mut self, tid: Tid) {
        let birth = self.threads.birth(tid);
        self.births.awake(tid, birth);
    }

    /// A process ended or replaced its program; what it did is still judged.
    pub fn process_ended(&mut self, tgid: Tgid, now: KernelNanos) {
        self.births.process_ended(tgid, now);
        self.program_ended(tgid);
        self.gone.push_back((now, tgid));
    }

    /// A process began another one; whatever is known under the latter's number belonged to yet another.
    pub fn process_began(&mut self, record: &Record<'_>, child: Tgid) {
        let amid = self.may_work_for_requests(record.tgid, record.time);
        self.offspring.began(child, amid);
        self.processes.remove(&child);
        self.program_ended(child);
    }

    /// A process runs another program from now on.
    pub fn runs_anew(&mut self, tgid: Tgid) {
        self.offspring.runs_anew(tgid);
    }

    /// Whether a process may be working for a request now, be it one of its own or of who began it.
    fn may_work_for_requests(&self, tgid: Tgid, time: KernelNanos) -> bool {
        match self.processes.get(&tgid) {
            Some(own) if own.has_served() => own.in_flight().0 > 0 || own.just_ended(time),
            _ => self.offspring.is_begun_amid(tgid),
        }
    }

    /// What is known of the inside of a process holds no longer.
    fn program_ended(&mut self, tgid: Tgid) {
        self.wakes.process_ended(tgid);
        self.given.process_ended(tgid);
        self.made.process_ended(tgid);
        self.pipes.process_ended(tgid);
        self.executions.process_ended(tgid);
        self.turns.process_ended(tgid);
        self.asked.process_ended(tgid);
        self.events.process_ended(tgid);
        self.streams.process_ended(tgid);
        self.channels.process_ended(tgid);
        self.forget_habits(tgid);
    }
}
