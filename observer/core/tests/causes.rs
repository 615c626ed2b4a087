//! Why context is lost on an edge, as the summary tells it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Cause, Judged, Summary};
use world::{World, request, response, traceparent};

const SHOP: u32 = 10;

/// A path, and the context that goes out with its calls, by the inbound trace.
type Call = (&'static str, fn(u64) -> String);

/// A service that serves `n` requests, each with these calls.
fn summary(n: u64, calls: &[Call]) -> Summary {
    let mut w = World::new();
    w.process(SHOP, "shop");
    let server = w.tcp(SHOP, 80, 5000, false);
    let client = w.tcp(SHOP, 6000, 90, false);
    for i in 1..=n {
        w.read(11, server, request(&format!("/in/{i}"), &traceparent(i, 2)));
        for (path, context) in calls {
            w.write(11, client, request(&format!("{path}/{i}"), &context(i)));
            w.read(11, client, response());
        }
        w.write(11, server, response());
        w.tick();
    }
    let Some(Judged::Summary(summary)) = w.told().0.pop() else {
        panic!("no summary")
    };
    *summary
}

fn nothing(_: u64) -> String {
    String::new()
}

fn onward(trace: u64) -> String {
    traceparent(trace, 77)
}

fn anew(trace: u64) -> String {
    traceparent(trace + 1_000, 1)
}

fn cause(summary: &Summary) -> (Cause, &[String]) {
    let why = &summary.services[0].edges[0].why[0];
    (why.cause, &why.routes)
}

#[test]
fn a_service_that_never_sends_context_is_not_instrumented() {
    assert_eq!(
        cause(&summary(5, &[("/pay", nothing)])).0,
        Cause::NotInstrumented
    );
}

#[test]
fn a_route_that_never_carries_context_is_named() {
    let told = summary(5, &[("/pay", onward), ("/discount", nothing)]);
    let (cause, routes) = cause(&told);
    assert_eq!(cause, Cause::CallNotInstrumented);
    assert_eq!(routes, ["GET /discount/{id}"]);
}

#[test]
fn a_route_that_sometimes_does_is_told_so() {
    let by_turns = |i: u64| {
        if i.is_multiple_of(2) {
            onward(i)
        } else {
            nothing(i)
        }
    };
    assert_eq!(
        cause(&summary(6, &[("/pay", by_turns)])).0,
        Cause::Sometimes
    );
}

#[test]
fn a_service_that_starts_anew_is_told_so() {
    assert_eq!(cause(&summary(5, &[("/pay", anew)])).0, Cause::NewTrace);
}

#[test]
fn rates_count_what_was_judged() {
    let told = summary(10, &[("/pay", onward), ("/discount", nothing)]);
    let loss = told.services[0].edges[0].loss;
    assert_eq!((loss.hits, loss.n), (10, 20));
    assert!(loss.low < 0.5 && loss.high > 0.5);
}
