//! Who takes a client connection makes the call on it.

use observer_abi::take::{CONNECT, PROBE};
use observer_core::judged::{Reason, Tier};

use super::*;

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
