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
use turns::{Answer, Turn};

use crate::exchange::Begun;
use crate::ids::{FileId, KernelNanos, Seq, Tgid, Tid};
use crate::message::Moved;
use crate::record::{Direction, Execution};

/// Processes whose events are followed.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Threads whose turn is remembered.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Connections that are remembered.
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Acts that are remembered.
const MAX_ACTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Requests of a connection that are open at once, of more nothing is concluded.
const MAX_OPEN: usize = 64;

/// Acts that led to each other, at most: retries, subrequests.
const MAX_REMOVE: usize = 16;

/// In which order a process does things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What is done in the event of a connection comes right after it was read: nginx.
    Reads,
    /// Several connections are read first, then streams take their turns: HAProxy. Only what a stream logs right
    /// after it has answered is of the same event for certain.
    Streams,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub(super) tgid: Tgid,
    /// Its connection.
    pub(super) file: FileId,
    pub(super) request: Seq,
    /// When.
    pub(super) over: KernelNanos,
    /// What kind of request it was.
    pub(super) route: u64,
    /// Which thread, and which execution on it, wrote its response, if that is complete.
    pub(super) by: Option<(Tid, Option<Execution>)>,
}

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
        /// Before this the first of them was not taken up: it was not read, or another one not answered.
        since: KernelNanos,
        /// Several were open at once. Then what is done for the later ones begins without a read.
        muddled: bool,
        /// More were open than are remembered.
        crowded: bool,
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
    processes: LruCache<Tgid, Order>,
    threads: LruCache<Tid, Turn>,
    connections: LruCache<FileId, Connection>,
    acts: LruCache<ActId, Act>,
    habits: Habits,
    next: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            processes: LruCache::sparse(MAX_PROCESSES),
            threads: LruCache::sparse(MAX_THREADS),
            connections: LruCache::sparse(MAX_CONNECTIONS),
            acts: LruCache::sparse(MAX_ACTS),
            habits: Habits::default(),
            next: 0,
        }
    }
}

impl Events {
    /// A process handles its events so.
    pub(super) fn follow(&mut self, tgid: Tgid, order: Order) {
        self.processes.push(tgid, order);
    }

    /// Before when no stream can have taken up the oldest open request of a connection, if that is known.
    pub(super) fn taken_up(&self, file: FileId) -> Option<KernelNanos> {
        match self.connections.peek(&file)? {
            Connection::Inbound { since, crowded, .. } => (!crowded).then_some(*since),
            Connection::Outbound { .. } => None,
        }
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
        match self.processes.peek(&tgid)? {
            Order::Reads => {}
            // Streams that have answered take their turns again before anything is read.
            Order::Streams => {
                if direction == Direction::Read {
                    *self.turn(tid) = Turn::default();
                }
                return None;
            }
        }
        match direction {
            Direction::Read => {
                let event = self.event_of(file);
                *self.turn(tid) = Turn::of(event);
                None
            }
            Direction::Write => {
                self.turn(tid).answers.clear();
                match self.connections.get(&file) {
                    Some(Connection::Inbound { open, muddled, .. }) => {
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
        if self.processes.peek(&tgid) == Some(&Order::Reads) {
            self.turn(tid).answers.clear();
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
            since: begun.moved.time,
            muddled: false,
            crowded: false,
        };
        let connection = self.connections.get_or_insert_mut(begun.file, fresh);
        if matches!(connection, Connection::Outbound { .. }) {
            *connection = fresh();
        }
        if let Connection::Inbound {
            open,
            since,
            muddled,
            crowded,
        } = connection
        {
            if open.is_empty() {
                *since = begun.moved.time;
            }
            *crowded |= open.len() == MAX_OPEN;
            if !*crowded {
                open.push(begun.seq);
            }
            *muddled |= *crowded || open.len() > 1;
        }
        let event = self.event_of(begun.file);
        *self.turn(begun.moved.tid) = Turn::of(event);
    }

    /// A request is over.
    pub(super) fn ended(&mut self, request: &Over) {
        let Over {
            tgid,
            file,
            request,
            over,
            route,
            by,
        } = *request;
        if !self.follows(tgid) {
            return;
        }
        if let Some(Connection::Inbound {
            open,
            since,
            muddled,
            crowded,
        }) = self.connections.get_mut(&file)
        {
            open.retain(|seq| *seq != request);
            *since = over;
            *muddled &= *crowded || !open.is_empty();
        }
        if let Some((tid, execution)) = by {
            self.habits.answered(tgid, route);
            let answer = Answer {
                request,
                route,
                since: over,
                execution,
                logs: SmallVec::new(),
            };
            self.turn(tid).answered(answer);
        }
    }

    /// The act that a call is, which has just been written on a connection.
    pub(super) fn called(&self, tgid: Tgid, file: FileId) -> Option<Sign> {
        if self.processes.peek(&tgid) != Some(&Order::Reads) {
            return None;
        }
        match self.connections.peek(&file)? {
            Connection::Outbound { act, .. } => act.map(Sign::Asked),
            Connection::Inbound { .. } => None,
        }
    }

    /// After which answer a line was logged; `log` names where to.
    pub(super) fn logged(&mut self, tgid: Tgid, tid: Tid, log: u64, moved: &Moved) -> Option<Sign> {
        let order = *self.processes.peek(&tgid)?;
        let by = match order {
            Order::Reads => None,
            Order::Streams => Some(moved.sole_execution()?),
        };
        let answer = self.threads.get_mut(&tid)?.last_answer(by)?;
        let seen = answer.logs.contains(&log) || answer.logs.len() == MAX_LOGS;
        if moved.since < answer.since || seen {
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
