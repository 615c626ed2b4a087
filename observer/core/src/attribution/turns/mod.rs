//! Tier 3, turns of an event loop: Node.
//!
//! One thread serves everything, and between two of its system calls anything may have run. What the probes see is
//! where turns begin and end, what each was begun for, and which async ids were given out in it. So a turn works for
//!
//! - the request that it read;
//! - the request whose call it read the response of;
//! - the request of the turn before, if both are about the connection that this was read from: Node calls back up to three times
//!   for one read (`kOnHeadersComplete`, `kOnMessageComplete` and `kOnExecute` of `src/node_http_parser.cc`), the first time
//!   without running what was promised, so that the second time runs just that;
//! - the request of the turn in which the message was given that it takes, by another thread or its own (`worker_threads`);
//! - else the request of the turn that gave out the id that it is called back for (files, names, connecting),
//!
//! and for none that is known otherwise: timers and immediates of many requests share a turn, and so
//! does what a pipelined connection delivers. Within a turn, the current async id may name another
//! one: that of a timer, or of work that a pool kept for later (`AsyncResource`).
//!
//! A queue or a cache of the program's own can still wake one request's work in a turn of another, which no
//! id shows. So judgement waits for the responses: **a request's turns count only if it was answered in one of them,
//! and if no other request was.** Where that happens more than now and then, nothing of the process counts, since
//! calls made in parallel may escape that check; neither where many are answered in turns of none: what wakes
//! them there may be woken by them as well. So the first answers of a process are waited for.
//!
//! **What was taken from another turn's message is told only if the request's answer follows from it.** A thread that takes messages may collect what several
//! gave, or be one that the process wanted anyway, and nothing else would show that.
//!
//! What was called in a turn of none, on a connection that was opened for a request (`opened`), is told in the same way, and so is a call on a connection for
//! which another one may have waited (`passed`).
//!
//! A process may be watched for a share of the time (`gaps`): then only requests count of which everything was seen that
//! may speak against them.

mod findings;
mod gaps;
mod held;
mod opened;
mod owners;
mod passed;
mod requests;
mod thread;

use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::rest::Changes;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::record::{Execution, Turn};
use held::{Held, Told};
use opened::Opened;
use passed::Passed;
use requests::Requests;
use thread::{Resumes, Running, Taken, Thread};

/// Threads that run event loops, remembered at once.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Connections whose users are remembered at once.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Guesses that turned out right, remembered at once.
const MAX_CONFIRMED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Messages that are remembered at once, as long as they lie in queues, and again of those that were taken.
const MAX_MESSAGES: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// How long after a response it is waited whether something that was begun for its request goes on, nanoseconds.
const OUTLIVES: u64 = 1_000_000_000;

/// Bits of a turn's identity that count the turns of its thread.
const COUNT: u64 = (1 << 40) - 1;

type ThreadKey = (Tgid, u64);

/// A place in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    thread: ThreadKey,
    /// The turn, counted per thread.
    turn: u64,
    /// Low half of the async id that was current.
    current: u32,
    /// Low half of the async id that had triggered it.
    trigger: u32,
}

impl Position {
    #[expect(clippy::cast_possible_truncation, reason = "two halves of 32 bits")]
    fn of(tgid: Tgid, execution: Execution) -> Self {
        Self {
            thread: (tgid, execution.id & !COUNT),
            turn: execution.id & COUNT,
            current: (execution.origin >> 32) as u32,
            trigger: execution.origin as u32,
        }
    }
}

/// For which request something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Worked {
    request: Seq,
    /// An async id says so, at some remove: it may turn out to be the process's own.
    by_id: bool,
    /// The last guess on which that rests.
    guess: Option<Guess>,
}

/// What is told only if the answer of the request follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Guess {
    /// An async id of a thread is of the request that its turn worked for, although that worked for others as well.
    Id(ThreadKey, u64),
    /// A turn is of the request of whoever gave the message that it took.
    Message(ThreadKey, u64),
    /// The first call on the connection that an id of a thread names, made in a turn of none, is of the request that had it opened.
    Opened(ThreadKey, u64),
    /// A call that a turn wrote on a connection is of the request that the turn works for, and not of one that had waited for the connection.
    Passed(ThreadKey, u64, FileId),
}

impl Guess {
    fn thread(self) -> ThreadKey {
        match self {
            Self::Id(thread, _)
            | Self::Message(thread, _)
            | Self::Opened(thread, _)
            | Self::Passed(thread, ..) => thread,
        }
    }
}

/// All turns that are remembered.
#[derive(Debug)]
pub(super) struct Turns {
    threads: LruCache<ThreadKey, Thread>,
    /// Whom the next thing that is read from a connection is for.
    connections: LruCache<FileId, Resumes>,
    requests: Requests,
    /// Guesses that turned out right.
    confirmed: LruCache<Guess, ()>,
    /// Messages that lie in queues, and where they were given.
    queued: LruCache<(Tgid, u64), Position>,
    /// Messages that were taken, and on which guess it rests whose they were.
    taken: LruCache<Guess, Option<Guess>>,
    opened: Opened,
    passed: Passed,
    held: Held,
    /// How often has changed what findings rest on, by the keys of `findings`.
    changes: Changes,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            threads: LruCache::sparse(MAX_THREADS),
            connections: LruCache::sparse(MAX_CONNECTIONS),
            requests: Requests::default(),
            confirmed: LruCache::sparse(MAX_CONFIRMED),
            queued: LruCache::sparse(MAX_MESSAGES),
            taken: LruCache::sparse(MAX_MESSAGES),
            opened: Opened::default(),
            passed: Passed::default(),
            held: Held::default(),
            changes: Changes::default(),
        }
    }
}

impl Turns {
    /// Something moved in a turn. For reads, `read` is where from; for the last record of a call `whole` is true.
    pub(super) fn acted(
        &mut self,
        tgid: Tgid,
        execution: Execution,
        read: Option<FileId>,
        whole: bool,
    ) {
        let at = Position::of(tgid, execution);
        self.tell(at.thread, Told::Acted { at, read, whole });
    }

    /// A message was given in a turn.
    pub(super) fn gave(&mut self, tgid: Tgid, execution: Execution, message: u64) {
        self.acted(tgid, execution, None, true);
        let at = Position::of(tgid, execution);
        self.queued.push((tgid, message), at);
    }

    /// A message was taken at the beginning of a turn.
    pub(super) fn took(
        &mut self,
        tgid: Tgid,
        execution: Execution,
        message: u64,
        time: KernelNanos,
    ) {
        let at = Position::of(tgid, execution);
        let giver = self.queued.pop(&(tgid, message));
        self.tell(at.thread, Told::Took { at, giver, time });
    }

    /// The turns of a process are seen from now on, or not.
    pub(super) fn watched(&mut self, tgid: Tgid, watched: bool) {
        self.requests.watched(tgid, watched, &mut self.changes);
    }

    /// Whether the turns of a process are seen for a share of the time.
    pub(super) fn is_sampled(&self, tgid: Tgid) -> bool {
        self.requests.is_sampled(tgid)
    }

    /// A request was read from, or written to, a connection by a thread in a turn that is not known: who reads next there isn't either.
    pub(super) fn unseen(&mut self, tgid: Tgid, tid: Tid, file: FileId) {
        let thread = (tgid, u64::from(tid.0) << COUNT.count_ones());
        self.tell(thread, Told::Unseen { file });
    }

    /// A request was read in a turn.
    pub(super) fn began(&mut self, tgid: Tgid, file: FileId, execution: Execution, request: Seq) {
        self.requests.begun(tgid, request, &mut self.changes);
        let at = Position::of(tgid, execution);
        self.tell(at.thread, Told::Began { file, request });
    }

    /// A request was written: what is read next from the connection is for whom it was written for.
    pub(super) fn called(&mut self, tgid: Tgid, file: FileId, execution: Execution) {
        let at = Position::of(tgid, execution);
        self.tell(at.thread, Told::Called { file, at });
    }

    /// A request was answered; `execution` is who wrote the response, where that is known.
    pub(super) fn answered(
        &mut self,
        tgid: Tgid,
        request: Seq,
        execution: Option<Execution>,
        time: KernelNanos,
        watermark: Seq,
    ) {
        let changes = &mut self.changes;
        self.requests.ended(request, time, watermark, changes);
        let Some(execution) = execution else {
            self.requests.unseen(tgid, request, watermark, changes);
            return;
        };
        let at = Position::of(tgid, execution);
        self.requests.answering(request, changes);
        self.tell(at.thread, Told::Answered { request, at });
    }

    /// A turn ended.
    pub(super) fn ended(&mut self, tgid: Tgid, turn: &Turn, time: KernelNanos) {
        self.requests.turn_ended(tgid, time, &mut self.changes);
        let thread = Position::of(tgid, turn.execution).thread;
        self.tell(thread, Told::Ended { turn: *turn, time });
    }

    /// The running turn of a thread, which is that of `at` or a later one.
    fn running(&mut self, at: Position) -> &mut Running {
        let thread = self.thread(at.thread);
        if at.turn > thread.running.turn {
            // Its end, and so what it was, is lost.
            thread.running = Running::new(at.turn);
        }
        &mut thread.running
    }

    /// A turn ended, and so did the one in which what it took was given.
    fn end(&mut self, tgid: Tgid, turn: &Turn, time: KernelNanos) {
        let at = Position::of(tgid, turn.execution);
        let thread = self.thread(at.thread);
        let running = thread.take_running(at.turn);
        let mut ended = thread.ending(at.turn, turn, time);
        ended.serves = match turn.reads {
            0 => running.message.is_nothing() && thread.continued(&ended).is_some(),
            _ => matches!(running.resumes(), Some(Resumes::Request(_))),
        };
        ended.frees = turn.reads > 0 && !ended.serves;
        if let Taken::One { time, .. } = running.message {
            ended.begun = ended.begun.max(time);
        }
        let resumed = match running.message {
            Taken::Nothing => self.resumed(at.thread, &running, &ended, turn.reads),
            Taken::One { giver, .. } if running.reads == 0 && turn.reads == 0 => {
                self.handed(at.thread, at.turn, giver)
            }
            Taken::One { .. } | Taken::Unclear => None,
        };
        self.answers_first(&running, resumed);
        let giver = running.message.giver().map(|giver| giver.thread);
        let giver = giver.and_then(|giver| self.threads.peek(&giver));
        ended.starting = giver.and_then(|giver| giver.starting(time));
        let open = |worked: &Worked| self.requests.is_open(worked.request, ended.begun);
        ended.owner = resumed.filter(open);
        // Whoever is answered in it was woken by what another one had begun.
        ended.late = resumed.filter(|worked| !open(worked) && !ended.serves);
        let named = running.places.iter();
        let mut named: Vec<u64> = named
            .filter_map(|at| ended.named(at.0, at.1).other())
            .collect();
        // The id of a port stays, whoever sends.
        if turn.reads == 0 && running.message.is_nothing() {
            named.push(turn.root);
        }
        let begun = ended.begun;
        if let Some(request) = running.began().filter(|r| ended.works_for(*r)) {
            self.requests.followed(request);
        }
        if let Some(thread) = self.threads.get_mut(&at.thread) {
            thread.push(ended, turn.reads > 0, at.thread, &mut self.changes);
        }
        let mixed = running.places.iter().any(|(current, trigger)| {
            let place = Position {
                current: *current,
                trigger: *trigger,
                ..at
            };
            self.resolve(place).map(|w| w.request) != ended.owner.map(|w| w.request)
        });
        if let Some(thread) = self.threads.get_mut(&at.thread)
            && mixed
        {
            thread.mix();
        }
        for id in named {
            self.used(at.thread, id, begun);
        }
        for (request, at) in running.answers {
            self.check_answer(request, at);
        }
    }

    /// Something that an id was given to runs at `time`. What outlives the request that it was begun for belongs to
    /// the process, and then it never was evidence.
    fn used(&mut self, thread: ThreadKey, id: u64, time: KernelNanos) {
        let Some(turns) = self.threads.get_mut(&thread) else {
            return;
        };
        let Some(Worked { request, .. }) = turns.gave_out(id).and_then(|turn| turn.owner) else {
            return;
        };
        if self.requests.is_open(request, time) {
            turns.used.push(id, ());
        } else if turns.used.contains(&id) {
            self.requests.spoil(request, &mut self.changes);
        }
    }

    /// Whether a request was answered in a turn of its own.
    fn check_answer(&mut self, request: Seq, at: Position) {
        let worked = self.resolve(at).or_else(|| self.late(at));
        let owner = match worked {
            Some(Worked {
                request: of, guess, ..
            }) if of == request => {
                self.confirm(guess);
                Some(of)
            }
            worked => worked
                .filter(|worked| self.shows_a_queue(worked.guess))
                .map(|worked| worked.request),
        };
        let turn = self.threads.peek(&at.thread).and_then(|t| t.turn(at.turn));
        if owner.is_none()
            && let Some(since) = turn.and_then(|turn| turn.starting)
            && self
                .requests
                .is_beginning(at.thread.0, since, &mut self.changes)
        {
            return self
                .requests
                .answered_while_starting(request, &mut self.changes);
        }
        self.requests
            .answered_by(at.thread.0, request, owner, &mut self.changes);
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.changes.all_changed();
        cache::remove(&mut self.threads, |(of, _), _| *of == tgid);
        cache::remove(&mut self.confirmed, |guess, ()| guess.thread().0 == tgid);
        cache::remove(&mut self.taken, |guess, _| guess.thread().0 == tgid);
        cache::remove(&mut self.queued, |(of, _), _| *of == tgid);
        self.opened.process_ended(tgid);
        self.passed.process_ended(tgid);
        self.held.process_ended(tgid);
        self.requests.process_ended(tgid);
    }
}

#[cfg(test)]
mod tests;
