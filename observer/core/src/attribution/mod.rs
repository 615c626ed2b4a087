//! Attribution: deciding for which request a call was made or a line was written, and saying so
//! when it can't be known.
//!
//! *Subjects* (calls, lines, messages in pipes) are taken in as they happen, together with what
//! their thread was known to be doing. They are decided later, at a tick: the strongest form of
//! evidence is retrospective. Each kind of evidence is a file of its own:
//!
//! | file | tier | evidence |
//! |---|---|---|
//! | `traces`, `named` | 1 | the trace-id that came in |
//! | `published` | 2 | the trace that the thread publishes to work in |
//! | `correlation` | 2 | a correlation id that came in |
//! | `executions` | 3 | the execution, finer than a thread, that wrote the response, and those that it began |
//! | `turns` | 3 | the turn of an event loop, one of those in which the request was read, worked for and answered |
//! | `asked` | 3 | the task that handed a call to the task of a connection, which handed it the response |
//! | `takes` | 3 | the execution that took the connection for a call |
//! | `threads` | 3 | the thread that read the request, did nothing else, and wrote its response |
//! | `workers` | 3 | whether a thread that reads without blocking serves one request at a time |
//! | `births` | 3, 4 | a thread that was started for the request, and ended with it |
//! | `clients` | 4 | the thread that took the connection last before another one wrote the call |
//! | `pipes` | 4 | a message in an in-process pipe or socket pair |
//! | `given` | 4 | a thread that is woken for a task, and makes the call for the thread that woke it |
//! | `wakes`, `tasks`, `words`, `pools` | 4 | threads of a pool, which those that serve wake and wait for |
//! | `exclusive` | 6 | the only request in flight, proven by the absence of such work without one |
//!
//! `trust` compares them with each other, process by process; `due` says when a subject can be decided, `evidence` asks each kind,
//! `decide` weighs what they say, `story` tells it.
//!
//! Tier 5, connection causality, joins the two ends of a connection (`exchange::links`).

mod asked;
mod births;
mod clients;
mod correlation;
mod decide;
mod due;
mod evidence;
mod exclusive;
mod executions;
mod given;
mod handed;
mod named;
mod pipes;
mod pools;
mod process;
mod published;
mod requests;
mod served;
mod story;
mod subject;
mod takes;
mod tasks;
mod threads;
mod traces;
mod trust;
mod turns;
mod wakes;
mod words;
mod workers;

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use clients::{Taken, Taker};
pub use decide::{Decision, Owner};
use executions::LifeId;
use hashbrown::HashMap;
use lru::LruCache;
pub use named::SameTrace;
pub use pipes::PipeKey;
use process::Process;
pub use served::{Claim, Served};
pub use story::Story;
pub use subject::{Call, Doer, Hold, Line, Subject, Work};

use crate::exchange::{Begun, Ended};
use crate::facts::{Executions, ProcessFacts, Runtime};
use crate::feedback::Feedback;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::judged::Role;
use crate::losses::Losses;
use crate::message::{Moved, Version};
use crate::record::{
    Data, Direction, Execution, ExecutionKind, Nudge, Record, Take, TakeHow, Turn, Waited,
};

/// How long an ended request's ids are remembered, nanoseconds: work done for it later is still
/// recognised by its trace-id.
pub const RETENTION: u64 = 60_000_000_000;

/// How many ended requests are remembered at most, over all processes.
pub const MAX_REMEMBERED: usize = 50_000;

/// How many subjects wait for judgement at most; beyond that the oldest are decided as they stand.
pub const MAX_WAITING: usize = 200_000;

/// How long judgement waits for a request to end, nanoseconds.
pub const PATIENCE: u64 = 30_000_000_000;

/// How long judgement waits for the proof that a process's threads, or clients, are of a kind that
/// can be believed, nanoseconds.
const PROOF_PATIENCE: u64 = 5_000_000_000;

/// Processes whose runtime is remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Everything that attribution knows.
#[derive(Debug, Default)]
pub struct Attributor {
    processes: HashMap<Tgid, Process>,
    threads: threads::Threads,
    executions: executions::Executions,
    turns: turns::Turns,
    takes: takes::Takes,
    asked: asked::Asked,
    clients: clients::Clients,
    births: births::Births,
    wakes: wakes::Wakes,
    given: given::Given,
    feedback: Vec<Feedback>,
    runtimes: Runtimes,
    pipes: pipes::Pipes,
    /// By their numbers.
    waiting: Vec<Subject>,
    /// Requests in the order in which they ended, for forgetting them.
    ended: VecDeque<(KernelNanos, Tgid, Seq)>,
    /// Processes in the order in which they ended, for forgetting them.
    gone: VecDeque<(KernelNanos, Tgid)>,
    losses: Losses,
    /// The subject whose decision is to be explained.
    explain: Option<Seq>,
    /// The execution that did it, and the story of its decision, once it is made.
    story: Option<(Option<Doer>, Story)>,
}

/// What processes run on.
#[derive(Debug)]
struct Runtimes(LruCache<Tgid, Runtime>);

impl Default for Runtimes {
    fn default() -> Self {
        Self(LruCache::new(MAX_PROCESSES))
    }
}

impl Runtimes {
    /// Whether servers on the runtime read without blocking and yet may give each request a thread
    /// of its own.
    fn has_workers(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Java | Runtime::Ruby))
    }

    /// Whether a worker of PHP-FPM has read a request.
    fn is_fpm(&self, begun: &Begun) -> bool {
        begun.head.version == Version::FastCgi
            && matches!(self.0.peek(&begun.tgid), Some(Runtime::Php))
    }

    /// Whether the runtime has pools that hand each task to an idle thread directly.
    fn hands_over(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Java))
    }

    /// Whether the runtime starts its threads for all that it runs, not for single requests.
    fn shares_threads(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Go | Runtime::Node))
    }
}

impl Attributor {
    /// One that keeps the story of one decision.
    #[must_use]
    pub fn new(explain: Option<Seq>) -> Self {
        Self {
            explain,
            ..Self::default()
        }
    }

    /// The story that was asked for, once; with the execution that did what it is about.
    pub fn take_story(&mut self) -> Option<(Option<Doer>, Story)> {
        self.story.take()
    }

    /// Records were lost between two moments, whoever they belonged to.
    pub fn lost(&mut self, since: KernelNanos, until: KernelNanos) {
        self.losses.add(since, until);
    }

    /// Something is known about a process.
    pub fn process(&mut self, facts: &ProcessFacts) {
        if let Some(runtime) = facts.runtime {
            self.runtimes.0.push(facts.tgid, runtime);
        }
        match &facts.executions {
            Some(Executions::Unavailable(why)) => {
                self.executions.unavailable(facts.tgid, why);
            }
            Some(Executions::Known { .. }) => self.executions.available(facts.tgid),
            None => {}
        }
    }

    /// A thread did something, after having waited for `waited`.
    pub fn thread_acted(&mut self, tgid: Tgid, tid: Tid, waited: Waited) {
        if waited == Waited::default() {
            return;
        }
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
            self.executions.acted(tgid, execution, time);
        }
    }

    /// A turn of an event loop ended.
    pub fn turn_ended(&mut self, tgid: Tgid, turn: &Turn, time: KernelNanos) {
        self.turns.ended(tgid, turn, time);
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
    fn asked_by(&mut self, tgid: Tgid, asker: Option<asked::Asker>) {
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
        let taker = take.execution.map(|execution| Doer {
            life: self.life(tgid, execution, time),
            execution,
            time,
            took: true,
        });
        let (by, hold) = match taker {
            Some(taker) if taker.execution.kind != ExecutionKind::VirtualThread => {
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
        };
        self.clients.taken(take.file, taken);
        if self.wakes.follows(tgid) {
            self.given.acted(record.tid, time);
        }
    }

    /// A thread, or an execution on it, moved bytes on a connection.
    pub fn moved(&mut self, record: &Record<'_>, data: &Data<'_>) {
        let (tid, time) = (record.tid, record.time);
        let by = self.taker(record.tgid, tid, data.execution, time);
        self.clients.moved(by, data.file);
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
    }

    /// An exchange's request is known.
    pub fn begun(&mut self, begun: &Begun) {
        if begun.role == Role::Server {
            let server = threads::Server {
                // A virtual thread leaves its thread whenever it waits.
                workers: begun.moved.execution.is_none() && self.runtimes.has_workers(begun.tgid),
                one_by_one: self.runtimes.is_fpm(begun),
            };
            let held = self.threads.read_request(begun, server);
            if let Some(birth) = self.threads.birth(begun.moved.tid) {
                self.births.serves(birth);
            }
            self.stay_ended(begun.moved.tid, begun.file);
            if is_turn(begun.moved.execution) {
                self.turns.began(begun.tgid, begun.file, begun.seq);
            }
            let process = self
                .processes
                .entry(begun.tgid)
                .or_insert_with(|| Process::new(begun.moved.since));
            if let Some(interrupted) = held.interrupted {
                process.break_claim(interrupted, served::Broken::Interleaved);
            }
            process.serve(begun, held.claim);
        }
    }

    /// An exchange is over.
    pub fn ended(&mut self, tgid: Tgid, ended: &Ended) {
        let Some(process) = self.processes.get_mut(&tgid) else {
            return;
        };
        let Some(request) = process.confirm(ended) else {
            return;
        };
        let watermark = process.next_request();
        let execution = ended.outcome.ok().and_then(|moved| moved.execution);
        let execution = execution.filter(|e| !e.is_published());
        let turn = execution.filter(|_| is_turn(execution));
        self.turns
            .answered(tgid, ended.seq, turn, ended.time, watermark);
        if let Some(execution) = execution.filter(|_| turn.is_none()) {
            let life = self.executions.acted(tgid, execution, ended.time);
            self.executions
                .answered(life, ended.seq, request.since, ended.time, watermark);
        }
        self.ended.push_back((ended.time, tgid, ended.seq));
        let writer = ended.outcome.ok().map(|m| m.tid).or(ended.closed_by);
        if writer != Some(request.reader) {
            self.threads.relieved(request.reader, ended.seq);
        }
        if let Ok(response) = ended.outcome
            && let Some(birth) = self.threads.birth(response.tid)
        {
            self.births.answered(birth, ended.seq, response.one_thread);
        }
        let interrupted =
            self.threads
                .request_ended(ended.seq, request.file, writer, request.confirmed);
        if let Some(other) = interrupted
            && let Some(process) = self.processes.get_mut(&tgid)
        {
            process.break_claim(other, served::Broken::Interleaved);
        }
    }

    /// A connection carries something that is not observed, so that requests may be in flight unseen;
    /// `served` if it is the other side that asks.
    pub fn blind(&mut self, tgid: Tgid, served: bool, now: KernelNanos) {
        let process = self
            .processes
            .entry(tgid)
            .or_insert_with(|| Process::new(now));
        process.blind = true;
        process.serves_unseen |= served;
    }

    /// The process may drive sockets through an `io_uring`: requests may come in, and calls go out, that make no
    /// system call of their own.
    pub fn ring(&mut self, tgid: Tgid, now: KernelNanos) {
        self.blind(tgid, true, now);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.ring = true;
        }
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

    fn stay_ended(&mut self, tid: Tid, file: FileId) {
        self.touched(tid, file);
        self.threads.left(tid);
    }

    /// A thread was started by the one that caused the record.
    pub fn thread_began(&mut self, record: &Record<'_>, child: Tid) {
        if self.runtimes.shares_threads(record.tgid) {
            return;
        }
        let hold = self.threads.hands_on(record.tid);
        let birth = self
            .births
            .began(record.tgid, record.tid, child, hold, record.time);
        self.threads.began(child, birth);
    }

    /// A thread ended.
    pub fn thread_ended(&mut self, tid: Tid, time: KernelNanos) {
        self.wakes.happened(time, wakes::Event::Ended { tid });
        self.clients.thread_ended(tid);
        if let Some(birth) = self.threads.remove(tid) {
            self.births.ended(birth, time);
        }
    }

    /// A process ended or replaced its program; what it did is still judged.
    pub fn process_ended(&mut self, tgid: Tgid, now: KernelNanos) {
        self.births.process_ended(tgid, now);
        self.wakes.process_ended(tgid);
        self.given.process_ended(tgid);
        self.pipes.process_ended(tgid);
        self.executions.process_ended(tgid);
        self.turns.process_ended(tgid);
        self.asked.process_ended(tgid);
        self.gone.push_back((now, tgid));
    }

    /// A process began; whatever is known under its number belonged to another.
    pub fn process_began(&mut self, tgid: Tgid) {
        self.processes.remove(&tgid);
        self.wakes.process_ended(tgid);
        self.given.process_ended(tgid);
        self.pipes.process_ended(tgid);
        self.executions.process_ended(tgid);
        self.turns.process_ended(tgid);
        self.asked.process_ended(tgid);
    }

    /// Takes in something that was done for a request, or for none.
    pub fn take(&mut self, seq: Seq, tgid: Tgid, tid: Tid, time: KernelNanos, work: Work) {
        let process = self
            .processes
            .entry(tgid)
            .or_insert_with(|| Process::new(time));
        let (in_flight, sole) = process.in_flight();
        let afterwork = process.just_ended(time);
        let template = work.template();
        if let Some(template) = template {
            process.exclusive.saw(template, in_flight > 0);
        }
        let hold = self.threads.hold(tid, seq);
        let doer = self.doer(tgid, &work);
        let by = Taker::of(doer, tid);
        let taken = match &work {
            Work::Call(call) => {
                if let Some((reader, since)) = self.clients.unseen(call.begun.file) {
                    self.given.unseen(reader, seq, since, time);
                }
                let taken = self.clients.call(call.begun.file, by, tid);
                self.given_call((tgid, seq), &hold, taken.as_ref(), time);
                taken
            }
            Work::Line(_) | Work::Message(_) => None,
        };
        // Who writes the call itself makes it, whoever has the connection from before.
        let virtually = doer.is_some_and(|doer| doer.is_virtual());
        let taken = taken.filter(|t| t.by != by && !virtually);
        let subject = Subject {
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
            work,
        };
        self.pooled(&subject);
        // The engine numbers in the order of taking in, so that this is nearly always the end.
        let at = match self.waiting.last() {
            Some(last) if last.seq >= seq => self.waiting.partition_point(|s| s.seq < seq),
            _ => self.waiting.len(),
        };
        self.waiting.insert(at, subject);
    }

    /// The execution that does some work: that which took the connection for it, else that which
    /// moved the bytes.
    fn doer(&mut self, tgid: Tgid, work: &Work) -> Option<Doer> {
        let moved = match work {
            Work::Call(call) => {
                let moved = &call.begun.moved;
                if let Some(taker) = self.takes.taken(call.begun.file, moved.since) {
                    return Some(taker);
                }
                moved
            }
            Work::Line(line) => &line.line.moved,
            Work::Message(moved) => moved,
        };
        let execution = moved.sole_execution().filter(|e| !e.is_published())?;
        if let Work::Call(call) = work
            && is_turn(Some(execution))
        {
            self.turns.called(tgid, call.begun.file, execution);
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

    fn life(&mut self, tgid: Tgid, execution: Execution, time: KernelNanos) -> LifeId {
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

    /// Decides every subject that is due at `now`, in the order in which they happened.
    pub fn decide(&mut self, now: KernelNanos, stopping: bool) -> Vec<(Subject, Decision)> {
        self.look_at_wakes(now, stopping);
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        let due: Vec<bool> = self
            .waiting
            .iter()
            .enumerate()
            .map(|(i, s)| stopping || i < excess || self.is_due(s, now))
            .collect();
        let mut due = due.into_iter();
        let subjects: Vec<Subject> = self
            .waiting
            .extract_if(.., |_| due.next().unwrap_or(false))
            .collect();
        // A burst's memory is given back step by step.
        if self.waiting.len() < self.waiting.capacity() / 8 {
            self.waiting.shrink_to(self.waiting.capacity() / 2);
        }
        let mut decided = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let decision = self.decision(&subject, now);
            if let Some(process) = self.processes.get_mut(&subject.tgid) {
                process.trust.note(&decision.compared);
            }
            if self.explain == Some(subject.seq) {
                self.story = Some((subject.doer, self.story(&subject, now, &decision)));
            }
            if matches!(subject.work, Work::Message(_)) {
                self.pipes.resolve(subject.seq, subject.tid, &decision);
            } else {
                decided.push((subject, decision));
            }
        }
        self.forget(now);
        decided
    }

    /// Where a subject waits.
    fn waiting_at(&self, seq: Seq) -> Option<usize> {
        self.waiting.binary_search_by_key(&seq, |s| s.seq).ok()
    }

    /// A client exchange that was taken in is over.
    pub fn call_ended(&mut self, ended: &Ended) {
        if let Some(at) = self.waiting_at(ended.seq)
            && let Work::Call(call) = &mut self.waiting[at].work
        {
            call.ended = Some(*ended);
            let reader = ended
                .outcome
                .ok()
                .map(|response| (response.tid, ended.time));
            self.clients.call_ended(call.begun.file, reader);
            self.given.ended(ended.seq, ended.time);
            let tgid = self.waiting[at].tgid;
            if let Ok(response) = ended.outcome {
                self.pool_answered(ended.seq, &response, ended.time);
                if let Some(task) = response.execution.filter(is_task) {
                    let asker = self
                        .asked
                        .answered(tgid, task.id, ended.seq, response.since);
                    self.asked_by(tgid, asker);
                }
            }
        }
    }

    /// What is known about a request that `tgid` serves or served.
    #[must_use]
    pub fn served(&self, tgid: Tgid, seq: Seq) -> Option<&Served> {
        self.processes.get(&tgid)?.served(seq)
    }

    fn forget(&mut self, now: KernelNanos) {
        while let Some((time, tgid)) = self.gone.front().copied()
            && now.since(time) > RETENTION
        {
            self.gone.pop_front();
            if self
                .processes
                .get(&tgid)
                .is_some_and(|p| p.is_idle_since(time))
            {
                self.processes.remove(&tgid);
            }
        }
        while let Some((time, tgid, seq)) = self.ended.front().copied()
            && (now.since(time) > RETENTION || self.ended.len() > MAX_REMEMBERED)
        {
            self.ended.pop_front();
            if let Some(process) = self.processes.get_mut(&tgid) {
                process.forget(seq);
            }
        }
    }
}

/// Whether an execution is a turn of an event loop.
fn is_turn(execution: Option<Execution>) -> bool {
    execution.is_some_and(|e| e.kind == ExecutionKind::NodeAsync)
}

/// Whether an execution is a task of tokio's.
fn is_task(execution: &Execution) -> bool {
    execution.kind == ExecutionKind::TokioTask
}

fn before(time: KernelNanos, nanos: u64) -> KernelNanos {
    KernelNanos(time.0.saturating_sub(nanos))
}
