//! Stories of work that is given to an executor, whose threads take it from a queue.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::item::{GIVEN, TAKEN};
use observer_abi::runtime::PYTHON;
use observer_core::judged::{Reason, Tier};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Threads that serve.
const A: u32 = 11;
const B: u32 = 12;
/// Threads of the executor.
const WORKER: u32 = 30;
const OTHER: u32 = 31;
const SECOND: u64 = 1_000_000_000;

/// Two requests in flight, read by threads that serve one at a time, or by one event loop.
struct Two {
    w: World,
    a: Socket,
    b: Socket,
    out: Socket,
    log: Socket,
}

impl Two {
    fn new(nonblocking: bool) -> Self {
        let mut w = World::new();
        let (a, b) = w.serves_both(SHOP, nonblocking);
        let (out, log) = (w.tcp(SHOP, 6000, 90, false), w.stdout(SHOP));
        Self { w, a, b, out, log }
    }

    /// On two threads.
    fn threads() -> Self {
        let mut two = Self::new(false);
        two.w.reads_both([A, B], (two.a, two.b));
        two
    }

    fn item(&mut self, tid: u32, how: u8, item: u64) {
        self.w.item(SHOP, tid, how, item);
    }

    fn call(&mut self, tid: u32, target: &str) {
        self.w.calls(tid, self.out, target);
    }

    fn answered(&mut self) {
        self.w.write(A, self.a, response());
        self.w.write(B, self.b, response());
        self.w.tick();
    }

    fn told(mut self) -> Told {
        self.answered();
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
    let mut two = Two::threads();
    two.item(A, GIVEN, 1);
    two.item(B, GIVEN, 2);
    two.item(A, GIVEN, 3);
    two.item(OTHER, TAKEN, 2);
    two.item(WORKER, TAKEN, 1);
    two.call(WORKER, "/1");
    two.call(OTHER, "/2");
    two.item(OTHER, TAKEN, 3);
    two.call(OTHER, "/3");
    two.w.write(OTHER, two.log, "three\n");
    let told = two.told();
    given(&told, "/1", "/a");
    given(&told, "/2", "/b");
    given(&told, "/3", "/a");
    let line = told.line("three");
    assert_eq!(line.request, Some(told.served("/a").id));
}

#[test]
fn a_task_of_an_event_loop_gives_work_for_its_request() {
    let mut two = Two::new(true);
    two.w.reads_both([A, A], (two.a, two.b));
    two.w.run(A, PYTHON, 21);
    two.item(A, GIVEN, 1);
    two.w.run(A, PYTHON, 22);
    two.item(A, GIVEN, 2);
    two.item(WORKER, TAKEN, 1);
    two.call(WORKER, "/1");
    two.item(WORKER, TAKEN, 2);
    two.call(WORKER, "/2");
    two.w.write(A, two.b, response());
    two.w.run(A, PYTHON, 21);
    two.w.write(A, two.a, response());
    two.w.tick();
    two.w.sleep(3 * SECOND);
    two.w.tick();
    let told = two.w.told();
    given(&told, "/1", "/a");
    given(&told, "/2", "/b");
}

#[test]
fn work_that_gives_work_is_followed() {
    let mut two = Two::threads();
    two.item(A, GIVEN, 1);
    two.item(WORKER, TAKEN, 1);
    two.item(WORKER, GIVEN, 2);
    two.item(OTHER, TAKEN, 2);
    two.call(OTHER, "/2");
    given(&two.told(), "/2", "/a");
}

#[test]
fn work_without_end_is_followed_only_so_far() {
    let mut two = Two::threads();
    two.item(A, GIVEN, 1);
    for n in 1..50_000 {
        two.item(WORKER, TAKEN, n);
        two.item(WORKER, GIVEN, n + 1);
    }
    two.call(WORKER, "/out");
    given_to_none(&two.told(), "/out");
}

#[test]
fn work_that_goes_on_after_the_response_is_the_processs_own() {
    let mut two = Two::threads();
    two.item(A, GIVEN, 1);
    two.item(WORKER, TAKEN, 1);
    two.call(WORKER, "/first");
    two.answered();
    two.call(WORKER, "/second");
    let told = two.told();
    let (request, _, reason) = told.owner("/first");
    assert_eq!((request, reason), (None, Some(Reason::OutlivedRequest)));
    given_to_none(&told, "/second");
}

#[test]
fn what_nobody_was_seen_to_give_is_done_for_nobody() {
    let mut two = Two::threads();
    two.item(A, GIVEN, 1);
    two.item(WORKER, TAKEN, 1);
    two.item(WORKER, TAKEN, 0);
    two.call(WORKER, "/0");
    two.item(WORKER, TAKEN, 7);
    two.call(WORKER, "/7");
    // Taken already.
    two.item(OTHER, TAKEN, 1);
    two.call(OTHER, "/1");
    let told = two.told();
    given_to_none(&told, "/0");
    given_to_none(&told, "/7");
    given_to_none(&told, "/1");
}

#[test]
fn what_a_thread_gives_that_serves_nothing_is_done_for_nobody() {
    let mut two = Two::threads();
    two.item(40, GIVEN, 1);
    two.item(A, GIVEN, 2);
    two.item(WORKER, TAKEN, 1);
    two.call(WORKER, "/1");
    two.item(WORKER, TAKEN, 2);
    given_to_none(&two.told(), "/1");
}

#[test]
fn a_request_that_a_thread_takes_for_its_work_is_served_by_it() {
    let mut two = Two::threads();
    let c = two.w.tcp(SHOP, 80, 5002, false);
    two.item(A, GIVEN, 1);
    two.item(WORKER, TAKEN, 1);
    two.w.read(WORKER, c, request("/c", &traceparent(3, 3)));
    two.call(WORKER, "/out");
    two.w.write(WORKER, c, response());
    let told = two.told();
    let owned = told.owner("/out");
    assert_eq!(owned, (Some("/c".to_owned()), Some(Tier::Execution), None));
}

proptest! {
    /// However many threads take, and in whatever order.
    #[test]
    fn nothing_is_ever_given_to_another_request(
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u32..3), 1..40),
    ) {
        let mut two = Two::threads();
        let (mut next, mut queue) = (1, std::collections::VecDeque::new());
        let mut calls = Vec::new();
        for (gives, first, tid) in steps {
            if gives {
                // The last one serves nothing.
                let owner = [Some("/a"), Some("/b"), None][tid as usize];
                two.item([A, B, 40][tid as usize], GIVEN, next);
                queue.push_back((next, owner));
                next += 1;
            } else if let Some((n, owner)) = if first { queue.pop_front() } else { queue.pop_back() } {
                two.item(WORKER + tid, TAKEN, n);
                two.call(WORKER + tid, &format!("/{n}"));
                calls.push((n, owner));
            }
        }
        let told = two.told();
        for (n, expected) in calls {
            let found = told.owner(&format!("/{n}")).0;
            prop_assert_eq!(found.as_deref(), expected);
        }
    }
}
