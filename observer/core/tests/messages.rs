//! Stories of event loops that send each other messages: Node with worker threads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::BTreeMap;

use observer_abi::item::{GIVEN, TAKEN};
use observer_abi::runtime::NODE;
use observer_core::judged::Role;
use proptest::prelude::*;
use world::{Socket, World, request, response, traceparent};

const SHOP: u32 = 10;
/// The main thread's event loop; those of workers are 1 and 2.
const MAIN: u32 = 0;
const LANES: u16 = 3;
/// The async id of connections and ports, given out long ago.
const HANDLE: u64 = 5;

/// One event loop.
#[derive(Default)]
struct Loop {
    turn: u64,
    reads: u32,
    ids: u64,
}

/// A service that gives each request to a worker, which calls.
struct Service {
    w: World,
    loops: BTreeMap<u32, Loop>,
    served: Vec<Socket>,
    called: Vec<Socket>,
    messages: u64,
    requests: u64,
}

/// Where a request is in its life.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    /// A message lies in its worker's queue.
    Given(u64),
    Called,
    /// A message lies in the main thread's queue.
    Back(u64),
}

impl Service {
    fn new() -> Self {
        let mut w = World::new();
        let served = (0..LANES).map(|i| w.tcp(SHOP, 80, 5000 + i, true));
        let served = served.collect();
        let called = (0..LANES).map(|i| w.tcp(SHOP, 6000 + i, 90, true));
        let called = called.collect();
        let mut this = Self {
            w,
            loops: BTreeMap::new(),
            served,
            called,
            messages: 0,
            requests: 0,
        };
        for number in 0..3 {
            this.begins(number);
            this.ends(number);
        }
        this
    }

    /// A turn runs on an event loop. Returns its thread.
    fn begins(&mut self, number: u32) -> u32 {
        let at = self.loops.entry(number).or_default();
        at.ids += 10;
        let tid = SHOP + number;
        self.w.run(tid, NODE, u64::from(tid) << 40 | at.turn);
        tid
    }

    fn ends(&mut self, number: u32) {
        let at = self.loops.get_mut(&number).unwrap();
        self.w
            .turn(SHOP, SHOP + number, HANDLE, 100 + at.ids, at.reads);
        at.turn += 1;
        at.reads = 0;
    }

    fn reads(&mut self, number: u32, socket: Socket, bytes: &str) -> u32 {
        let tid = self.begins(number);
        self.loops.get_mut(&number).unwrap().reads += 1;
        self.w.read(tid, socket, bytes);
        tid
    }

    fn takes(&mut self, number: u32, message: u64) -> u32 {
        let tid = self.begins(number);
        self.w.message(SHOP, tid, TAKEN, message);
        tid
    }

    fn gives(&mut self, tid: u32) -> u64 {
        self.messages += 1;
        self.w.message(SHOP, tid, GIVEN, self.messages);
        self.messages
    }

    /// The request of a lane goes on: `number` is that which came last.
    fn goes_on(&mut self, lane: usize, number: u64, stage: Stage) -> Stage {
        let worker = 1 + u32::try_from(lane).unwrap() % 2;
        match stage {
            Stage::Idle => {
                let inbound = request(&format!("/in/{number}"), &traceparent(number, 1));
                let tid = self.reads(MAIN, self.served[lane], &inbound);
                let message = self.gives(tid);
                self.ends(MAIN);
                Stage::Given(message)
            }
            Stage::Given(message) => {
                let tid = self.takes(worker, message);
                let call = request(&format!("/for/{number}"), "");
                self.w.write(tid, self.called[lane], call);
                self.ends(worker);
                Stage::Called
            }
            Stage::Called => {
                let tid = self.reads(worker, self.called[lane], response());
                let message = self.gives(tid);
                self.ends(worker);
                Stage::Back(message)
            }
            Stage::Back(message) => {
                let tid = self.takes(MAIN, message);
                self.w.write(tid, self.served[lane], response());
                self.ends(MAIN);
                self.w.tick();
                Stage::Idle
            }
        }
    }
}

/// Requests whose lives are mixed so; each call names the request for which it is made.
fn play(steps: &[usize]) -> World {
    let mut service = Service::new();
    let mut lanes = [(0, Stage::Idle); LANES as usize];
    for lane in steps {
        let (number, stage) = &mut lanes[*lane];
        if matches!(stage, Stage::Idle) {
            service.requests += 1;
            *number = service.requests;
        }
        *stage = service.goes_on(*lane, *number, *stage);
    }
    service.w.sleep(10_000_000_000);
    service.w.tick();
    service.w
}

#[test]
fn calls_of_workers_are_of_the_requests_that_they_were_given() {
    let told = play(&[0, 1, 2, 1, 0, 2, 2, 1, 0, 1, 2, 0]).told();
    assert_eq!(told.misgiven(), []);
    let calls = told.exchanges(Role::Client);
    assert_eq!(calls.len(), 3);
    assert!(
        calls.iter().all(|call| call.request.is_some()),
        "{:#?}",
        told.json()
    );
}

/// In a turn of the first request a connection becomes free for the call of a second one, which waited: no id tells of that.
#[test]
fn a_call_that_outlasts_the_answer_is_of_none() {
    let mut service = Service::new();
    service.requests = 2;
    let first = service.goes_on(0, 1, Stage::Idle);
    let called = service.goes_on(0, 1, first);
    assert!(matches!(called, Stage::Called));
    let Stage::Given(second) = service.goes_on(2, 2, Stage::Idle) else {
        unreachable!();
    };
    service.takes(1, second);
    service.ends(1);
    let tid = service.reads(1, service.called[0], response());
    let call = request("/for/2", "");
    service.w.write(tid, service.called[2], call);
    let back = service.gives(tid);
    service.ends(1);
    service.goes_on(0, 1, Stage::Back(back));
    service.reads(1, service.called[2], response());
    service.ends(1);
    service.w.sleep(10_000_000_000);
    service.w.tick();
    let told = service.w.told();
    assert_eq!(told.misgiven(), []);
    let calls = told.exchanges(Role::Client);
    let given: Vec<_> = calls.iter().map(|call| call.request.is_some()).collect();
    assert_eq!(given, [true, false], "{:#?}", told.json());
}

/// The same of a call that ends before that answer. The second request goes on after another call of its own, so that no answer shows it.
#[test]
fn a_call_that_waited_for_a_connection_is_of_none_unless_the_answer_follows_from_it() {
    let mut service = Service::new();
    service.requests = 2;
    let first = service.goes_on(0, 1, Stage::Idle);
    service.goes_on(0, 1, first);
    let second = service.goes_on(2, 2, Stage::Idle);
    service.goes_on(2, 2, second);
    let tid = service.reads(1, service.called[0], response());
    let call = request("/for/2", "");
    service.w.write(tid, service.called[0], call);
    let back = service.gives(tid);
    service.ends(1);
    service.reads(1, service.called[0], response());
    service.ends(1);
    service.goes_on(0, 1, Stage::Back(back));
    let back = service.goes_on(2, 2, Stage::Called);
    service.goes_on(2, 2, back);
    service.w.sleep(10_000_000_000);
    service.w.tick();
    let told = service.w.told();
    assert_eq!(told.misgiven(), []);
    let calls = told.exchanges(Role::Client);
    let given = calls.iter().filter(|call| call.request.is_some());
    assert_eq!((given.count(), calls.len()), (2, 3), "{:#?}", told.json());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_call_is_given_to_another_request_if_records_are_lost(
        steps in proptest::collection::vec(0..usize::from(LANES), 1..100),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(play(&steps).told_without(&lost).misgiven(), []);
    }
}
