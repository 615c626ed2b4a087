//! Stories of connections that several processes have: a handler's child answers, and the parent goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Judged, Reason, Unfinished};
use world::{Socket, World, request, response, traceparent};

const SHOP: u32 = 10;
const WORKER: u32 = 11;
const CHILD: u32 = 30;

/// A child of the handler answers and ends, with the descriptors that it has.
fn a_child_answers(w: &mut World, server: Socket, child: u32) {
    w.fork(SHOP, WORKER, child);
    let its = server.of(child);
    w.write(child, its, response());
    w.close_one(child, its);
    w.exit(child, child);
}

#[test]
fn a_connection_goes_on_when_a_child_that_answered_on_it_has_ended() {
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, false);
    let client = w.tcp(SHOP, 6000, 90, false);
    for n in 0..4u16 {
        w.read(
            WORKER,
            server,
            request(&format!("/in/{n}"), &traceparent(1, 2)),
        );
        w.calls(WORKER, client, &format!("/out/{n}"));
        a_child_answers(&mut w, server, CHILD + u32::from(n));
    }
    w.tick();
    let told = w.told();
    let lost = |judged: &Judged| matches!(judged, Judged::Loss(_));
    assert!(!told.0.iter().any(lost));
    for n in 0..4 {
        let served = told.served(&format!("/in/{n}"));
        assert_eq!((served.status, served.unfinished), (Some(200), None));
        let owner = told.owner(&format!("/out/{n}"));
        assert_eq!(told.assert_none(owner), Some(Reason::AnsweredElsewhere));
    }
}

#[test]
fn what_nobody_has_any_more_ends() {
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, false);
    w.read(WORKER, server, request("/in", ""));
    w.fork(SHOP, WORKER, CHILD);
    w.close_one(WORKER, server);
    let its = server.of(CHILD);
    w.write(CHILD, its, "HTTP/1.1 100 Continue\r\n\r\n");
    w.exit(CHILD, CHILD);
    w.tick();
    assert_eq!(w.told().served("/in").unfinished, Some(Unfinished::Exited));
}
