//! Tier 3, workers: whether the threads of a server take up one request at a time.
//!
//! A thread that reads requests without blocking may serve many at once, as an event loop does, or
//! one after the other, as the workers of Tomcat, Jetty and Puma do. Only their conduct tells: a
//! worker writes the response itself, before it reads another request or waits for events. So that
//! is counted, for each route, since in one server some handlers answer at once and others leave
//! that to another thread or a later event.
//!
//! It must be shown by requests that *overlapped* with others, if nothing else tells that they are workers: one at a time, an event loop looks
//! like a worker, and what else it does meanwhile would be given to the request.
//!
//! **Workers by name.** Of two servers it is known that their workers take one request at a time and nothing besides: Tomcat's
//! take what their queue holds (`SocketProcessor`, of `AbstractEndpoint`), Puma's run `Server#process_client`. The server
//! names these threads. One of them that reads a request and answers it was with it all the time, or, of an
//! asynchronous servlet, was given it again: then it can have done something for others in between, though only if there were others. So nothing that
//! overlaps is asked of a request that was read by such a thread while no other was in flight, and that is how a quiet service is served. That
//! a route is answered elsewhere counts against it as before. Where such a thread calls while no request is in flight, the service gives its
//! server's workers work of its own as well: that may come in between, and no name is believed in the process. So it is waited a while for what the first requests show.
//!
//! A request that was read by a thread which never answers any (Puma's reactor takes those that come
//! slowly) says nothing about the workers, and is not counted.
//!
//! The same count warns of servers that read with blocking calls and yet let another thread answer:
//! where that is usual, a thread that happens to do both has perhaps done other work in between.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::served::{Broken, Claim, Served};
use crate::exchange::Begun;
use crate::ids::Tid;

/// Routes that are counted per process.
const MAX_ROUTES: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

/// Threads that are remembered per process.
const MAX_KEEPERS: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Overlapping requests that the threads of a process must have kept to themselves.
const MIN_OVERLAPPED: u32 = 20;

/// Requests of a route that threads must have kept to themselves.
const MIN_KEPT: u32 = 5;

/// Of so many requests of a route one may have been answered elsewhere, for a route that is proven.
const ALLOWED: u32 = 200;

/// Requests that were alone with a worker, until which each waits for what others show.
const YOUNG: u32 = 100;

/// If one of so many is answered elsewhere, not even a thread that reads with blocking calls is
/// evidence.
const USUAL: u32 = 20;

/// How the requests of one process were answered.
#[derive(Debug)]
pub(super) struct Workers {
    overlapped: u32,
    routes: LruCache<u64, Route>,
    /// Threads that have answered what they had read.
    keepers: LruCache<Tid, ()>,
    /// Threads that are workers by their names, and have read requests.
    named: LruCache<Tid, ()>,
    /// Threads that called while no request was in flight.
    idle: LruCache<Tid, ()>,
    /// One of the former was one of the latter.
    misnamed: bool,
    /// Requests that were alone with a worker.
    alone: u32,
}

/// How the requests of one route were answered.
#[derive(Clone, Copy, Debug, Default)]
struct Route {
    /// By the thread that had read them, which did nothing else meanwhile.
    kept: u32,
    /// By another thread, or by one that had taken up another request.
    moved: u32,
    /// By a thread that waited for events, or that had not read all of it.
    shared: u32,
}

/// What the conduct of its process says about a confirmed claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// It holds.
    Good,
    /// It is not shown yet that threads serve one request at a time.
    Unknown,
    /// Requests of this route are often answered by other threads.
    HandsOver,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            overlapped: 0,
            routes: LruCache::sparse(MAX_ROUTES),
            keepers: LruCache::sparse(MAX_KEEPERS),
            named: LruCache::sparse(MAX_KEEPERS),
            idle: LruCache::sparse(MAX_KEEPERS),
            misnamed: false,
            alone: 0,
        }
    }
}

impl Workers {
    /// The key of a request's route.
    pub(super) fn route(begun: &Begun) -> u64 {
        super::exclusive::call_template(begun)
    }

    /// A thread has read a request that is by its name a worker.
    pub(super) fn reads(&mut self, worker: Tid) {
        self.named.push(worker, ());
        self.misnamed |= self.idle.contains(&worker);
    }

    /// A thread called while no request was in flight.
    pub(super) fn calls_idle(&mut self, tid: Tid) {
        self.idle.push(tid, ());
        self.misnamed |= self.named.contains(&tid);
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, served: &Served) {
        let answers = served.worker || self.keepers.contains(&served.tid);
        let route = self.routes.get_or_insert_mut(served.route, Route::default);
        match served.claim {
            Claim::Confirmed(_) => {
                self.keepers.push(served.tid, ());
                route.kept = route.kept.saturating_add(1);
                if served.overlaps {
                    self.overlapped = self.overlapped.saturating_add(1);
                }
                if served.worker && served.alone {
                    self.alone = self.alone.saturating_add(1);
                }
            }
            Claim::Broken(Broken::Unanswered) | Claim::Held(_) => {}
            Claim::Broken(_) if served.tentative && !answers => {}
            Claim::Broken(Broken::Shared) => route.shared = route.shared.saturating_add(1),
            Claim::Broken(_) => route.moved = route.moved.saturating_add(1),
        }
    }

    /// What is to be thought of the thread that served this request from its reading to its answer.
    /// `seen` if no other requests come in than those that are observed.
    pub(super) fn conduct(&self, served: &Served, seen: bool) -> Conduct {
        let route = self.routes.peek(&served.route).copied().unwrap_or_default();
        let by_name = served.worker && !self.misnamed;
        let rare = |count: u32, n: u32| count.saturating_mul(n) <= route.kept;
        if !rare(route.moved, USUAL) {
            return Conduct::HandsOver;
        }
        if !served.tentative {
            return Conduct::Good;
        }
        if !rare(route.moved.saturating_add(route.shared), ALLOWED) {
            Conduct::HandsOver
        } else if route.kept < MIN_KEPT || !(self.is_shown() || (by_name && served.alone && seen)) {
            Conduct::Unknown
        } else {
            Conduct::Good
        }
    }

    /// Whether so little is known yet of the workers of a process that more may speak against the thread which served this request.
    pub(super) fn is_young(&self, served: &Served) -> bool {
        served.tentative && served.worker && !self.is_shown() && self.alone < YOUNG
    }

    fn is_shown(&self) -> bool {
        self.overlapped >= MIN_OVERLAPPED
    }
}
