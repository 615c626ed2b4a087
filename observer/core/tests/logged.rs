//! Stories of what is logged through a queue, which another thread writes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::item::{GIVEN, TAKEN};
use observer_abi::runtime::PYTHON;
use observer_core::judged::{Reason, Tier};
use proptest::prelude::*;
use world::{Socket, Told, World, response};

const SHOP: u32 = 10;
/// Threads that serve.
const A: u32 = 11;
const B: u32 = 12;
/// The thread that takes what was logged.
const LISTENER: u32 = 30;
const SECOND: u64 = 1_000_000_000;

/// Two requests in flight, and a log.
struct Two {
    w: World,
    a: Socket,
    b: Socket,
    log: Socket,
}

impl Two {
    fn new(nonblocking: bool) -> Self {
        let mut w = World::new();
        let (a, b) = w.serves_both(SHOP, nonblocking);
        let log = w.stdout(SHOP);
        Self { w, a, b, log }
    }

    /// On two threads.
    fn threads() -> Self {
        let mut two = Self::new(false);
        two.w.reads_both([A, B], (two.a, two.b));
        two
    }

    fn logs(&mut self, tid: u32, record: u64) {
        self.w.record(SHOP, tid, GIVEN, record);
    }

    fn takes(&mut self, record: u64) {
        self.w.record(SHOP, LISTENER, TAKEN, record);
    }

    fn writes(&mut self, text: &str) {
        self.w.write(LISTENER, self.log, text);
    }

    fn answered(&mut self) {
        self.w.write(A, self.a, response());
        self.w.write(B, self.b, response());
        self.w.tick();
    }

    fn told(mut self) -> Told {
        self.w.sleep(3 * SECOND);
        self.w.tick();
        self.w.told()
    }
}

fn given(told: &Told, line: &str, to: &str) {
    told.assert_given(&told.owner_of_line(line), to, Tier::HandOff);
}

fn given_to_none(told: &Told, line: &str) -> Option<Reason> {
    told.assert_none(told.owner_of_line(line))
}

#[test]
fn a_line_is_of_whoever_logged_its_record_also_after_the_response() {
    let mut two = Two::threads();
    two.logs(A, 1);
    two.logs(B, 2);
    two.logs(A, 3);
    two.logs(40, 4);
    two.takes(1);
    two.writes("one\n");
    two.takes(2);
    two.writes("two\n");
    two.answered();
    two.takes(3);
    two.writes("three\n");
    two.takes(4);
    two.writes("four\n");
    let told = two.told();
    given(&told, "one", "/a");
    given(&told, "two", "/b");
    given(&told, "three", "/a");
    given_to_none(&told, "four");
}

#[test]
fn a_task_of_an_event_loop_logs_for_its_request() {
    let mut two = Two::new(true);
    two.w.reads_both([A, A], (two.a, two.b));
    two.w.run(A, PYTHON, 21);
    two.logs(A, 1);
    two.w.run(A, PYTHON, 22);
    two.logs(A, 2);
    two.takes(1);
    two.writes("one\n");
    two.takes(2);
    two.writes("two\n");
    two.w.write(A, two.b, response());
    two.w.run(A, PYTHON, 21);
    two.w.write(A, two.a, response());
    two.w.tick();
    let told = two.told();
    given(&told, "one", "/a");
    given(&told, "two", "/b");
}

#[test]
fn work_of_a_pool_logs_for_its_request() {
    let mut two = Two::threads();
    two.w.item(SHOP, A, GIVEN, 1);
    two.w.item(SHOP, 50, TAKEN, 1);
    two.logs(50, 2);
    two.takes(2);
    two.writes("two\n");
    two.answered();
    given(&two.told(), "two", "/a");
}

#[test]
fn each_of_several_logs_may_have_one_event_of_a_record() {
    let mut two = Two::threads();
    let other = two.w.terminal(SHOP);
    two.logs(A, 1);
    two.takes(1);
    two.writes("short\n");
    two.w.write(LISTENER, other, "long\n");
    two.answered();
    let told = two.told();
    given(&told, "short", "/a");
    given(&told, "long", "/a");
}

#[test]
fn records_that_are_gathered_are_of_nobody() {
    let mut two = Two::threads();
    for (tid, record) in [(A, 1), (B, 2), (A, 3), (B, 4)] {
        two.logs(tid, record);
    }
    two.takes(1);
    two.takes(2);
    // One after the other.
    two.writes("one\n");
    two.writes("two\n");
    two.takes(3);
    two.takes(4);
    // At once.
    two.writes("three\nfour\n");
    two.answered();
    let told = two.told();
    for line in ["one", "two", "three", "four"] {
        assert_eq!(given_to_none(&told, line), Some(Reason::Batched));
    }
}

#[test]
fn the_rest_of_an_earlier_line_is_of_nobody() {
    let mut two = Two::threads();
    two.logs(A, 1);
    two.logs(B, 2);
    two.takes(1);
    two.writes("one");
    two.takes(2);
    two.writes(" two\n");
    two.answered();
    given_to_none(&two.told(), "one two");
}

#[test]
fn what_nobody_was_seen_to_log_is_of_nobody() {
    let mut two = Two::threads();
    two.logs(A, 1);
    two.takes(1);
    two.writes("one\n");
    two.takes(0);
    two.writes("zero\n");
    two.takes(1);
    two.writes("again\n");
    two.answered();
    let told = two.told();
    given(&told, "one", "/a");
    given_to_none(&told, "zero");
    given_to_none(&told, "again");
}

#[test]
fn whoever_writes_records_does_nothing_else_for_their_requests() {
    let mut two = Two::threads();
    let out = two.w.tcp(SHOP, 6000, 90, false);
    two.logs(A, 1);
    two.takes(1);
    // It delivers, starts threads, and gives work.
    two.w.calls(LISTENER, out, "/deliver");
    two.w.item(SHOP, LISTENER, GIVEN, 2);
    two.w.item(SHOP, 50, TAKEN, 2);
    two.w.calls(50, out, "/work");
    two.answered();
    let told = two.told();
    for call in ["/deliver", "/work"] {
        assert_eq!(told.call(call).request, None, "{:#?}", told.json());
    }
}

proptest! {
    /// However many records lie in the queue, and however many are left out or gathered.
    #[test]
    fn no_line_is_ever_given_to_another_request(
        steps in prop::collection::vec((any::<bool>(), 0_usize..3, 0_u8..4), 1..40),
    ) {
        let mut two = Two::threads();
        let (mut next, mut queue) = (1, std::collections::VecDeque::new());
        let (mut kept, mut lines) = (Vec::new(), Vec::new());
        for (logs, by, how) in steps {
            if logs {
                // The last one serves nothing.
                two.logs([A, B, 40][by], next);
                queue.push_back((next, [Some("/a"), Some("/b"), None][by]));
                next += 1;
            } else if let Some((n, owner)) = queue.pop_front() {
                two.takes(n);
                match how {
                    0 => {}
                    1 => kept.push((n, owner)),
                    _ => {
                        for (n, owner) in kept.drain(..).chain([(n, owner)]) {
                            two.writes(&format!("line {n}.\n"));
                            lines.push((n, owner));
                        }
                    }
                }
            }
        }
        two.answered();
        let told = two.told();
        for (n, expected) in lines {
            let found = told.owner_of_line(&format!("line {n}.")).0;
            prop_assert!(found.is_none() || found.as_deref() == expected, "{n}: {found:?}");
        }
    }
}
