//! Stories of virtual threads: they leave their thread whenever they wait, and go on on any other.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::runtime::{JAVA, NONE};
use observer_abi::take::{CONNECT, PROBE};
use observer_core::facts::Runtime;
use observer_core::judged::Tier;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Threads that virtual threads run on.
const CARRIERS: [u32; 2] = [11, 12];
/// The client's selector.
const SELECTOR: u32 = 30;
/// Virtual threads that serve a request each.
const A: u64 = 101;
const B: u64 = 102;

/// Two requests, each read by a virtual thread, both on one carrier.
struct Two {
    w: World,
    a: Socket,
    b: Socket,
}

impl Two {
    fn new() -> Self {
        let mut w = World::new();
        w.runs_on(SHOP, Runtime::Java);
        let (a, b) = w.serves_both(SHOP, true);
        w.run(CARRIERS[0], JAVA, A);
        w.read(CARRIERS[0], a, request("/a", &traceparent(1, 1)));
        w.run(CARRIERS[0], JAVA, B);
        w.read(CARRIERS[0], b, request("/b", &traceparent(2, 2)));
        Self { w, a, b }
    }

    fn client(&mut self, port: u16) -> Socket {
        self.w.tcp(SHOP, port, 90, true)
    }

    /// A call on a carrier, or on another thread, as what runs there.
    fn call(&mut self, tid: u32, client: Socket, target: &str) {
        self.w.calls(tid, client, target);
    }

    fn told(mut self) -> Told {
        self.w.run(CARRIERS[1], JAVA, A);
        self.w.write(CARRIERS[1], self.a, response());
        self.w.run(CARRIERS[0], JAVA, B);
        self.w.write(CARRIERS[0], self.b, response());
        self.w.sleep(10_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

/// The request, if any, that a call was given to, and the tier.
fn owner(told: &Told, call: &str) -> (Option<String>, Option<Tier>) {
    let (request, tier, _) = told.owner(call);
    (request, tier)
}

fn given(to: &str, tier: Tier) -> (Option<String>, Option<Tier>) {
    (Some(to.to_owned()), Some(tier))
}

#[test]
fn it_is_itself_on_whatever_thread_it_runs() {
    let mut two = Two::new();
    let (first, second) = (two.client(6000), two.client(6001));
    two.w.run(CARRIERS[1], JAVA, A);
    two.call(CARRIERS[1], first, "/for-a");
    two.w.run(CARRIERS[1], JAVA, B);
    two.call(CARRIERS[1], second, "/for-b");
    let told = two.told();
    assert_eq!(owner(&told, "/for-a"), given("/a", Tier::Execution));
    assert_eq!(owner(&told, "/for-b"), given("/b", Tier::Execution));
}

#[test]
fn one_that_answers_nothing_works_for_nobody() {
    let mut two = Two::new();
    let client = two.client(6000);
    two.w.run(CARRIERS[0], JAVA, 900);
    two.call(CARRIERS[0], client, "/poll");
    assert_eq!(owner(&two.told(), "/poll"), (None, None));
}

/// A pooled connection, which the second virtual thread has connected.
fn pooled(two: &mut Two) -> Socket {
    let client = two.client(6000);
    two.w.run(CARRIERS[1], JAVA, B);
    two.w.touch(CARRIERS[1], client, CONNECT);
    two.call(SELECTOR, client, "/first");
    client
}

#[test]
fn the_one_that_took_the_connection_made_the_call_that_a_selector_writes() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.run(CARRIERS[1], JAVA, A);
    two.w.touch(CARRIERS[1], client, PROBE);
    // Another one goes on on the same thread meanwhile.
    let other = two.client(6001);
    two.w.run(CARRIERS[1], JAVA, B);
    two.call(CARRIERS[1], other, "/for-b");
    two.call(SELECTOR, client, "/for-a");
    let told = two.told();
    assert_eq!(owner(&told, "/for-a"), given("/a", Tier::HandOff));
    assert_eq!(owner(&told, "/for-b"), given("/b", Tier::Execution));
    // Connected without waiting, by a client of which too little is known.
    assert_eq!(owner(&told, "/first"), (None, None));
}

#[test]
fn one_that_goes_on_with_another_connection_may_have_given_it_back() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.run(CARRIERS[1], JAVA, A);
    two.w.touch(CARRIERS[1], client, PROBE);
    let other = two.client(6001);
    two.w.run(CARRIERS[0], JAVA, A);
    two.call(CARRIERS[0], other, "/own");
    two.call(SELECTOR, client, "/whose");
    let told = two.told();
    assert_eq!(owner(&told, "/own"), given("/a", Tier::Execution));
    assert_eq!(owner(&told, "/whose"), (None, None));
}

#[test]
fn who_writes_a_call_makes_it_whoever_has_connected() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.run(CARRIERS[1], JAVA, B);
    two.w.touch(CARRIERS[1], client, PROBE);
    two.w.run(CARRIERS[0], JAVA, A);
    two.call(CARRIERS[0], client, "/for-a");
    assert_eq!(owner(&two.told(), "/for-a"), given("/a", Tier::Execution));
}

/// Threads of a client's pool, each of which writes a call now and then.
const WORKERS: [u32; 2] = [31, 32];

/// Virtual thread `A` connects without waiting, and a worker of the client writes the call. The worker has written once before, on a connection on which
/// another one writes that has written often: if the client `looks`, after virtual threads have looked whether the connection is alive.
fn connects_eagerly(looks: bool, same_client: bool) -> Told {
    let mut two = Two::new();
    let client = two.client(6000);
    let reused = |two: &mut Two, worker: u32, target: &str| {
        if looks {
            two.w.run(CARRIERS[1], JAVA, B);
            two.w.touch(CARRIERS[1], client, PROBE);
        }
        two.call(worker, client, target);
    };
    for n in 0..7 {
        reused(&mut two, WORKERS[0], &format!("/reused-{n}"));
    }
    if same_client {
        reused(&mut two, WORKERS[1], "/shared");
    }
    let fresh = two.client(6001);
    two.w.run(CARRIERS[1], JAVA, A);
    two.w.touch(CARRIERS[1], fresh, CONNECT);
    two.call(WORKERS[1], fresh, "/first");
    two.told()
}

#[test]
fn what_a_client_does_shows_in_whatever_its_threads_write() {
    let told = connects_eagerly(true, true);
    assert_eq!(owner(&told, "/first"), given("/a", Tier::HandOff));
}

#[test]
fn a_thread_that_shares_no_connection_may_be_of_another_client() {
    let told = connects_eagerly(true, false);
    assert_eq!(owner(&told, "/first"), (None, None));
}

#[test]
fn a_client_that_does_not_look_may_have_connected_for_another_one() {
    let told = connects_eagerly(false, true);
    assert_eq!(owner(&told, "/first"), (None, None));
}

/// Even where each carrier happens to read and answer one request after the other.
#[test]
fn carriers_are_no_workers() {
    let mut w = World::new();
    w.runs_on(SHOP, Runtime::Java);
    let serve = |w: &mut World, n: u16, work: bool| {
        let (a, b) = (
            w.tcp(SHOP, 80, 5000 + n, true),
            w.tcp(SHOP, 80, 6000 + n, true),
        );
        let clients = (
            w.tcp(SHOP, 7000 + n, 90, true),
            w.tcp(SHOP, 8000 + n, 90, true),
        );
        for (tid, socket, target) in [(CARRIERS[0], a, "/a"), (CARRIERS[1], b, "/b")] {
            w.run(tid, JAVA, 1000 + u64::from(n) * 2 + u64::from(tid));
            w.read(
                tid,
                socket,
                request(target, &traceparent(n.into(), tid.into())),
            );
        }
        if work {
            // What runs there meanwhile can't be read.
            w.run(CARRIERS[0], NONE, 0);
            w.calls(CARRIERS[0], clients.0, "/other");
        }
        for (tid, socket) in [(CARRIERS[0], a), (CARRIERS[1], b)] {
            w.run(tid, JAVA, 1000 + u64::from(n) * 2 + u64::from(tid));
            w.write(tid, socket, response());
        }
    };
    for n in 1..=40 {
        serve(&mut w, n, false);
    }
    serve(&mut w, 50, true);
    w.sleep(10_000_000_000);
    w.tick();
    assert_eq!(owner(&w.told(), "/other"), (None, None));
}

/// A thread that virtual threads start.
const STARTED: u32 = 40;

/// `starter` starts a thread, which calls, and ends if `ends`; then the carrier goes on with another one.
fn starts(starter: u64, ends: bool) -> Told {
    let mut two = Two::new();
    let client = two.client(6000);
    two.w.run(CARRIERS[1], JAVA, starter);
    two.w.spawn(SHOP, CARRIERS[1], STARTED);
    let other = two.client(6001);
    two.w.run(CARRIERS[1], JAVA, B);
    two.call(CARRIERS[1], other, "/for-b");
    two.call(STARTED, client, "/parallel");
    if ends {
        two.w.exit(SHOP, STARTED);
    }
    two.told()
}

#[test]
fn a_thread_that_one_starts_works_for_the_same_request() {
    let told = starts(A, true);
    assert_eq!(owner(&told, "/parallel"), given("/a", Tier::HandOff));
    assert_eq!(owner(&told, "/for-b"), given("/b", Tier::Execution));
}

#[test]
fn a_thread_that_lives_on_or_was_started_by_one_that_answers_nothing_works_for_nobody() {
    assert_eq!(owner(&starts(A, false), "/parallel"), (None, None));
    assert_eq!(owner(&starts(900, true), "/parallel"), (None, None));
}
