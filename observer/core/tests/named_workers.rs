//! Workers that are known by their names (Tomcat, Puma): what their threads do for a request that is the only one in
//! flight, and what must not be given to it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::runtime::JAVA;
use observer_abi::waited::{EVENT_LOOP, POLL_MANY, POLL_ONE};
use observer_core::facts::Runtime;
use observer_core::judged::{Reason, Role};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Workers.
const EXEC: [u32; 4] = [21, 22, 23, 24];
/// A thread that is none.
const OTHER: u32 = 31;

/// A server of two connections, with a client connection for each of its threads.
struct Server {
    w: World,
    lanes: [Socket; 2],
    out: Vec<(u32, Socket)>,
    served: u64,
}

impl Server {
    fn new(runtime: Runtime, workers: &[u32]) -> Self {
        let mut w = World::new();
        w.has_workers(SHOP, runtime, workers);
        let lanes = [0, 1].map(|i| w.tcp(SHOP, 80, 5000 + i, true));
        let threads = EXEC.into_iter().chain([OTHER]).zip(6000..);
        let out = threads.map(|(tid, port)| (tid, w.tcp(SHOP, port, 90, false)));
        let out = out.collect();
        let mut server = Self {
            w,
            lanes,
            out,
            served: 0,
        };
        // Such calls are made without any request, too.
        server.call(OTHER, 0);
        server.pause();
        server
    }

    /// One in Java, whose worker 21 has served so many requests, each the only one in flight.
    fn seen(times: usize) -> Self {
        let mut server = Self::new(Runtime::Java, &EXEC);
        for _ in 0..times {
            server.serve(21, 21, 21);
        }
        server
    }

    /// A request comes in on `lane`; its number is returned.
    fn read(&mut self, lane: usize, tid: u32) -> u64 {
        self.served += 1;
        let n = self.served;
        let inbound = request(&format!("/in/{n}"), &traceparent(n, n));
        self.w.read(tid, self.lanes[lane], inbound);
        n
    }

    /// A thread calls for request `n`, and waits for the response as a thread does that has nothing else to do.
    fn call(&mut self, tid: u32, n: u64) {
        let (_, out) = *self.out.iter().find(|(of, _)| *of == tid).unwrap();
        self.w.write(tid, out, request(&format!("/for/{n}"), ""));
        self.w.wait(tid, POLL_ONE);
        self.w.read(tid, out, response());
    }

    fn answer(&mut self, lane: usize, tid: u32) {
        self.w.write(tid, self.lanes[lane], response());
    }

    /// A request from its reading to its answer, by these threads.
    fn serve(&mut self, reads: u32, calls: u32, answers: u32) {
        let n = self.read(0, reads);
        self.call(calls, n);
        self.answer(0, answers);
        self.pause();
    }

    fn pause(&mut self) {
        self.w.tick();
        self.w.sleep(100_000_000);
        self.w.tick();
    }

    fn told(&mut self) -> Told {
        self.w.sleep(6_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

/// How many calls were given to a request, none of them to a wrong one.
fn given(told: &Told) -> usize {
    assert_eq!(told.misgiven(), [], "{:#?}", told.json());
    let calls = told.exchanges(Role::Client);
    calls.iter().filter(|call| call.request.is_some()).count()
}

fn reasons(told: &Told) -> Vec<Reason> {
    let reason = |c: &&observer_core::judged::Exchange| c.attribution.as_ref()?.reason.clone();
    told.exchanges(Role::Client)
        .iter()
        .filter_map(reason)
        .collect()
}

#[test]
fn one_request_at_a_time_is_given_what_its_worker_does() {
    for runtime in [Runtime::Java, Runtime::Ruby] {
        let mut server = Server::new(runtime, &EXEC);
        for i in 0..8 {
            let tid = EXEC[i % 4];
            server.serve(tid, tid, tid);
        }
        // Also the first ones, which were waited for until five were answered on the route.
        assert_eq!(given(&server.told()), 8, "{runtime:?}");
    }
}

#[test]
fn so_few_that_nothing_is_shown_are_given_nothing() {
    let mut server = Server::seen(4);
    let told = server.told();
    assert_eq!(given(&told), 0);
    assert!(reasons(&told).contains(&Reason::UnprovenWorker));
}

#[test]
fn the_threads_of_other_servers_are_given_nothing() {
    // Coroutines and actors resume on the thread that slept last, which is the same one if only one request is in flight.
    for (runtime, workers) in [
        (Runtime::Java, &[] as &[u32]),
        (Runtime::Java, &[OTHER]),
        (Runtime::Go, &EXEC),
        (Runtime::Node, &EXEC),
        (Runtime::Native, &EXEC),
    ] {
        let mut server = Server::new(runtime, workers);
        for _ in 0..30 {
            let n = server.read(0, 21);
            server.call(21, 0); // The background's.
            server.call(21, n);
            server.answer(0, 21);
            server.pause();
        }
        assert_eq!(given(&server.told()), 0, "{runtime:?} {workers:?}");
    }
}

#[test]
fn an_event_loop_by_such_a_name_is_given_nothing() {
    // Fibers in a worker of Puma's: its scheduler waits for all of their descriptors.
    for wait in [EVENT_LOOP, POLL_MANY] {
        let mut server = Server::new(Runtime::Ruby, &EXEC);
        for _ in 0..30 {
            let n = server.read(0, 21);
            server.w.wait(21, wait);
            server.call(21, 0);
            server.call(21, n);
            server.answer(0, 21);
            server.pause();
        }
        assert_eq!(given(&server.told()), 0);
    }
}

#[test]
fn virtual_threads_on_such_a_thread_are_given_nothing_for_its_name() {
    let mut server = Server::new(Runtime::Java, &EXEC);
    for i in 0..30 {
        server.w.run(21, JAVA, 100 + i);
        let n = server.read(0, 21);
        server.w.run(21, JAVA, 900);
        server.call(21, 0);
        server.w.run(21, JAVA, 100 + i);
        server.call(21, n);
        server.answer(0, 21);
        server.pause();
    }
    // The virtual thread that answered is evidence of its own.
    assert_eq!(given(&server.told()), 30);
}

#[test]
fn an_asynchronous_servlet_that_another_thread_answers_is_given_nothing() {
    let mut server = Server::new(Runtime::Java, &EXEC);
    for i in 0..40 {
        // Now and then it comes back to the worker that had read it.
        let answers = EXEC[i % 4];
        server.serve(21, OTHER, answers);
        server.serve(21, 21, answers);
    }
    let told = server.told();
    assert_eq!(given(&told), 0);
    assert!(reasons(&told).contains(&Reason::HandedOver));
}

#[test]
fn who_comes_back_to_a_connection_after_another_thread_may_have_been_elsewhere() {
    let mut server = Server::seen(4);
    // An asynchronous servlet: what is done for the request after the one that 21 has answered is done by 21, too.
    server.serve(22, 21, 22);
    server.serve(21, 21, 21);
    assert_eq!(given(&server.told()), 5);
}

#[test]
fn a_worker_that_works_for_the_process_as_well_is_given_nothing() {
    // What was shown before it is waited for, as long as the server is young.
    for before in [0, 10, 50] {
        let mut server = Server::new(Runtime::Java, &EXEC);
        for _ in 0..before {
            let n = server.read(0, 21);
            server.call(21, n);
            server.answer(0, 21);
        }
        for _ in 0..8 {
            // An asynchronous servlet, and the background's work on the only worker, while the request waits.
            let n = server.read(0, 21);
            server.call(21, 0);
            server.call(21, n);
            server.answer(0, 21);
        }
        server.w.tick();
        server.w.sleep(1_000_000_000);
        server.call(21, 0);
        assert_eq!(given(&server.told()), 0, "{before}");
    }
}

#[test]
fn what_overlaps_is_given_nothing_for_its_threads_name() {
    for first in [0, 1] {
        let mut server = Server::new(Runtime::Java, &EXEC);
        for _ in 0..8 {
            server.serve(23, 23, 23);
        }
        // Of two asynchronous servlets the threads change places, and both come back to the worker that had read them.
        let lanes = [first, 1 - first];
        let (a, b) = (server.read(lanes[0], 21), server.read(lanes[1], 22));
        server.call(22, a);
        server.call(21, b);
        server.answer(lanes[0], 21);
        server.answer(lanes[1], 22);
        server.pause();
        let told = server.told();
        assert_eq!(given(&told), 8);
        assert!(reasons(&told).contains(&Reason::UnprovenWorker));
    }
}

#[test]
fn a_thread_that_is_something_else_by_now_is_given_nothing() {
    let mut server = Server::seen(8);
    server.w.has_workers(SHOP, Runtime::Java, &[22]);
    server.serve(21, 21, 21);
    assert_eq!(given(&server.told()), 8);
}

#[test]
fn where_requests_come_in_unseen_none_is_known_to_be_the_only_one() {
    let mut server = Server::new(Runtime::Java, &EXEC);
    let unseen = server.w.tcp(SHOP, 443, 7000, true);
    server
        .w
        .read(OTHER, unseen, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    for _ in 0..8 {
        server.serve(21, 21, 21);
    }
    let told = server.told();
    assert_eq!(given(&told), 0);
    assert!(reasons(&told).contains(&Reason::UnprovenWorker));
}

/// Part of a day of a server whose workers do what they are given for any request in flight.
#[derive(Clone, Debug)]
struct Part {
    reads: [usize; 2],
    /// Who calls for the first and the second request, and whether there is a second one.
    calls: [usize; 2],
    answers: [usize; 2],
    two: bool,
}

fn part() -> impl Strategy<Value = Part> {
    let tid = || prop_oneof![4 => Just(0_usize), 1 => 1..4_usize];
    let pair = || [tid(), tid()];
    (pair(), pair(), pair(), prop::bool::weighted(0.2)).prop_map(|(reads, calls, answers, two)| {
        Part {
            reads,
            calls,
            answers,
            two,
        }
    })
}

fn day(parts: &[Part]) -> World {
    let mut server = Server::new(Runtime::Java, &EXEC);
    for part in parts {
        let a = server.read(0, EXEC[part.reads[0]]);
        let b = part.two.then(|| server.read(1, EXEC[part.reads[1]]));
        server.call(EXEC[part.calls[0]], a);
        if let Some(b) = b {
            server.call(EXEC[part.calls[1]], b);
            server.answer(1, EXEC[part.answers[1]]);
        }
        server.answer(0, EXEC[part.answers[0]]);
        server.pause();
    }
    server.w.sleep(6_000_000_000);
    server.w.tick();
    server.w
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_works_for_whom_none_is_given_to_a_wrong_request(
        parts in proptest::collection::vec(part(), 1..60),
    ) {
        prop_assert_eq!(day(&parts).told().misgiven(), []);
    }

    #[test]
    fn nor_where_records_are_lost(
        parts in proptest::collection::vec(part(), 1..30),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        prop_assert_eq!(day(&parts).told_without(&lost).misgiven(), []);
    }
}
