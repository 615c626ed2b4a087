//! Threads of pools: who waits for what they do, and what only looks like it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Reason, Role, Tier};
use world::{STEP, Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
const SECOND: u64 = 1_000_000_000;
/// Threads that serve; each has a worker, numbered by as much more.
const SERVING: std::ops::Range<u32> = 20..24;
const WORKERS: u32 = 20;
/// Futexes: of results and of a lock, by thread.
const RESULT: u64 = 0x1000;
const LOCK: u64 = 0x9000;

/// Four threads that serve, and a pool that makes their calls, none of which carries anything.
struct Pool {
    w: World,
    sockets: Vec<(Socket, Socket)>,
    rounds: u64,
}

/// What may happen in a round.
#[derive(Clone, Copy, PartialEq)]
enum Round {
    /// Each worker wakes the thread that waits for it.
    Tasks,
    /// The workers are done before anybody waits; then each wakes another thread, at a lock.
    Locks,
    /// Nobody serves, workers call all the same; then as in `Tasks`.
    Background,
    /// As in `Tasks`; and threads that serve hold a lock during calls of their own.
    LockedCalls,
}

impl Pool {
    fn new() -> Self {
        let mut w = World::new();
        let sockets = (0..4)
            .map(|i| {
                let server = w.tcp(SHOP, 80, 5000 + i, false);
                (server, w.tcp(SHOP, 6000 + i, 90, false))
            })
            .collect();
        Self {
            w,
            sockets,
            rounds: 0,
        }
    }

    fn call(&mut self, tid: u32, client: Socket, target: &str) {
        self.w.write(tid, client, request(target, ""));
        self.w.sleep(STEP);
        self.w.read(tid, client, response());
    }

    /// Four requests at a time; the call for `/in/N` is `/out/N`, by thread N modulo 4.
    fn round(&mut self, how: Round) {
        let base = self.rounds * 4;
        self.rounds += 1;
        let lanes: Vec<(u32, Socket, Socket, u64)> = SERVING
            .zip(self.sockets.clone())
            .zip(base..)
            .map(|((tid, (server, client)), n)| (tid, server, client, n))
            .collect();
        if how == Round::Background {
            for (tid, _, client, n) in &lanes {
                self.call(tid + WORKERS, *client, &format!("/out/{n}"));
            }
        }
        for (tid, server, _, n) in &lanes {
            let inbound = request(&format!("/in/{n}"), &traceparent(n + 1, 1));
            self.w.read(*tid, *server, inbound);
        }
        let since = self.w.now() + 1;
        for (tid, _, client, n) in &lanes {
            self.call(tid + WORKERS, *client, &format!("/out/{n}"));
        }
        for (i, (tid, _, client, n)) in lanes.iter().enumerate() {
            let word = |base: u64| base + u64::from(*tid) * 64;
            if how == Round::Locks {
                let other = lanes[(i + 1) % lanes.len()].0 + WORKERS;
                let now = self.w.now();
                self.w.woke(SHOP, *tid, other, word(LOCK), now);
                continue;
            }
            self.w.woke(SHOP, *tid, tid + WORKERS, word(RESULT), since);
            if how == Round::LockedCalls {
                let other = lanes[(i + 1) % lanes.len()].0;
                let now = self.w.now();
                self.call(*tid, *client, &format!("/own/{n}"));
                self.w.woke(SHOP, other, *tid, word(LOCK), now);
            }
        }
        for (tid, server, _, _) in &lanes {
            self.w.write(*tid, *server, response());
        }
        self.w.sleep(SECOND / 10);
        self.w.tick();
    }

    fn told(mut self, how: Round) -> Told {
        for _ in 0..20 {
            self.round(how);
        }
        self.w.sleep(10 * SECOND);
        self.w.tick();
        self.w.told()
    }
}

/// Calls of workers: how many there are, were given to a request by hand-off, and to the wrong one.
fn given(told: &Told) -> (usize, usize, usize) {
    let served = told.exchanges(Role::Server);
    let mut counts = (0, 0, 0);
    for call in told.exchanges(Role::Client) {
        let Some(n) = call.target.strip_prefix("/out/") else {
            continue;
        };
        counts.0 += 1;
        let Some(request) = call.request else {
            continue;
        };
        let tier = call.attribution.as_ref().and_then(|a| a.tier);
        assert_eq!(tier, Some(Tier::HandOff));
        counts.1 += 1;
        let right = served
            .iter()
            .any(|s| s.id == request && s.target.strip_prefix("/in/") == Some(n));
        counts.2 += usize::from(!right);
    }
    counts
}

fn reasons(told: &Told) -> Vec<Reason> {
    told.exchanges(Role::Client)
        .iter()
        .filter_map(|call| call.attribution.as_ref()?.reason.clone())
        .collect()
}

#[test]
fn what_a_worker_did_is_for_the_thread_that_it_wakes() {
    let (calls, given, wrong) = given(&Pool::new().told(Round::Tasks));
    assert_eq!((calls, wrong), (80, 0));
    // The first ones were done before the process was followed.
    assert!(given >= 60, "{given} of {calls}");
}

#[test]
fn a_lock_that_is_released_after_a_response_names_nobody() {
    assert_eq!(given(&Pool::new().told(Round::Locks)), (80, 0, 0));
}

#[test]
fn work_that_is_done_without_requests_too_needs_proof() {
    let told = Pool::new().told(Round::Background);
    assert_eq!(given(&told), (160, 0, 0));
    assert!(reasons(&told).contains(&Reason::UnprovenWakes));
}

#[test]
fn where_locks_are_held_during_calls_nothing_is_believed_without_proof() {
    let told = Pool::new().told(Round::LockedCalls);
    assert_eq!(given(&told), (80, 0, 0));
    assert!(reasons(&told).contains(&Reason::UnprovenWakes));
}
