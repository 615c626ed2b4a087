//! Stories of hand-offs between threads: who takes a connection, who starts whom, who answers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod births;
mod kept;
mod steps;
mod takes;
#[path = "../world/mod.rs"]
mod world;

use observer_core::judged::{Reason, Tier};
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Threads that serve.
const A: u32 = 11;
const B: u32 = 12;
/// The client's selector.
const SELECTOR: u32 = 30;

fn given(told: &Told, call: &str, to: &str, tier: Tier) {
    told.assert_given(&told.owner(call), to, tier);
}

fn given_to_none(told: &Told, call: &str) {
    told.assert_none(told.owner(call));
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
        let (a, b) = w.serves_both(SHOP, false);
        w.reads_both([A, B], (a, b));
        Self { w, a, b }
    }

    fn client(&mut self, port: u16) -> Socket {
        self.w.tcp(SHOP, port, 90, true)
    }

    fn call(&mut self, tid: u32, client: Socket, target: &str) {
        self.w.calls(tid, client, target);
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

/// Two requests in flight, and thread 40, started for the first one; with a connection on which to call.
fn born() -> (Two, Socket) {
    let mut two = Two::new();
    two.w.spawn(SHOP, A, 40);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    (two, client)
}
