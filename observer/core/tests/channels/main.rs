//! Stories of goroutines that live on what others hand to them through channels.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod against;
#[path = "../world/mod.rs"]
mod world;

use observer_abi::Passed;
use observer_abi::passed::{DIRECT, GOT, PUT};
use observer_abi::runtime::GO;
use observer_core::judged::{Reason, Tier};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
const THREAD: u32 = 10;
const SECOND: u64 = 1_000_000_000;
/// Goroutines that serve.
const A: u64 = 21;
const B: u64 = 22;
/// Goroutines that take from channels, and one that works for no request.
const WORKER: u64 = 31;
const OTHER: u64 = 32;
const BACKGROUND: u64 = 40;
/// How deep a worker receives, and what it calls.
const LOOP: u32 = 200;
const CALLED: u32 = 900;
/// A channel without a queue, and a queue.
const CHANNEL: u64 = 0x1000;
const QUEUE: u64 = 0x9000;

/// Two requests in flight, and a thread on which goroutines take turns.
struct Two {
    w: World,
    a: Socket,
    b: Socket,
    client: Socket,
    log: Socket,
    values: u64,
}

impl Two {
    fn new() -> Self {
        let mut w = World::new();
        let (a, b) = w.serves_both(SHOP, true);
        let client = w.tcp(SHOP, 6000, 90, true);
        let log = w.stdout(SHOP);
        let mut two = Self {
            w,
            a,
            b,
            client,
            log,
            values: 0x100,
        };
        two.w.run(THREAD, GO, A);
        two.w.read(THREAD, two.a, request("/a", &traceparent(1, 1)));
        two.w.run(THREAD, GO, B);
        two.w.read(THREAD, two.b, request("/b", &traceparent(2, 2)));
        two
    }

    fn passed(&mut self, passed: Passed) {
        self.w.passed(SHOP, THREAD, passed);
    }

    /// `giver` hands a fresh value to `taker`, which receives at `depth`.
    fn hands(&mut self, giver: u64, taker: u64, depth: u32) {
        self.values += 1;
        self.passed(Passed {
            giver,
            taker,
            place: CHANNEL,
            value: self.values,
            depth,
            how: DIRECT,
            ..Passed::default()
        });
    }

    fn puts(&mut self, giver: u64, place: u64, value: u64) {
        self.passed(Passed {
            giver,
            place,
            value,
            how: PUT,
            queued: 1,
            ..Passed::default()
        });
    }

    fn gets(&mut self, taker: u64, place: u64, value: u64) {
        self.passed(Passed {
            taker,
            place,
            value,
            depth: LOOP,
            how: GOT,
            queued: 1,
            ..Passed::default()
        });
    }

    /// `goroutine` takes the client's connection, and one of the connection's own writes the call.
    fn call(&mut self, goroutine: u64, target: &str) {
        self.w.run(THREAD, GO, goroutine);
        self.w.take(THREAD, self.client);
        self.w.run(THREAD, GO, 50);
        self.w.write(THREAD, self.client, request(target, ""));
        self.w.run(THREAD, GO, 51);
        self.w.read(THREAD, self.client, response());
    }

    fn says(&mut self, goroutine: u64, line: &str) {
        self.w.run(THREAD, GO, goroutine);
        self.w.write(THREAD, self.log, format!("{line}\n"));
    }

    fn answers(&mut self, goroutine: u64) {
        let socket = if goroutine == A { self.a } else { self.b };
        self.w.run(THREAD, GO, goroutine);
        self.w.write(THREAD, socket, response());
    }

    fn told(mut self) -> Told {
        self.answers(A);
        self.answers(B);
        self.w.tick();
        self.settled()
    }

    fn settled(mut self) -> Told {
        self.w.sleep(3 * SECOND);
        self.w.tick();
        self.w.told()
    }
}

fn given(told: &Told, call: &str, to: &str) {
    told.assert_given(&told.owner(call), to, Tier::HandOff);
}

fn given_to_none(told: &Told, call: &str) -> Option<Reason> {
    told.assert_none(told.owner(call))
}

#[test]
fn what_is_taken_is_done_for_whoever_gave_it() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(B, OTHER, LOOP);
    two.call(WORKER, "/1");
    two.says(WORKER, "one");
    two.call(OTHER, "/2");
    two.hands(A, OTHER, LOOP);
    two.call(OTHER, "/3");
    let told = two.told();
    given(&told, "/1", "/a");
    given(&told, "/2", "/b");
    given(&told, "/3", "/a");
    let line = told.line("one");
    assert_eq!(line.request, Some(told.served("/a").id));
}

#[test]
fn values_are_followed_through_queues() {
    let mut two = Two::new();
    two.puts(A, QUEUE, 1);
    two.puts(B, QUEUE + 8, 2);
    two.gets(OTHER, QUEUE, 1);
    two.gets(WORKER, QUEUE + 8, 2);
    two.call(OTHER, "/1");
    two.call(WORKER, "/2");
    // The place is used again.
    two.puts(B, QUEUE, 3);
    two.gets(OTHER, QUEUE, 3);
    two.call(OTHER, "/3");
    let told = two.told();
    given(&told, "/1", "/a");
    given(&told, "/2", "/b");
    given(&told, "/3", "/b");
}

#[test]
fn what_is_received_in_the_middle_of_work_is_part_of_it() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(BACKGROUND, WORKER, CALLED);
    two.call(WORKER, "/1");
    two.hands(A, WORKER, CALLED);
    two.call(WORKER, "/2");
    // What was received further down is over with the next work.
    two.hands(BACKGROUND, WORKER, LOOP);
    two.call(WORKER, "/3");
    let told = two.told();
    given(&told, "/1", "/a");
    given(&told, "/2", "/a");
    given_to_none(&told, "/3");
}

#[test]
fn values_of_one_request_may_be_taken_together() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(0, WORKER, LOOP);
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/1");
    given(&two.told(), "/1", "/a");
}

/// A request that is over is not worked for any more.
#[test]
fn what_was_taken_for_a_request_that_has_ended_is_no_matter() {
    let mut two = Two::new();
    two.hands(B, WORKER, LOOP);
    two.answers(B);
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/1");
    two.answers(A);
    two.w.tick();
    given(&two.settled(), "/1", "/a");
}

#[test]
fn what_is_passed_on_to_another_queue_was_work() {
    let mut two = Two::new();
    two.puts(A, QUEUE, 7);
    two.gets(WORKER, QUEUE, 7);
    two.call(WORKER, "/1");
    two.puts(WORKER, QUEUE << 16, 7);
    given(&two.told(), "/1", "/a");
}

#[test]
fn a_request_s_own_goroutine_keeps_its_request() {
    let mut two = Two::new();
    two.hands(B, A, LOOP);
    two.call(A, "/1");
    let told = two.told();
    assert_eq!(told.owner("/1").0.as_deref(), Some("/a"));
    assert_eq!(told.owner("/1").1, Some(Tier::Execution));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever order values take through channels and queues: a worker that acts after each taking is given to whoever
    /// gave, or to nobody.
    #[test]
    fn work_is_given_to_whoever_gave_it(
        steps in prop::collection::vec((prop::sample::select(vec![A, B, BACKGROUND]), 0_u64..3, prop::bool::ANY), 1..40)
    ) {
        let mut two = Two::new();
        let mut expected = Vec::new();
        for (n, (giver, taker, queued)) in (0_u64..).zip(steps) {
            let taker = WORKER + taker;
            if queued {
                let value = 0x7000 + n;
                two.puts(giver, QUEUE + 8 * (n % 5), value);
                two.gets(taker, QUEUE + 8 * (n % 5), value);
            } else {
                two.hands(giver, taker, LOOP);
            }
            let target = format!("/call/{n}");
            two.call(taker, &target);
            expected.push((target, giver));
        }
        let told = two.told();
        for (target, giver) in expected {
            let request = told.owner(&target).0;
            let right = match giver {
                A => Some("/a".to_owned()),
                B => Some("/b".to_owned()),
                _ => None,
            };
            prop_assert_eq!(request, right, "{}", target);
        }
    }
}
