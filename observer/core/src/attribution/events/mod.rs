//! Tier 4, events of a proxy: what is done between a read and the next one is done for the request whose
//! connection was read.
//!
//! nginx serves thousands of requests on a thread, but each of its events is of one connection, and handlers run
//! one after the other: the request's head is read, and the call written (or its connection made) before
//! anything else is; the response is read, and passed on before anything else is; then the line is logged (nginx,
//! `src/http/ngx_http_upstream.c`, `ngx_http_request.c`: `ngx_http_free_request` calls the log handlers).
//!
//! Neither half of that is proof. What is delayed (`limit_req`), retried after a time-out or woken (a name that was
//! resolved, a lock of the cache, a timer of a module) runs after the last event of the turn, with no read of its
//! own, and looks like that one's work. But it is answered in an event of its own. So a call counts
//! only if both halves name the same request: its event read the request's head, or a response that was
//! asked for there; and what was done first after the call's response had been read was writing on that request's
//! connection, or a further call for which the same holds. Where they differ nothing is concluded, and a process
//! in which that happens often is no longer believed.

mod evidence;
mod habits;
mod turns;

use std::hash::BuildHasher;
use std::num::NonZeroUsize;

use foldhash::fast::FixedState;
use habits::Habits;
pub(super) use habits::Logged;
use lru::LruCache;
use smallvec::SmallVec;
use turns::{Answer, Event, Turn};

use crate::exchange::Begun;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::record::Direction;

/// Processes whose events are followed.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Threads whose turn is remembered.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Connections that are remembered.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Acts that are remembered.
const MAX_ACTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Acts that led to each other, at most: retries, subrequests.
const MAX_REMOVE: usize = 16;

/// Something asked for on a connection to elsewhere, mostly a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ActId(u64);

/// What events say of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It is what was asked for by this act.
    Asked(ActId),
    /// It was logged after an answer.
    Logged(Logged),
}

/// For which request an act was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its response was not seen to lead anywhere yet.
    Open,
    /// Its response went to the request.
    Agreed,
    /// Its response went to another one.
    Differs(Seq),
}

#[derive(Debug)]
struct Act {
    /// The request in whose event, at whatever remove, it was done.
    request: Seq,
    /// The act whose response's event it was done in; `None` if it was the request's own.
    within: Option<ActId>,
    state: State,
    /// What came first after its response is known.
    led: bool,
}

#[derive(Debug)]
enum Connection {
    /// Requests come in on it: those that are not answered.
    Inbound {
        open: SmallVec<[Seq; 1]>,
        /// Several were open at once. Then what is done for the later ones begins without a read.
        muddled: bool,
    },
    /// Something is asked for on it.
    Outbound {
        act: Option<ActId>,
        /// Nothing was written on it since it was made, or nothing read since it was written on: what is written goes with that.
        pending: bool,
    },
}

/// What is known of events.
#[derive(Debug)]
pub(super) struct Events {
    processes: LruCache<Tgid, ()>,
    threads: LruCache<Tid, Turn>,
    connections: LruCache<FileId, Connection>,
    acts: LruCache<ActId, Act>,
    habits: Habits,
    next: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            processes: LruCache::new(MAX_PROCESSES),
            threads: LruCache::new(MAX_THREADS),
            connections: LruCache::new(MAX_CONNECTIONS),
            acts: LruCache::new(MAX_ACTS),
            habits: Habits::default(),
            next: 0,
        }
    }
}

impl Events {
    /// Events of a process are of one connection each.
    pub(super) fn follow(&mut self, tgid: Tgid) {
        self.processes.push(tgid, ());
    }

    fn follows(&self, tgid: Tgid) -> bool {
        self.processes.contains(&tgid)
    }

    /// A thread has waited for events.
    pub(super) fn waited(&mut self, tid: Tid) {
        self.threads.pop(&tid);
    }

    /// A thread moved bytes on a connection, or met its end. Returns whether the response of an act went where it belongs, if
    /// that is known just now.
    pub(super) fn moved(
        &mut self,
        tgid: Tgid,
        tid: Tid,
        file: FileId,
        direction: Direction,
    ) -> Option<bool> {
        if !self.follows(tgid) {
            return None;
        }
        match direction {
            Direction::Read => {
                let event = self.event_of(file);
                *self.turn(tid) = Turn::of(event);
                None
            }
            Direction::Write => {
                self.turn(tid).answer = None;
                match self.connections.get(&file) {
                    Some(Connection::Inbound { open, muddled }) => {
                        let request = open.first().copied().filter(|_| !muddled);
                        self.passes_on(tid, request)
                    }
                    Some(Connection::Outbound { pending: true, .. }) => {
                        self.goes_on(tid, file);
                        None
                    }
                    _ => {
                        self.asks(tid, file);
                        None
                    }
                }
            }
        }
    }

    /// A thread began to make a connection.
    pub(super) fn connects(&mut self, tgid: Tgid, tid: Tid, file: FileId) {
        if self.follows(tgid) {
            self.turn(tid).answer = None;
            self.asks(tid, file);
        }
    }

    /// A request has come in, with what its thread has just read.
    pub(super) fn began(&mut self, begun: &Begun) {
        if !self.follows(begun.tgid) {
            return;
        }
        let fresh = || Connection::Inbound {
            open: SmallVec::new(),
            muddled: false,
        };
        let connection = self.connections.get_or_insert_mut(begun.file, fresh);
        if matches!(connection, Connection::Outbound { .. }) {
            *connection = fresh();
        }
        if let Connection::Inbound { open, muddled } = connection {
            // Only the first is ever asked for.
            if open.len() < 2 {
                open.push(begun.seq);
            }
            *muddled |= open.len() > 1;
        }
        let event = self.event_of(begun.file);
        *self.turn(begun.moved.tid) = Turn::of(event);
    }

    /// A request is over; `answered` says when which thread wrote the end of its response, and `route` what kind of request it was.
    pub(super) fn ended(
        &mut self,
        (tgid, file, request): (Tgid, FileId, Seq),
        route: u64,
        answered: Option<(Tid, KernelNanos)>,
    ) {
        if !self.follows(tgid) {
            return;
        }
        if let Some(Connection::Inbound { open, muddled }) = self.connections.get_mut(&file) {
            open.retain(|seq| *seq != request);
            *muddled &= !open.is_empty();
        }
        if let Some((tid, since)) = answered {
            self.habits.answered(tgid, route);
            *self.turn(tid) = Turn {
                event: Event::Unknown,
                answer: Some(Answer {
                    request,
                    route,
                    since,
                    logs: SmallVec::new(),
                }),
            };
        }
    }

    /// The act that a call is, which has just been written on a connection.
    pub(super) fn called(&self, tgid: Tgid, file: FileId) -> Option<Sign> {
        if !self.follows(tgid) {
            return None;
        }
        match self.connections.peek(&file)? {
            Connection::Outbound { act, .. } => act.map(Sign::Asked),
            Connection::Inbound { .. } => None,
        }
    }

    /// After which answer a line was logged at `time`; `log` names where to.
    pub(super) fn logged(
        &mut self,
        tgid: Tgid,
        tid: Tid,
        log: u64,
        time: KernelNanos,
    ) -> Option<Sign> {
        let answer = self.threads.get_mut(&tid)?.answer.as_mut()?;
        if time < answer.since || answer.logs.contains(&log) || answer.logs.len() == MAX_LOGS {
            return None;
        }
        answer.logs.push(log);
        let (request, route) = (answer.request, answer.route);
        let logged = Logged {
            request,
            route,
            log,
        };
        self.habits.logged(tgid, logged);
        Some(Sign::Logged(logged))
    }

    /// A connection was closed.
    pub(super) fn closed(&mut self, file: FileId) {
        self.connections.pop(&file);
    }

    /// A thread ended.
    pub(super) fn thread_ended(&mut self, tid: Tid) {
        self.threads.pop(&tid);
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        self.processes.pop(&tgid);
    }

    /// For which request an act was, as its event says, and what its response says of that.
    pub(super) fn act(&self, id: ActId) -> Option<(Seq, State)> {
        let act = self.acts.peek(&id)?;
        Some((act.request, act.state))
    }

    /// Whether requests of this kind are always followed by a line in this log; `None` before it is known.
    pub(super) fn is_habit(&self, tgid: Tgid, logged: &Logged) -> Option<bool> {
        self.habits.holds(tgid, logged)
    }
}

/// Logs in which the lines after one answer are told apart.
const MAX_LOGS: usize = 4;

/// The number of a log, by what the output calls it.
pub(super) fn name(log: &str) -> u64 {
    FixedState::default().hash_one(log)
}
