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
//! | `published`, `pinned` | 2 | the trace that the thread publishes to work in, or that another observer tells of it |
//! | `correlation` | 2 | a correlation id that came in |
//! | `executions` | 3 | the execution, finer than a thread, that wrote the response, and those that it began |
//! | `streams` | 3 | whether a stream of HAProxy's has yet to answer what it works for |
//! | `turns` | 3 | the turn of an event loop, one of those in which the request was read, worked for and answered |
//! | `asked` | 3 | the task that handed a call to the task of a connection, which handed it the response |
//! | `takes` | 3 | the execution that took the connection for a call |
//! | `threads` | 3 | the thread that read the request, did nothing else, and wrote its response |
//! | `workers` | 3 | whether a thread that reads without blocking serves one request at a time |
//! | `births` | 3, 4 | a thread that was started for the request, and ended with it |
//! | `clients` | 4 | the thread that took the connection last before another one wrote the call |
//! | `pipes` | 4 | a message in an in-process pipe or socket pair |
//! | `items` | 4 | work that was given to an executor, and taken from its queue |
//! | `channels`, `traffic` | 4 | the execution that handed work to the one that lives on what others hand to it |
//! | `logged` | 4 | what was logged into a queue, and written by the thread that took it |
//! | `made` | 4 | a thread of a pool whose task the thread of the request had made |
//! | `given` | 4 | a thread that is woken for a task, and makes the call for the thread that woke it |
//! | `wakes`, `tasks`, `words`, `pools` | 4 | threads of a pool, which those that serve wake and wait for |
//! | `events` | 4 | the event of a proxy in which a call was written, and that in which its response was passed on |
//! | `exclusive` | 6 | the only request in flight, proven by the absence of such work without one |
//! | `inference` | 7 | what requests usually have done, and when; told beside an abstention, and decides nothing |
//!
//! `ids` says whether an id may decide alone, and `parted` what times of calls say against theirs. `keepers` knows which processes keep threads for what is to run next, and `offspring` which were begun amid requests of others. `acts` hears what threads and executions do, `taking` takes subjects in. `trust` compares them with each other, process by process; `due` says when a subject can be decided, `rest` for how long it is certain that it can't, `tick` has those decided, `evidence` asks each kind,
//! `decide` weighs what they say, `story` tells it.
//!
//! Tier 5, connection causality, joins the two ends of a connection (`exchange::links`).

mod acts;
mod asked;
mod births;
mod cache;
mod channels;
mod clients;
mod correlation;
mod decide;
mod due;
mod ends;
mod events;
mod evidence;
mod exclusive;
mod executions;
mod following;
mod given;
mod handed;
mod ids;
mod inference;
mod items;
mod keepers;
mod logged;
mod made;
mod mounted;
mod named;
mod offspring;
mod parted;
mod pinned;
mod pipes;
mod pools;
mod process;
mod published;
mod requests;
mod rest;
mod runtimes;
mod served;
mod siblings;
mod story;
mod streams;
mod subject;
mod takes;
mod taking;
mod tasks;
mod threads;
mod tick;
mod traces;
mod traffic;
mod trust;
mod turns;
mod waiting;
mod wakes;
mod words;
mod workers;

use std::collections::VecDeque;

pub use decide::{Decision, Owner};
use hashbrown::HashMap;
pub use named::SameTrace;
pub use pipes::PipeKey;
use process::Process;
pub use served::{Claim, Served};
pub use story::Story;
pub use subject::{Call, Doer, Hold, Line, Subject, Work};

use crate::exchange::{Begun, Ended};
use crate::facts::{Executions, ProcessFacts};
use crate::feedback::Feedback;
use crate::ids::{KernelNanos, Seq, Tgid};
use crate::judged::{Inferred, Role};
use crate::losses::Losses;
use crate::record::{Execution, ExecutionKind};

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

/// Calls of a process to itself that are made for each other, at most.
const MAX_REMOVE: usize = 8;

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
    offspring: offspring::Offspring,
    wakes: wakes::Wakes,
    given: given::Given,
    items: items::Items,
    channels: traffic::Channels,
    made: made::Made,
    events: events::Events,
    streams: streams::Streams,
    feedback: Vec<Feedback>,
    runtimes: runtimes::Runtimes,
    pipes: pipes::Pipes,
    waiting: waiting::Waiting,
    /// Requests in the order in which they ended, for forgetting them.
    ended: VecDeque<(KernelNanos, Tgid, Seq)>,
    /// Processes in the order in which they ended, for forgetting them.
    gone: VecDeque<(KernelNanos, Tgid)>,
    losses: Losses,
    /// What is likely where nothing is certain, if that is asked for.
    inference: Option<Box<inference::Inference>>,
    /// The subject whose decision is to be explained.
    explain: Option<Seq>,
    /// The execution that did it, and the story of its decision, once it is made.
    story: Option<(Option<Doer>, Story)>,
}

impl Attributor {
    /// One that keeps the story of one decision, and infers what is likely where nothing is certain if
    /// `infer` says so. What began before `since` was not watched.
    #[must_use]
    pub fn new(explain: Option<Seq>, infer: bool, since: KernelNanos) -> Self {
        let mut new = Self {
            explain,
            inference: infer.then(|| Box::new(inference::Inference::new())),
            ..Self::default()
        };
        new.offspring.watched_since(since);
        new
    }

    /// The story that was asked for, once; with the execution that did what it is about.
    pub fn take_story(&mut self) -> Option<(Option<Doer>, Story)> {
        self.story.take()
    }

    /// Records were lost between two moments, whoever they belonged to.
    pub fn lost(&mut self, since: KernelNanos, until: KernelNanos) {
        self.losses.add(since, until);
    }

    /// System calls are not observed after `since`: what a process does and is asked meanwhile is not known, so it counts as one
    /// with connections that are not observed.
    pub fn paused(&mut self, since: KernelNanos) {
        self.losses.pause(since);
        for process in self.processes.values_mut() {
            process.blind = true;
            process.paused = true;
        }
    }

    /// They are observed again after `until`.
    pub fn resumed(&mut self, until: KernelNanos) {
        self.losses.resume(until);
    }

    /// Something is known about a process.
    pub fn process(&mut self, facts: &ProcessFacts) {
        self.runtimes.learn(facts);
        if facts.events {
            self.events.follow(facts.tgid, events::Order::Reads);
        }
        match &facts.executions {
            Some(Executions::Unavailable(why)) => {
                self.executions.unavailable(facts.tgid, why);
            }
            Some(Executions::Known { kind, paused, .. }) => {
                self.executions.available(facts.tgid);
                if *kind == ExecutionKind::HaproxyStream {
                    self.events.follow(facts.tgid, events::Order::Streams);
                }
                if *kind == ExecutionKind::NodeAsync {
                    self.turns.watched(facts.tgid, !paused);
                }
                if *kind == ExecutionKind::VirtualThread
                    && self.wakes.following(facts.tgid).carries()
                {
                    // What was seen of carriers before is not theirs, so that nothing of it tells who makes tasks.
                    self.made.process_ended(facts.tgid);
                    self.feedback.push(Feedback::Wakes(facts.tgid));
                }
                if *kind == ExecutionKind::Goroutine && *paused {
                    self.channels_unwatched(facts.tgid);
                }
            }
            None => {}
        }
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
            match begun.moved.execution.filter(|e| is_turn(Some(*e))) {
                Some(turn) => self.turns.began(begun.tgid, begun.file, turn, begun.seq),
                None => self.turns.unseen(begun.tgid, begun.moved.tid, begun.file),
            }
            self.events.began(begun);
            let asked = begun.other_end.and_then(|call| self.waiting_at(call));
            let asked = asked.map(|at| &self.waiting[at]);
            let own = asked.filter(|call| call.tgid == begun.tgid);
            let own = own.map(|call| call.seq);
            let process = self
                .processes
                .entry(begun.tgid)
                .or_insert_with(|| Process::new(begun.moved.since));
            if let Some(interrupted) = held.interrupted {
                process.break_claim(interrupted, served::Broken::Interleaved);
            }
            let by = served::Reader {
                claim: held.claim,
                worker: self.runtimes.is_worker(begun.tgid, begun.moved.tid),
            };
            process.serve(begun, by, own);
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
        let route = process.served(ended.seq).map_or(0, |served| served.route);
        let by = ended.outcome.ok().map(|moved| (moved.tid, moved.execution));
        let taken_up = self.events.taken_up(request.file);
        self.events.ended(&events::Over {
            tgid,
            file: request.file,
            request: ended.seq,
            over: ended.time,
            route,
            by,
        });
        let execution = ended.outcome.ok().and_then(|moved| moved.execution);
        let execution = execution.filter(|e| !e.is_published());
        let turn = execution.filter(|_| is_turn(execution));
        self.turns
            .answered(tgid, ended.seq, turn, ended.time, watermark);
        if let Some(execution) = execution.filter(|_| turn.is_none()) {
            let life = self.executions.acted(tgid, execution, ended.time);
            if streams::is_stream(&execution) {
                self.streams.answered(tgid, &execution);
                let since = taken_up.map_or(request.since, |time| time.max(request.since));
                self.executions
                    .answered_alone(life, ended.seq, since, ended.time, watermark);
            } else {
                self.executions
                    .answered(life, ended.seq, request.since, ended.time, watermark);
            }
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

    /// What is likely about a subject of which that much is decided; nothing unless it is asked for.
    fn infer(
        &mut self,
        subject: &Subject,
        decision: &Decision,
        now: KernelNanos,
    ) -> Option<Result<Inferred, inference::Silence>> {
        let inference = self.inference.as_mut()?;
        let process = self.processes.get(&subject.tgid)?;
        Some(inference.decided(process, subject, decision, &self.losses, now))
    }

    /// A process is over: what was usual in it says nothing of the next one.
    fn forget_habits(&mut self, tgid: Tgid) {
        if let Some(inference) = &mut self.inference {
            inference.forget(tgid);
        }
    }

    /// Where a subject waits.
    fn waiting_at(&self, seq: Seq) -> Option<usize> {
        self.waiting.at(seq)
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
            self.note_parted(at, ended);
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

    /// Whether a request of a process is a call that it made itself for the request `asker`, at some remove.
    pub fn is_made_for(&self, tgid: Tgid, request: &Served, asker: Seq) -> bool {
        let mut at = request;
        for _ in 0..MAX_REMOVE {
            match at.asker {
                Some(by) if by == asker => return true,
                Some(by) => match self.served(tgid, by) {
                    Some(served) => at = served,
                    None => return false,
                },
                None => return false,
            }
        }
        false
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
