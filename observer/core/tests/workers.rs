//! Servers that read without blocking: which of their threads serve one request at a time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::waited::EVENT_LOOP;
use observer_core::facts::Runtime;
use observer_core::judged::{Exchange, Reason, Role};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Threads, one for each of four lanes.
const FOUR: [u32; 4] = [21, 22, 23, 24];

/// A server of `lanes` connections at once, and a client connection for each.
struct Server {
    w: World,
    lanes: Vec<(Socket, Socket)>,
    served: u64,
}

impl Server {
    fn new(runtime: Runtime, lanes: u16, nonblocking: bool) -> Self {
        let mut w = World::new();
        w.runs_on(SHOP, runtime);
        let lane = |i| {
            (
                w.tcp(SHOP, 80, 5000 + i, nonblocking),
                w.tcp(SHOP, 6000 + i, 90, false),
            )
        };
        let lanes = (0..lanes).map(lane).collect();
        Self {
            w,
            lanes,
            served: 0,
        }
    }

    /// Threads that read a request of `route` on every connection, then call, then answer; in that
    /// order, so that all requests overlap.
    fn round(&mut self, route: &str, reads: &[u32], calls: &[u32], answers: &[u32]) {
        let numbers: Vec<u64> = (1..=self.lanes.len() as u64)
            .map(|i| self.served + i)
            .collect();
        self.served += self.lanes.len() as u64;
        for ((lane, tid), n) in self.lanes.iter().zip(reads).zip(&numbers) {
            let inbound = request(&format!("{route}/{n}"), &traceparent(*n, *n));
            self.w.read(*tid, lane.0, inbound);
        }
        for ((lane, tid), n) in self.lanes.iter().zip(calls).zip(&numbers) {
            self.w
                .write(*tid, lane.1, request(&format!("/out/{n}"), ""));
            self.w.read(*tid, lane.1, response());
        }
        for (lane, tid) in self.lanes.iter().zip(answers) {
            self.w.write(*tid, lane.0, response());
        }
        self.w.tick();
    }

    fn told(&self) -> Told {
        self.w.told()
    }
}

fn calls(told: &Told) -> Vec<&Exchange> {
    told.exchanges(Role::Client)
}

/// Calls that were given to a request, and of those, to a wrong one.
fn given(told: &Told) -> (usize, usize) {
    let mut given = (0, 0);
    for call in calls(told) {
        let Some(request) = call.request else {
            continue;
        };
        given.0 += 1;
        let number = call.target.rsplit('/').next().unwrap();
        let served = told.exchanges(Role::Server);
        let owner = served.iter().find(|s| s.id == request).unwrap();
        given.1 += usize::from(owner.target.rsplit('/').next() != Some(number));
    }
    given
}

fn reasons(told: &Told) -> Vec<Option<Reason>> {
    let reason = |c: &&Exchange| c.attribution.as_ref().unwrap().reason.clone();
    calls(told).iter().map(reason).collect()
}

#[test]
fn workers_are_believed_once_they_have_shown_their_conduct() {
    let mut server = Server::new(Runtime::Java, 4, true);
    for _ in 0..10 {
        server.round("/in", &FOUR, &FOUR, &FOUR);
    }
    // The first ones were waited for until the others had shown it.
    assert_eq!(given(&server.told()), (40, 0));
}

#[test]
fn what_their_threads_did_is_waited_for_as_well() {
    let mut server = Server::new(Runtime::Ruby, 4, true);
    for round in 0..10 {
        let lanes = server.lanes.clone();
        for (n, lane) in (0..).zip(&lanes) {
            let number = round * 4 + u64::from(n);
            let inbound = request(&format!("/in/{number}"), &traceparent(number + 1, 1));
            server.w.read(21 + n, lane.0, inbound);
        }
        for (n, lane) in (0..).zip(&lanes) {
            let number = round * 4 + u64::from(n);
            server.w.spawn(SHOP, 21 + n, 31 + n);
            let call = request(&format!("/out/{number}"), "");
            server.w.write(31 + n, lane.1, call);
            server.w.read(31 + n, lane.1, response());
            server.w.exit(SHOP, 31 + n);
        }
        for (n, lane) in (0..).zip(&lanes) {
            server.w.write(21 + n, lane.0, response());
        }
        server.w.tick();
    }
    assert_eq!(given(&server.told()), (40, 0));
}

#[test]
fn one_request_at_a_time_shows_nothing() {
    let mut server = Server::new(Runtime::Java, 1, true);
    for _ in 0..50 {
        server.round("/in", &[21], &[21], &[21]);
    }
    let told = server.told();
    assert_eq!(given(&told), (0, 0));
    assert!(reasons(&told).contains(&Some(Reason::UnprovenWorker)));
}

#[test]
fn only_runtimes_that_have_such_workers_are_asked() {
    for runtime in [
        Runtime::Go,
        Runtime::Rust,
        Runtime::Node,
        Runtime::Python,
        Runtime::Proxy,
        Runtime::Native,
    ] {
        let mut server = Server::new(runtime, 4, true);
        for _ in 0..10 {
            server.round("/in", &FOUR, &FOUR, &FOUR);
        }
        assert_eq!(given(&server.told()), (0, 0), "{runtime:?}");
    }
}

#[test]
fn an_event_loop_of_java_is_no_worker() {
    let mut server = Server::new(Runtime::Java, 4, true);
    for _ in 0..20 {
        // All requests of a round on one thread, or on two.
        server.round(
            "/in",
            &[21, 21, 21, 21],
            &[21, 21, 21, 21],
            &[21, 21, 21, 21],
        );
        server.round(
            "/in",
            &[21, 22, 21, 22],
            &[21, 22, 21, 22],
            &[21, 22, 21, 22],
        );
    }
    assert_eq!(given(&server.told()), (0, 0));
}

#[test]
fn a_thread_that_waits_for_events_before_it_answers_is_no_worker() {
    let mut server = Server::new(Runtime::Java, 2, true);
    for _ in 0..20 {
        let (a, b) = (server.lanes[0], server.lanes[1]);
        for (tid, lane) in [(21, a), (22, b)] {
            server.served += 1;
            let n = server.served;
            let inbound = request(&format!("/in/{n}"), &traceparent(n, n));
            server.w.read(tid, lane.0, inbound);
        }
        for (tid, lane) in [(21, a), (22, b)] {
            server.w.wait(tid, EVENT_LOOP);
            server.w.calls(tid, lane.1, "/out/0");
            server.w.write(tid, lane.0, response());
        }
        server.w.tick();
    }
    assert_eq!(given(&server.told()), (0, 0));
}

#[test]
fn a_route_that_is_answered_elsewhere_does_not_spoil_the_others() {
    let mut server = Server::new(Runtime::Java, 4, true);
    for _ in 0..10 {
        server.round("/now", &FOUR, &FOUR, &FOUR);
        // An asynchronous servlet: stages run on the same threads, and answer for each other.
        server.round("/later", &FOUR, &[22, 21, 24, 23], &[22, 21, 24, 23]);
    }
    let told = server.told();
    assert_eq!(given(&told), (40, 0), "{:#?}", told.json());
    assert!(reasons(&told).contains(&Some(Reason::AnsweredElsewhere)));
}

#[test]
fn a_reactor_that_reads_for_workers_does_not_spoil_them() {
    let mut server = Server::new(Runtime::Ruby, 4, true);
    for _ in 0..10 {
        server.round("/in", &FOUR, &FOUR, &FOUR);
        server.round(
            "/in",
            &[20, 21, 22, 23],
            &[24, 21, 22, 23],
            &[24, 21, 22, 23],
        );
    }
    // What the reactor has read is not attributed.
    assert_eq!(given(&server.told()), (70, 0));
}

#[test]
fn what_a_worker_does_for_a_request_that_another_thread_read_is_not_its_last_ones() {
    let mut server = Server::new(Runtime::Ruby, 4, true);
    for _ in 0..10 {
        server.round("/in", &FOUR, &FOUR, &FOUR);
    }
    let (own, other) = (server.lanes[0], server.lanes[1]);
    server
        .w
        .read(20, other.0, request("/in/77", &traceparent(77, 1)));
    server.w.calls(21, other.1, "/out/77");
    server.w.write(21, other.0, response());
    // It goes on with the connection that it had answered on before.
    server
        .w
        .read(21, own.0, request("/in/78", &traceparent(78, 1)));
    server.w.write(21, own.0, response());
    server.w.tick();
    assert_eq!(given(&server.told()), (40, 0));
}

#[test]
fn stages_on_the_threads_that_read_with_blocking_calls_are_not_believed() {
    let mut server = Server::new(Runtime::Java, 4, false);
    for _ in 0..10 {
        // Three of four are answered by another thread; the fourth's thread has worked for another.
        server.round("/in", &FOUR, &[24, 23, 22, 21], &[21, 24, 22, 23]);
    }
    let told = server.told();
    assert_eq!(given(&told).1, 0);
    assert!(reasons(&told).contains(&Some(Reason::HandedOver)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever reads, calls and answers: unless almost all requests were answered by their readers,
    /// nothing is believed.
    #[test]
    fn work_that_is_stolen_is_never_given_to_a_wrong_request(
        rounds in proptest::collection::vec(
            (
                proptest::collection::vec(21_u32..25, 4),
                proptest::collection::vec(21_u32..25, 4),
                proptest::collection::vec(21_u32..25, 4),
            ),
            20..40,
        ),
    ) {
        let mut server = Server::new(Runtime::Java, 4, true);
        for (reads, calls, answers) in &rounds {
            server.round("/in", reads, calls, answers);
        }
        prop_assert_eq!(given(&server.told()).1, 0);
    }
}
