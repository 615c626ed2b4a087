//! Any order of such steps: no call is given to a request that did not make it.

use observer_abi::take::PROBE;
use proptest::prelude::*;

use super::world::{Socket, World, request, response, traceparent};
use super::{A, SELECTOR, SHOP};

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
        w.calls(tid, socket, &format!("/for/{request_of}/{n}"));
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
