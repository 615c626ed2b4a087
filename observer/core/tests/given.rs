//! Stories of an asynchronous client: idle workers are woken for tasks, and a selector moves the bytes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::take::PROBE;
use observer_core::facts::Runtime;
use observer_core::judged::{Role, Tier};
use world::{STEP, Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
const SECOND: u64 = 1_000_000_000;
/// Threads that serve; each wakes a worker, numbered by as much more.
const SERVING: std::ops::Range<u32> = 20..24;
const WORKERS: u32 = 20;
const SELECTOR: u32 = 60;
/// Who wakes the threads that wait for a response.
const COMPLETER: u32 = 61;
/// Where threads are parked.
const PARKED: u64 = 0x1000;

/// What happens in a round.
#[derive(Clone, Copy, PartialEq)]
enum Round {
    /// The worker that is woken makes the call, and who woke it waits.
    Given,
    /// Who woke it does not wait for that call: it was another one's.
    Stolen,
    /// As in `Given`; and threads that serve take connections for calls of their own.
    Own,
}

struct Client {
    w: World,
    sockets: Vec<(Socket, Socket)>,
    rounds: u64,
}

impl Client {
    fn new() -> Self {
        let mut w = World::new();
        w.runs_on(SHOP, Runtime::Java);
        let sockets = (0..4)
            .map(|i| {
                let server = w.tcp(SHOP, 80, 5000 + i, false);
                (server, w.tcp(SHOP, 6000 + i, 90, true))
            })
            .collect();
        Self {
            w,
            sockets,
            rounds: 0,
        }
    }

    /// The selector calls and reads the response.
    fn call(&mut self, client: Socket, target: &str) {
        self.w.write(SELECTOR, client, request(target, ""));
        self.w.sleep(STEP);
        self.w.read(SELECTOR, client, response());
    }

    /// A thread wakes the worker that belongs to it.
    fn wake(&mut self, tid: u32) {
        let since = self.w.now() - STEP;
        let word = PARKED + u64::from(tid + WORKERS) * 64;
        self.w.woke(SHOP, tid + WORKERS, tid, word, since);
    }

    /// A thread that has waited since then is woken.
    fn complete(&mut self, tid: u32, since: u64) {
        let word = PARKED + u64::from(tid) * 64;
        self.w.woke(SHOP, tid, COMPLETER, word, since);
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
        let out = self.w.stdout(SHOP);
        for (tid, server, _, n) in &lanes {
            let inbound = request(&format!("/in/{n}"), &traceparent(n + 1, 1));
            self.w.read(*tid, *server, inbound);
        }
        for (tid, _, client, n) in &lanes {
            if how == Round::Own {
                self.w.touch(*tid, *client, PROBE);
                self.call(*client, &format!("/own/{n}"));
            }
            self.wake(*tid);
            let since = self.w.now();
            self.w.touch(tid + WORKERS, *client, PROBE);
            if how == Round::Stolen {
                self.w.write(*tid, out, "on we go\n");
            }
            self.call(*client, &format!("/out/{n}"));
            self.complete(*tid, since);
        }
        for (tid, server, _, _) in &lanes {
            self.w.write(*tid, *server, response());
        }
        self.w.sleep(SECOND / 20);
        self.w.tick();
    }

    fn rounds(mut self, how: Round) -> Self {
        for _ in 0..40 {
            self.round(how);
        }
        self
    }

    fn told(mut self) -> Told {
        self.w.sleep(10 * SECOND);
        self.w.tick();
        self.w.told()
    }
}

/// Calls whose target begins so: how many there are, were given to a request by hand-off, and to the wrong one.
fn given(told: &Told, prefix: &str) -> (usize, usize, usize) {
    let served = told.exchanges(Role::Server);
    let mut counts = (0, 0, 0);
    for call in told.exchanges(Role::Client) {
        let Some(n) = call.target.strip_prefix(prefix) else {
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

#[test]
fn an_idle_worker_calls_for_the_thread_that_wakes_it_and_waits() {
    let told = Client::new().rounds(Round::Given).told();
    let (calls, given, wrong) = given(&told, "/out/");
    assert_eq!((calls, wrong), (160, 0));
    // The first ones were made before the process was followed.
    assert!(given >= 130, "{given} of {calls}");
}

#[test]
fn too_few_cases_prove_nothing() {
    let mut client = Client::new();
    for _ in 0..20 {
        client.round(Round::Given);
    }
    assert_eq!(given(&client.told(), "/out/"), (80, 0, 0));
}

#[test]
fn where_wakers_do_not_wait_nothing_is_believed() {
    assert_eq!(
        given(&Client::new().rounds(Round::Stolen).told(), "/out/"),
        (160, 0, 0)
    );
    let mut mixed = Client::new().rounds(Round::Given);
    mixed.round(Round::Stolen);
    mixed.w.sleep(SECOND);
    let (calls, given, wrong) = given(&mixed.rounds(Round::Given).told(), "/out/");
    assert_eq!((calls, wrong), (324, 0));
    assert!(given <= 160, "{given} were given after it had shown");
}

#[test]
fn where_threads_of_requests_call_themselves_their_wakes_are_not_believed() {
    let told = Client::new().rounds(Round::Own).told();
    assert_eq!(given(&told, "/out/"), (160, 0, 0));
}

/// That a thread looks again at the connection that it looked at last is not told.
#[test]
fn what_a_worker_may_have_taken_unseen_comes_before_what_was_seen() {
    let mut client = Client::new().rounds(Round::Given);
    let (server, own) = client.sockets[0];
    let other = client.w.tcp(SHOP, 7000, 90, true);
    let tid = SERVING.start;
    client.w.touch(tid + WORKERS, own, PROBE);
    client
        .w
        .read(tid, server, request("/in/900", &traceparent(901, 1)));
    client.wake(tid);
    let since = client.w.now();
    // The task that it was given: unseen. Then one of somebody else, for whom it was not woken.
    client.w.touch(tid + WORKERS, other, PROBE);
    client.w.write(SELECTOR, other, request("/poll", ""));
    client.w.write(SELECTOR, own, request("/out/900", ""));
    client.w.read(SELECTOR, other, response());
    client.w.read(SELECTOR, own, response());
    client.complete(tid, since);
    client.w.write(tid, server, response());
    let told = client.told();
    assert_eq!(told.call("/poll").request, None);
    assert!(given(&told, "/out/").1 >= 130);
}
