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
//! A process may be watched for a share of the time (`gaps`): then only requests count of which everything was seen that
//! may speak against them.

mod gaps;
mod owners;
mod requests;
mod thread;

use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use super::executions::{Finding, Now, OVERLAPS, Owner};
use crate::ids::{FileId, KernelNanos, Seq, Tgid};
use crate::record::{Execution, Turn};
use requests::{Requests, Standing};
use thread::{Resumes, Running, Thread};

/// Threads that run event loops, remembered at once.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Connections whose users are remembered at once.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Guesses that turned out right, remembered at once.
const MAX_CONFIRMED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

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
    /// The last id on which that rests although the turn that gave it out worked for others as well.
    guess: Option<Guess>,
}

/// An async id of a thread of which it is guessed to be of the request that most of its turn worked for.
type Guess = (ThreadKey, u64);

/// All turns that are remembered.
#[derive(Debug)]
pub(super) struct Turns {
    threads: LruCache<ThreadKey, Thread>,
    /// Whom the next thing that is read from a connection is for.
    connections: LruCache<FileId, Resumes>,
    requests: Requests,
    /// Guesses that turned out right.
    confirmed: LruCache<Guess, ()>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            threads: LruCache::new(MAX_THREADS),
            connections: LruCache::new(MAX_CONNECTIONS),
            requests: Requests::default(),
            confirmed: LruCache::new(MAX_CONFIRMED),
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
        let resumes = read.and_then(|file| self.connections.get(&file).copied());
        let running = self.running(at);
        match read {
            Some(file) => running.read(file, resumes, whole),
            None => running.at(at.current, at.trigger),
        }
    }

    /// The turns of a process are seen from now on, or not.
    pub(super) fn watched(&mut self, tgid: Tgid, watched: bool) {
        self.requests.gaps(tgid).watched(watched);
    }

    /// Whether the turns of a process are seen for a share of the time.
    pub(super) fn is_sampled(&self, tgid: Tgid) -> bool {
        self.requests.is_sampled(tgid)
    }

    /// A request was read from, or written to, a connection in a turn that is not known: who reads next there isn't either.
    pub(super) fn unseen(&mut self, file: FileId) {
        self.connections.pop(&file);
    }

    /// A request was read in a turn.
    pub(super) fn began(&mut self, tgid: Tgid, file: FileId, request: Seq) {
        self.requests.begun(tgid, request);
        self.connections.push(file, Resumes::Request(request));
        let Some(thread) = self.last_reader(tgid, file) else {
            return;
        };
        if let Some(thread) = self.threads.get_mut(&thread) {
            thread.running.begins(request);
        }
    }

    /// The thread whose running turn has read from a connection.
    fn last_reader(&self, tgid: Tgid, file: FileId) -> Option<ThreadKey> {
        let mut threads = self.threads.iter();
        threads
            .find(|(key, thread)| key.0 == tgid && thread.running.has_read(file))
            .map(|(key, _)| *key)
    }

    /// A request was written: what is read next from the connection is for whom it was written for.
    pub(super) fn called(&mut self, tgid: Tgid, file: FileId, execution: Execution) {
        let at = Position::of(tgid, execution);
        self.connections.push(file, Resumes::Caller(at));
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
        self.requests.ended(request, time, watermark);
        let Some(execution) = execution else {
            self.requests.unseen(tgid, request, watermark);
            return;
        };
        let at = Position::of(tgid, execution);
        let running = self.running(at);
        if running.turn == at.turn {
            running.answers.push((request, at));
            self.requests.answering(request);
        } else {
            self.check_answer(request, at);
        }
    }

    /// The running turn of a thread, which is that of `at` or a later one.
    fn running(&mut self, at: Position) -> &mut Running {
        let thread = self.threads.get_or_insert_mut(at.thread, Thread::default);
        if at.turn > thread.running.turn {
            // Its end, and so what it was, is lost.
            thread.running = Running::new(at.turn);
        }
        &mut thread.running
    }

    /// A turn ended.
    pub(super) fn ended(&mut self, tgid: Tgid, turn: &Turn, time: KernelNanos) {
        let at = Position::of(tgid, turn.execution);
        self.requests.gaps(tgid).turn_ended(time);
        let thread = self.threads.get_or_insert_mut(at.thread, Thread::default);
        let running = thread.take_running(at.turn);
        let mut ended = thread.ending(at.turn, turn, time);
        ended.serves = match turn.reads {
            0 => thread.continued(&ended).is_some(),
            _ => matches!(running.resumes(), Some(Resumes::Request(_))),
        };
        let resumed = self.resumed(at.thread, &running, &ended, turn.reads);
        let open = |worked: &Worked| self.requests.is_open(worked.request, ended.begun);
        ended.owner = resumed.filter(open);
        // Whoever is answered in it was woken by what another one had begun.
        ended.late = resumed.filter(|worked| !open(worked) && !ended.serves);
        let named = running.places.iter();
        let mut named: Vec<u64> = named
            .filter_map(|at| ended.named(at.0, at.1).other())
            .collect();
        if turn.reads == 0 {
            named.push(turn.root);
        }
        let begun = ended.begun;
        if let Some(request) = running.began().filter(|r| ended.works_for(*r)) {
            self.requests.followed(request);
        }
        if let Some(thread) = self.threads.get_mut(&at.thread) {
            thread.push(ended, turn.reads > 0);
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
            self.requests.spoil(request);
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
                .filter(|worked| self.is_confirmed(worked.guess))
                .map(|worked| worked.request),
        };
        self.requests.answered_by(at.thread.0, request, owner);
    }

    /// For which request something was done, as far as that is certain by now.
    pub(super) fn owner(&self, tgid: Tgid, execution: Execution, now: Now) -> Finding {
        let at = Position::of(tgid, execution);
        let thread = self.threads.peek(&at.thread);
        if thread.is_some_and(|thread| thread.running.turn <= at.turn) {
            return Finding {
                owner: Owner::Unknown,
                settled: false,
            };
        }
        let settled = |owner| Finding {
            owner,
            settled: true,
        };
        let Some(worked) = self.resolve(at) else {
            return settled(Owner::Unknown);
        };
        let Worked {
            request,
            by_id,
            guess,
        } = worked;
        let wait = if by_id { OUTLIVES } else { 0 };
        match self.requests.standing(tgid, request, wait) {
            Standing::Forgotten | Standing::Unproven => settled(Owner::Unknown),
            Standing::Unwatched => settled(Owner::Unwatched),
            // The end of the turn may be lost.
            Standing::Answering(since) if now.time.since(since) > OVERLAPS => {
                settled(Owner::Unknown)
            }
            Standing::Open | Standing::Answering(_) => Finding {
                owner: Owner::Answered(request),
                settled: false,
            },
            Standing::Shared => settled(Owner::Shared),
            Standing::Proven { .. } if !self.is_confirmed(guess) => settled(Owner::Unknown),
            Standing::Doubtful { since, young } => Finding {
                owner: Owner::Shared,
                settled: !young || since.is_some_and(|since| now.time.since(since) > OVERLAPS),
            },
            Standing::Proven {
                until,
                watermark,
                usual,
            } => Finding {
                owner: Owner::Answered(request),
                settled: now.time.since(until) > OVERLAPS
                    || (usual && now.all_before_ended(watermark) && now.time.since(until) >= wait),
            },
        }
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.threads, |(of, _), _| *of == tgid);
        cache::remove(&mut self.confirmed, |((of, _), _), ()| *of == tgid);
        self.requests.process_ended(tgid);
    }
}

#[cfg(test)]
mod tests;
