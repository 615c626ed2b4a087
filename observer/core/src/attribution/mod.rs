//! Attribution: deciding for which request a call was made or a line was written, and saying so
//! when it can't be known.
//!
//! *Subjects* (calls, lines, messages in pipes) are taken in as they happen, together with what
//! their thread was known to be doing. They are decided later, at a tick: the strongest form of
//! evidence is retrospective. Each kind of evidence is a file of its own:
//!
//! | file | tier | evidence |
//! |---|---|---|
//! | `traces` | 1 | the trace-id that came in |
//! | `correlation` | 2 | a correlation id that came in |
//! | `threads` | 3 | the thread that read the request, did nothing else, and wrote its response |
//! | `workers` | 3 | whether a thread that reads without blocking serves one request at a time |
//! | `births` | 3, 4 | a thread that was started for the request, and ended with it |
//! | `takes` | 4 | the thread that took the connection last before another one wrote the call |
//! | `pipes` | 4 | a message in an in-process pipe or socket pair |
//! | `exclusive` | 6 | the only request in flight, proven by the absence of such work without one |
//!
//! Tier 5, connection causality, joins the two ends of a connection (`exchange::links`).

mod births;
mod correlation;
mod decide;
mod exclusive;
mod handed;
mod pipes;
mod process;
mod served;
mod subject;
mod takes;
mod threads;
mod traces;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;

pub use decide::{Decision, Owner};
use hashbrown::HashMap;
use lru::LruCache;
pub use pipes::PipeKey;
use process::Process;
pub use served::{Claim, Served};
pub use subject::{Call, Hold, Line, Subject, Work};
use workers::Conduct;

use crate::exchange::{Begun, Ended};
use crate::facts::{ProcessFacts, Runtime};
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::judged::Role;
use crate::losses::Losses;
use crate::record::{Data, Direction, Record, Take, Waited};

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
const MAX_PROCESSES: usize = 16_384;

/// Everything that attribution knows.
#[derive(Debug, Default)]
pub struct Attributor {
    processes: HashMap<Tgid, Process>,
    threads: threads::Threads,
    pipes: pipes::Pipes,
    takes: takes::Takes,
    births: births::Births,
    runtimes: Runtimes,
    waiting: BTreeMap<Seq, Subject>,
    /// Requests in the order in which they ended, for forgetting them.
    ended: VecDeque<(KernelNanos, Tgid, Seq)>,
    /// Processes in the order in which they ended, for forgetting them.
    gone: VecDeque<(KernelNanos, Tgid)>,
    losses: Losses,
}

/// What processes run on.
#[derive(Debug)]
struct Runtimes(LruCache<Tgid, Runtime>);

impl Default for Runtimes {
    fn default() -> Self {
        const PROCESSES: NonZeroUsize = NonZeroUsize::new(MAX_PROCESSES).expect("not zero");
        Self(LruCache::new(PROCESSES))
    }
}

impl Runtimes {
    /// Whether servers on the runtime read without blocking and yet may give each request a thread
    /// of its own.
    fn has_workers(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Java | Runtime::Ruby))
    }

    /// Whether the runtime starts its threads for all that it runs, not for single requests.
    fn shares_threads(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Go | Runtime::Node))
    }
}

impl Attributor {
    /// Something is known about a process from outside.
    pub fn process(&mut self, facts: &ProcessFacts) {
        if let Some(runtime) = facts.runtime {
            self.runtimes.0.push(facts.tgid, runtime);
        }
    }

    /// Records were lost between two moments, whoever they belonged to.
    pub fn lost(&mut self, since: KernelNanos, until: KernelNanos) {
        self.losses.add(since, until);
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

    /// An exchange's request is known.
    pub fn begun(&mut self, begun: &Begun) {
        let process = self
            .processes
            .entry(begun.tgid)
            .or_insert_with(|| Process::new(begun.moved.since));
        let workers = self.runtimes.has_workers(begun.tgid);
        if begun.role == Role::Server {
            let held = self.threads.read_request(begun, workers);
            if let Some(interrupted) = held.interrupted {
                process.break_claim(interrupted, served::Broken::Interleaved);
            }
            self.stay_ended(begun.moved.tid, begun.file);
            if let Some(birth) = self.threads.birth(begun.moved.tid) {
                self.births.serves(birth);
            }
            let process = self
                .processes
                .entry(begun.tgid)
                .or_insert_with(|| Process::new(begun.moved.since));
            process.serve(begun, held.claim);
        }
    }

    /// An exchange is over.
    pub fn ended(&mut self, tgid: Tgid, ended: &Ended) {
        let Some(process) = self.processes.get_mut(&tgid) else {
            return;
        };
        let Some((confirmed, file, reader)) = process.confirm(ended) else {
            return;
        };
        self.ended.push_back((ended.time, tgid, ended.seq));
        let writer = ended.outcome.ok().map(|m| m.tid).or(ended.closed_by);
        if writer != Some(reader) {
            self.threads.relieved(reader, ended.seq);
        }
        if let Ok(response) = ended.outcome
            && let Some(birth) = self.threads.birth(response.tid)
        {
            self.births.answered(birth, ended.seq, response.one_thread);
        }
        let interrupted = self
            .threads
            .request_ended(ended.seq, file, writer, confirmed);
        if let Some(other) = interrupted
            && let Some(process) = self.processes.get_mut(&tgid)
        {
            process.break_claim(other, served::Broken::Interleaved);
        }
    }

    /// A connection carries something that is not observed, so that requests may be in flight unseen.
    pub fn blind(&mut self, tgid: Tgid, now: KernelNanos) {
        self.processes
            .entry(tgid)
            .or_insert_with(|| Process::new(now))
            .blind = true;
    }

    /// A thread read from a connection, or closed it: if it had answered a request on it, it has
    /// stayed with the connection, and what it did since belongs to that request. Any other
    /// connection that it serves ends its stay.
    pub fn touched(&mut self, tid: Tid, file: FileId) {
        for seq in self.threads.stayed(tid, file) {
            if let Some(subject) = self.waiting.get_mut(&seq) {
                subject.stayed();
            }
        }
    }

    fn stay_ended(&mut self, tid: Tid, file: FileId) {
        self.touched(tid, file);
        self.threads.left(tid);
    }

    /// A thread moved bytes on a connection.
    pub fn moved(&mut self, tid: Tid, file: FileId, time: KernelNanos) {
        self.takes.moved(tid, file);
        if let Some(birth) = self.threads.birth(tid) {
            self.births.moved(birth, time);
        }
    }

    /// A thread takes a connection for its next exchange.
    pub fn taken(&mut self, record: &Record<'_>, take: &Take) {
        if take.execution.is_none() {
            let hold = self.threads.hands_on(record.tid);
            self.takes.taken(record.tid, take, hold);
        }
    }

    /// A connection was closed.
    pub fn closed(&mut self, file: FileId) {
        self.takes.closed(file);
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
        self.takes.thread_ended(tid);
        if let Some(birth) = self.threads.remove(tid) {
            self.births.ended(birth, time);
        }
    }

    /// A process ended or replaced its program; what it did is still judged.
    pub fn process_ended(&mut self, tgid: Tgid, now: KernelNanos) {
        self.births.process_ended(tgid, now);
        self.pipes.process_ended(tgid);
        self.gone.push_back((now, tgid));
    }

    /// A process began; whatever is known under its number belonged to another.
    pub fn process_began(&mut self, tgid: Tgid) {
        self.processes.remove(&tgid);
        self.pipes.process_ended(tgid);
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
        let taken = match &work {
            Work::Call(call) => self.takes.call(call.begun.file, tid),
            _ => None,
        };
        self.waiting.insert(
            seq,
            Subject {
                seq,
                tgid,
                tid,
                time,
                in_flight,
                sole,
                afterwork,
                template,
                hold,
                taken,
                work,
            },
        );
    }

    /// Takes in bytes that moved through a pipe, or through a socket pair that carries no HTTP.
    pub fn pipe(
        &mut self,
        key: PipeKey,
        tgid: Tgid,
        tid: Tid,
        time: KernelNanos,
        data: &Data<'_>,
        seq: &mut impl FnMut() -> Seq,
    ) {
        match data.direction {
            Direction::Write => {
                if self.pipes.is_message(data.len) {
                    let message = seq();
                    self.pipes.written(key, tgid, message, data);
                    self.take(message, tgid, tid, time, Work::Message);
                } else {
                    self.pipes.wake_up(key, tgid, data);
                }
            }
            Direction::Read => {
                if let Some(carried) = self.pipes.read(key, tgid, data) {
                    self.threads.carries(tid, carried);
                }
            }
        }
    }

    /// Decides every subject that is due at `now`, in the order in which they happened.
    pub fn decide(&mut self, now: KernelNanos, stopping: bool) -> Vec<(Subject, Decision)> {
        let mut decided = Vec::new();
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        let due: Vec<Seq> = self
            .waiting
            .values()
            .enumerate()
            .filter(|(i, s)| stopping || *i < excess || self.is_due(s, now))
            .map(|(_, s)| s.seq)
            .collect();
        for seq in due {
            let Some(subject) = self.waiting.remove(&seq) else {
                continue;
            };
            let decision = self.decision(&subject);
            if matches!(subject.work, Work::Message) {
                self.pipes.resolve(seq, &decision);
            }
            decided.push((subject, decision));
        }
        self.forget(now);
        decided.retain(|(s, _)| !matches!(s.work, Work::Message));
        decided
    }

    fn is_due(&self, subject: &Subject, now: KernelNanos) -> bool {
        if now.since(subject.time) > PATIENCE {
            return true;
        }
        if !subject.is_over() {
            return false;
        }
        let taken = |t: &takes::Taken| {
            self.is_settled(subject, &t.hold, now)
                && (now.since(subject.time) > PROOF_PATIENCE || self.takes.is_known(t, subject.tid))
        };
        self.is_settled(subject, &subject.hold, now) && subject.taken.as_ref().is_none_or(taken)
    }

    /// Whether nothing is to come that says more about a request's thread.
    fn is_served(&self, tgid: Tgid, request: Seq, now: KernelNanos) -> bool {
        let Some(process) = self.processes.get(&tgid) else {
            return true;
        };
        process.served(request).is_none_or(|served| {
            let since = served.until.map_or(0, |until| now.since(until));
            served.claim.is_settled()
                && (process.workers.conduct(served) != Conduct::Unknown || since > PROOF_PATIENCE)
        })
    }

    /// Whether nothing is to come that says more about what a thread was doing.
    fn is_settled(&self, subject: &Subject, hold: &Hold, now: KernelNanos) -> bool {
        match hold {
            Hold::Serving(request) => self.is_served(subject.tgid, *request, now),
            Hold::After(_) => now.since(subject.time) > subject::STAY_PATIENCE,
            Hold::Messages(messages) => !messages.iter().any(|m| self.waiting.contains_key(m)),
            Hold::Born(birth) => self.is_grown(subject.tgid, *birth, now),
            Hold::Stayed(_) | Hold::Nothing(_) => true,
        }
    }

    /// A client exchange that was taken in is over.
    pub fn call_ended(&mut self, ended: &Ended) {
        if let Some(Subject {
            work: Work::Call(call),
            ..
        }) = self.waiting.get_mut(&ended.seq)
        {
            self.takes.call_ended(call.begun.file);
            call.ended = Some(*ended);
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
