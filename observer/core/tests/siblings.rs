//! Requests that come in with the same trace, of which one may be unseen.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Reason, Tier, Verdict};
use world::{Fed, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// Serves several connections, so that nothing but ids names a request.
const LOOP: u32 = 20;

/// A request and a call with its trace, of which the service has `earlier` others, every tenth a sibling of the one before if `siblings`.
fn story(first: impl FnOnce(&mut World), earlier: u16, siblings: bool) -> Told {
    let mut w = World::new();
    first(&mut w);
    for n in 1..=earlier {
        let server = w.tcp(SHOP, 80, 5000 + n, true);
        let trace = if siblings && n % 10 == 0 { n - 1 } else { n };
        w.read(LOOP, server, request("/in", &traceparent(trace.into(), 1)));
        w.write(LOOP, server, response());
        w.tick();
    }
    let server = w.tcp(SHOP, 80, 5000, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    w.read(LOOP, server, request("/last", &traceparent(9_999, 1)));
    w.write(LOOP, client, request("/out", &traceparent(9_999, 2)));
    w.read(LOOP, client, response());
    w.write(LOOP, server, response());
    w.sleep(10_000_000_000);
    w.tick();
    w.told()
}

fn assert_linked(told: &Told) {
    told.assert_given(&told.owner("/out"), "/last", Tier::Context);
}

/// The call is judged, but for which request it was made is not told.
fn assert_not_linked(told: &Told, why: &Reason) {
    let call = told.call("/out");
    assert_eq!(
        call.verdict,
        Some(Verdict::Propagated),
        "{:#?}",
        told.json()
    );
    assert_eq!(told.assert_none(told.owner("/out")).as_ref(), Some(why));
}

fn asked_unseen(w: &mut World) {
    let unseen = w.tcp(SHOP, 80, 4999, true);
    w.read(LOOP, unseen, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[test]
fn where_all_requests_are_seen_an_id_names_one() {
    assert_linked(&story(|_| {}, 0, false));
    assert_linked(&story(|_| {}, 100, true));
}

#[test]
fn a_sibling_may_have_come_in_unseen() {
    assert_not_linked(&story(asked_unseen, 10, false), &Reason::ServesUnseen);
    assert_not_linked(&story(asked_unseen, 100, true), &Reason::ServesUnseen);
}

#[test]
fn requests_that_were_seen_to_have_none_are_named_by_their_ids() {
    assert_linked(&story(asked_unseen, 100, false));
}

#[test]
fn of_connections_that_stand_for_others_it_takes_more() {
    let quarter = |w: &mut World| w.inputs.extend([Fed::Pause(1), Fed::Resume(2, 4)]);
    assert_not_linked(&story(quarter, 100, false), &Reason::Paused);
    assert_linked(&story(quarter, 260, false));
}
