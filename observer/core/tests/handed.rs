//! Stories of hand-offs between threads: who takes a connection, who starts whom, who answers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::take::{CONNECT, PROBE};
use observer_core::judged::{Reason, Role, Tier};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Threads that serve.
const A: u32 = 11;
const B: u32 = 12;
/// The client's selector.
const SELECTOR: u32 = 30;

/// The request, if any, that a call was given to, and the tier.
fn owner(told: &Told, call: &str) -> (Option<String>, Option<Tier>) {
    let call = told.call(call);
    let served = told.exchanges(Role::Server);
    let target = served.iter().find(|s| Some(s.id) == call.request);
    let tier = call.attribution.as_ref().and_then(|a| a.tier);
    (target.map(|s| s.target.to_string()), tier)
}

fn given(told: &Told, call: &str, to: &str, tier: Tier) {
    assert_eq!(
        owner(told, call),
        (Some(to.to_owned()), Some(tier)),
        "{:#?}",
        told.json()
    );
}

fn given_to_none(told: &Told, call: &str) {
    assert_eq!(owner(told, call), (None, None), "{:#?}", told.json());
}

fn reason(told: &Told, call: &str) -> Option<Reason> {
    told.call(call).attribution.as_ref().unwrap().reason.clone()
}

/// Two requests in flight, on two threads.
struct Two {
    w: World,
    a: Socket,
    b: Socket,
}

impl Two {
    fn new() -> Self {
        let mut w = World::new();
        let (a, b) = (w.tcp(SHOP, 80, 5000, false), w.tcp(SHOP, 80, 5001, false));
        w.read(A, a, request("/a", &traceparent(1, 1)));
        w.read(B, b, request("/b", &traceparent(2, 2)));
        Self { w, a, b }
    }

    fn client(&mut self, port: u16) -> Socket {
        self.w.tcp(SHOP, port, 90, true)
    }

    fn call(&mut self, tid: u32, client: Socket, target: &str) {
        self.w.write(tid, client, request(target, ""));
        self.w.read(tid, client, response());
    }

    fn answer(&mut self) {
        self.w.write(A, self.a, response());
        self.w.write(B, self.b, response());
        self.w.tick();
    }

    fn told(mut self) -> Told {
        self.answer();
        self.w.told()
    }
}

/// A pooled connection, which thread `B` and the selector have used before.
fn pooled(two: &mut Two) -> Socket {
    let client = two.client(6000);
    two.w.touch(B, client, CONNECT);
    two.call(SELECTOR, client, "/first");
    client
}

#[test]
fn who_probed_the_connection_made_the_call() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    two.call(SELECTOR, client, "/out");
    let told = two.told();
    given(&told, "/out", "/a", Tier::HandOff);
    // Connected without waiting, by a client of which nothing is known yet.
    given_to_none(&told, "/first");
}

#[test]
fn who_waited_for_the_connection_made_the_call() {
    let mut two = Two::new();
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.w.touch(A, client, CONNECT);
    two.call(SELECTOR, client, "/out");
    given(&two.told(), "/out", "/a", Tier::HandOff);
}

#[test]
fn a_client_that_takes_every_pooled_connection_connects_for_requests() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    for n in 0..5 {
        two.w.touch(B, client, PROBE);
        two.call(SELECTOR, client, &format!("/{n}"));
    }
    let other = two.client(6001);
    two.w.touch(A, other, CONNECT);
    two.call(SELECTOR, other, "/out");
    let told = two.told();
    given(&told, "/out", "/a", Tier::HandOff);
    given(&told, "/first", "/b", Tier::HandOff);
}

#[test]
fn a_client_that_reuses_without_looking_may_connect_for_its_pool() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    for n in 0..9 {
        two.call(SELECTOR, client, &format!("/{n}"));
    }
    let other = two.client(6001);
    two.w.touch(A, other, CONNECT);
    two.call(SELECTOR, other, "/out");
    let told = two.told();
    given_to_none(&told, "/out");
    given_to_none(&told, "/3");
}

#[test]
fn only_the_last_taker_counts_and_an_unknown_one_is_nobody() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    two.w.touch(B, client, PROBE);
    two.call(SELECTOR, client, "/last");
    two.w.touch(A, client, PROBE);
    two.w.touch(40, client, PROBE);
    two.call(SELECTOR, client, "/unknown");
    let told = two.told();
    given(&told, "/last", "/b", Tier::HandOff);
    given_to_none(&told, "/unknown");
}

#[test]
fn a_take_is_good_for_one_exchange() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    two.call(SELECTOR, client, "/mine");
    two.call(SELECTOR, client, "/next");
    // Looked while a response was awaited.
    two.w.write(SELECTOR, client, request("/slow", ""));
    two.w.touch(A, client, PROBE);
    two.w.read(SELECTOR, client, response());
    two.call(SELECTOR, client, "/after");
    let told = two.told();
    given(&told, "/mine", "/a", Tier::HandOff);
    for call in ["/next", "/slow", "/after"] {
        given_to_none(&told, call);
    }
}

#[test]
fn who_looks_after_a_connection_to_give_it_back_did_not_take_it() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    let own = two.w.tcp(SHOP, 6009, 90, false);
    two.call(A, own, "/own");
    two.call(SELECTOR, client, "/other");
    let told = two.told();
    given(&told, "/own", "/a", Tier::Execution);
    given_to_none(&told, "/other");
}

#[test]
fn who_writes_and_who_took_must_not_disagree() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    two.call(B, client, "/out");
    let told = two.told();
    given_to_none(&told, "/out");
    assert!(matches!(
        reason(&told, "/out"),
        Some(Reason::Conflict { .. })
    ));
}

#[test]
fn a_taker_whose_request_another_thread_answers_proves_nothing() {
    let mut two = Two::new();
    let client = pooled(&mut two);
    two.w.touch(A, client, PROBE);
    two.call(SELECTOR, client, "/out");
    let a = two.a;
    two.w.write(55, a, response());
    two.w.write(B, two.b, response());
    two.w.tick();
    given_to_none(&two.w.told(), "/out");
}

#[test]
fn threads_that_end_with_the_request_belong_to_it() {
    let mut two = Two::new();
    for (parent, child, port) in [(A, 40, 6000), (B, 41, 6001), (40, 42, 6002)] {
        two.w.spawn(SHOP, parent, child);
        let client = two.w.tcp(SHOP, port, 90, false);
        two.call(child, client, &format!("/by/{child}"));
    }
    for child in [42, 40, 41] {
        two.w.exit(SHOP, child);
    }
    let told = two.told();
    given(&told, "/by/40", "/a", Tier::HandOff);
    given(&told, "/by/41", "/b", Tier::HandOff);
    given(&told, "/by/42", "/a", Tier::HandOff);
}

#[test]
fn a_thread_noted_to_end_right_after_the_answer_belongs_to_the_request() {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.call(40, client, "/out");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.tick();
    given(&two.w.told(), "/out", "/a", Tier::HandOff);
}

#[test]
fn a_pool_thread_started_for_one_request_is_not_its_own() {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    // What lay first in the queue was work of the other request.
    two.call(40, client, "/of-b");
    two.answer();
    two.w.tick();
    // It lives on, and works on.
    two.w.sleep(2_000_000_000);
    two.w.tick();
    two.call(40, client, "/later");
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/of-b");
    assert_eq!(reason(&told, "/of-b"), Some(Reason::OutlivedRequest));
    given_to_none(&told, "/later");
}

#[test]
fn a_thread_that_works_on_after_the_answer_and_then_ends_is_none_of_its() {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.call(40, client, "/during");
    two.answer();
    two.call(40, client, "/after");
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/during");
    given_to_none(&told, "/after");
}

#[test]
fn the_end_of_the_process_does_not_show_for_what_threads_were_started() {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.call(40, client, "/out");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.exit(SHOP, SHOP);
    two.w.tick();
    given_to_none(&two.w.told(), "/out");
}

/// Two requests in flight, and thread 40, which is kept.
fn kept() -> (Two, Socket) {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    two.w.park(SHOP, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    (two, client)
}

#[test]
fn who_gives_a_kept_thread_something_to_run_starts_a_thread() {
    let (mut two, client) = kept();
    for (by, target) in [(A, "/1"), (B, "/2"), (A, "/3")] {
        two.w.reuse(SHOP, by, 40);
        two.call(40, client, target);
        two.w.park(SHOP, 40);
    }
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
    given(&told, "/3", "/a", Tier::HandOff);
}

#[test]
fn a_kept_thread_that_is_given_away_at_once_has_ended_too() {
    let (mut two, client) = kept();
    for (by, target) in [(A, "/1"), (B, "/2")] {
        two.w.reuse(SHOP, by, 40);
        two.call(40, client, target);
    }
    two.w.park(SHOP, 40);
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
}

#[test]
fn a_kept_thread_works_for_nobody_until_it_is_given_something() {
    let (mut two, client) = kept();
    two.call(40, client, "/unseen");
    two.w.park(SHOP, 40);
    given_to_none(&two.told(), "/unseen");
}

#[test]
fn a_life_that_began_before_it_was_told_may_be_several() {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.call(40, client, "/out");
    two.w.park(SHOP, 40);
    let told = two.told();
    given_to_none(&told, "/out");
    assert_eq!(reason(&told, "/out"), Some(Reason::OutlivedRequest));
}

#[test]
fn a_life_during_which_somebody_was_given_something_may_be_several() {
    let (mut two, client) = kept();
    two.w.spawn(SHOP, A, 41);
    two.call(41, client, "/doubted");
    two.w.reuse(SHOP, B, 0);
    two.w.park(SHOP, 41);
    two.w.reuse(SHOP, B, 41);
    two.call(41, client, "/known");
    two.w.park(SHOP, 41);
    let told = two.told();
    given_to_none(&told, "/doubted");
    given(&told, "/known", "/b", Tier::HandOff);
}

#[test]
fn what_runs_on_in_a_kept_thread_is_not_the_requests_own() {
    let (mut two, client) = kept();
    two.w.reuse(SHOP, A, 40);
    two.call(40, client, "/during");
    two.answer();
    two.w.sleep(2_000_000_000);
    two.w.tick();
    given_to_none(&two.w.told(), "/during");
}

#[test]
fn a_thread_that_waits_as_kept_ones_do_and_goes_on_was_not_kept() {
    // A library's thread, started lazily: it sends, waits on its own stack for its time to come, and sends again.
    for goes_on in [false, true] {
        let mut two = Two::new();
        two.w.spawn(SHOP, A, 40);
        let client = two.w.tcp(SHOP, 6000, 90, false);
        two.w.park(SHOP, 41);
        two.w.spawn(SHOP, A, 42);
        two.call(42, client, "/sends");
        two.w.park(SHOP, 42);
        two.answer();
        two.w.tick();
        if goes_on {
            two.w.sleep(1_500_000_000);
            two.call(42, client, "/sends-again");
            two.w.park(SHOP, 42);
        }
        two.w.sleep(6_000_000_000);
        two.w.tick();
        two.w.exit(SHOP, 42);
        given_to_none(&two.w.told(), "/sends");
    }
}

#[test]
fn what_is_given_to_a_thread_that_is_just_about_to_wait_runs_in_it() {
    let (mut two, client) = kept();
    two.w.reuse(SHOP, A, 40);
    two.call(40, client, "/1");
    two.w.park(SHOP, 40);
    two.w.reuse(SHOP, B, 40);
    // It finds at once that it need not wait.
    two.w.park(SHOP, 40);
    two.call(40, client, "/2");
    two.w.park(SHOP, 40);
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
}

#[test]
fn where_it_is_told_no_more_which_threads_are_kept_their_lives_may_be_several() {
    let mut two = Two::new();
    let client = two.w.tcp(SHOP, 6000, 90, false);
    // Threads wait at several places: it is not known which are kept.
    two.w.reuse(SHOP, 43, 0);
    two.w.spawn(SHOP, A, 40);
    two.call(40, client, "/of-a");
    two.call(40, client, "/of-b");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/of-a");
    given_to_none(&told, "/of-b");
}

#[test]
fn who_is_born_for_a_request_and_answers_it_owned_it() {
    let mut w = World::new();
    // A selector reads without blocking and starts a thread per request.
    let (a, b) = (w.tcp(SHOP, 80, 5000, true), w.tcp(SHOP, 80, 5001, true));
    w.read(SHOP, a, request("/a", &traceparent(1, 1)));
    w.read(SHOP, b, request("/b", &traceparent(2, 2)));
    for (child, port) in [(40, 6000), (41, 6001)] {
        w.spawn(SHOP, SHOP, child);
        let client = w.tcp(SHOP, port, 90, false);
        w.write(child, client, request(&format!("/by/{child}"), ""));
        w.read(child, client, response());
    }
    // One of them has help.
    w.spawn(SHOP, 40, 42);
    let client = w.tcp(SHOP, 6002, 90, false);
    w.write(42, client, request("/by/42", ""));
    w.read(42, client, response());
    w.exit(SHOP, 42);
    w.write(41, a, response());
    w.write(40, b, response());
    w.exit(SHOP, 40);
    w.exit(SHOP, 41);
    w.tick();
    let told = w.told();
    given(&told, "/by/40", "/b", Tier::Execution);
    given(&told, "/by/41", "/a", Tier::Execution);
    given(&told, "/by/42", "/b", Tier::HandOff);
}

#[test]
fn who_answers_several_or_was_there_before_owned_none() {
    let mut w = World::new();
    w.spawn(SHOP, SHOP, 39);
    let (a, b, c) = (
        w.tcp(SHOP, 80, 5000, true),
        w.tcp(SHOP, 80, 5001, true),
        w.tcp(SHOP, 80, 5002, true),
    );
    for (socket, target) in [(a, "/a"), (b, "/b"), (c, "/c")] {
        w.read(SHOP, socket, request(target, &traceparent(1, 1)));
    }
    w.spawn(SHOP, SHOP, 40);
    for (tid, port) in [(40, 6000), (39, 6001)] {
        let client = w.tcp(SHOP, port, 90, false);
        w.write(tid, client, request(&format!("/by/{tid}"), ""));
        w.read(tid, client, response());
    }
    w.write(40, a, response());
    w.write(40, b, response());
    w.write(39, c, response());
    w.exit(SHOP, 40);
    w.exit(SHOP, 39);
    w.tick();
    let told = w.told();
    given_to_none(&told, "/by/40");
    given_to_none(&told, "/by/39");
}

/// What happens next, to the request in one of three lanes.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request is read, or if one is open, answered.
    Turn(usize),
    /// Its thread calls.
    Own(usize),
    /// Its thread takes a pooled connection, and the selector calls.
    Selector(usize, usize),
    /// A thread that does nothing else looks after a pooled connection.
    Keeper(usize),
    /// The selector calls for its own sake.
    Background(usize),
    /// Its thread starts another one, which calls and ends.
    Helper(usize),
    /// Its thread gives one of two kept ones something to run, which calls; the thread is kept again, as `parks` says.
    Kept { lane: usize, at: usize, parks: bool },
    /// A pool's thread calls for it, started by the thread of the other request if there was none.
    Pool { of: usize, by: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let lane = || 0..3_usize;
    prop_oneof![
        4 => lane().prop_map(Step::Turn),
        1 => lane().prop_map(Step::Own),
        3 => (lane(), lane()).prop_map(|(l, c)| Step::Selector(l, c)),
        1 => lane().prop_map(Step::Keeper),
        1 => lane().prop_map(Step::Background),
        2 => lane().prop_map(Step::Helper),
        3 => (lane(), 0..2_usize, any::<bool>())
            .prop_map(|(lane, at, parks)| Step::Kept { lane, at, parks }),
        2 => (lane(), lane()).prop_map(|(of, by)| Step::Pool { of, by }),
    ]
}

/// Plays the steps; each call's target names the request that it is made for, 0 for none.
fn play(steps: &[Step]) -> World {
    let mut w = World::new();
    let lanes: Vec<Socket> = (0..3).map(|i| w.tcp(SHOP, 80, 5000 + i, false)).collect();
    let pooled: Vec<Socket> = (0..3).map(|i| w.tcp(SHOP, 6000 + i, 90, true)).collect();
    let own: Vec<Socket> = (0..3).map(|i| w.tcp(SHOP, 6100 + i, 90, false)).collect();
    let (mut open, mut served, mut next, mut pool) = ([0_u64; 3], 0, 100, None);
    let call = |w: &mut World, tid, socket, request_of: u64, n: usize| {
        w.write(tid, socket, request(&format!("/for/{request_of}/{n}"), ""));
        w.read(tid, socket, response());
    };
    for (n, step) in steps.iter().enumerate() {
        let thread = |lane: usize| A + u32::try_from(lane).unwrap();
        match *step {
            Step::Turn(lane) if open[lane] == 0 => {
                served += 1;
                open[lane] = served;
                let inbound = request(&format!("/in/{served}"), &traceparent(served, 1));
                w.read(thread(lane), lanes[lane], inbound);
            }
            Step::Turn(lane) => {
                open[lane] = 0;
                w.write(thread(lane), lanes[lane], response());
                w.tick();
            }
            // What a thread does right after its answer counts as part of it.
            Step::Own(lane) if open[lane] == 0 => {}
            Step::Own(lane) => call(&mut w, thread(lane), own[lane], open[lane], n),
            Step::Selector(lane, connection) => {
                w.touch(thread(lane), pooled[connection], PROBE);
                call(&mut w, SELECTOR, pooled[connection], open[lane], n);
            }
            Step::Keeper(connection) => w.touch(50, pooled[connection], PROBE),
            Step::Background(connection) => call(&mut w, SELECTOR, pooled[connection], 0, n),
            Step::Helper(lane) => {
                next += 1;
                w.spawn(SHOP, thread(lane), next);
                let socket = w.tcp(SHOP, 7000, 90, false);
                call(&mut w, next, socket, open[lane], n);
                w.exit(SHOP, next);
            }
            Step::Kept { lane, at, parks } => {
                let thread_kept = 90 + u32::try_from(at).unwrap();
                w.reuse(SHOP, thread(lane), thread_kept);
                let socket = w.tcp(SHOP, 7002, 90, false);
                call(&mut w, thread_kept, socket, open[lane], n);
                if parks {
                    w.park(SHOP, thread_kept);
                }
            }
            Step::Pool { of, by } => {
                let worker = *pool.get_or_insert_with(|| {
                    w.spawn(SHOP, thread(by), 99);
                    99
                });
                let socket = w.tcp(SHOP, 7001, 90, false);
                call(&mut w, worker, socket, open[of], n);
            }
        }
    }
    // The pool's thread lives on.
    w.sleep(3_000_000_000);
    w.tick();
    w
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_call_is_given_to_a_request_that_did_not_make_it(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        prop_assert_eq!(play(&steps).told().misgiven(), []);
    }

    #[test]
    fn nor_if_records_are_lost(
        steps in proptest::collection::vec(step(), 1..60),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        prop_assert_eq!(play(&steps).told_without(&lost).misgiven(), []);
    }
}
