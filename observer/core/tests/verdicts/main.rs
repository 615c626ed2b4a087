//! Whole stories: what threads do, and what the pipeline says about it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod claims;
#[path = "../world/mod.rs"]
mod world;

use observer_core::judged::{LogVerdict, Reason, Role, Tier, Verdict};
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
const WORKER: u32 = 11;

/// A service, with a connection on which it serves and one on which it calls.
fn shop() -> (World, Socket, Socket) {
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, false);
    let client = w.tcp(SHOP, 6000, 90, false);
    (w, server, client)
}

/// A service in which threads 21 and 22 have read a request each, for `/a` of trace 1 and for `/b` of trace 2.
fn two() -> (World, Socket, Socket) {
    let mut w = World::new();
    let (a, b) = w.serves_both(SHOP, false);
    w.reads_both([21, 22], (a, b));
    (w, a, b)
}

/// What is told once the worker has the response of its call, and has answered.
fn ended(mut w: World, server: Socket, client: Socket) -> Told {
    w.read(WORKER, client, response());
    w.write(WORKER, server, response());
    w.tick();
    w.told()
}

/// A thread serves a request and makes one call with these headers.
fn one_call(inbound: &str, outbound: &str) -> (Verdict, Option<Tier>) {
    let (mut w, server, client) = shop();
    w.read(WORKER, server, request("/in", inbound));
    w.write(WORKER, client, request("/out", outbound));
    let told = ended(w, server, client);
    let call = told.call("/out");
    assert_eq!(
        call.request,
        Some(told.served("/in").id),
        "{:#?}",
        told.json()
    );
    (
        call.verdict.unwrap(),
        call.attribution.as_ref().unwrap().tier,
    )
}

#[test]
fn every_verdict_of_a_thread_that_serves_alone() {
    let inbound = traceparent(1, 2);
    for (outbound, verdict, tier) in [
        (traceparent(1, 3), Verdict::Propagated, Tier::Context),
        (traceparent(1, 2), Verdict::Forwarded, Tier::Context),
        (String::new(), Verdict::Dropped, Tier::Execution),
        (traceparent(9, 3), Verdict::Restarted, Tier::Execution),
        (
            "traceparent: 00-xyz\r\n".to_owned(),
            Verdict::Mangled,
            Tier::Execution,
        ),
        (
            format!("b3: {:032x}-{:016x}-1\r\n", 1, 5),
            Verdict::Translated,
            Tier::Context,
        ),
    ] {
        assert_eq!(
            one_call(&inbound, &outbound),
            (verdict, Some(tier)),
            "{outbound}"
        );
    }
    assert_eq!(one_call("", &traceparent(9, 3)).0, Verdict::Originated);
    assert_eq!(one_call("", "").0, Verdict::Absent);
}

#[test]
fn what_a_process_with_a_ring_does_is_judged_by_ids_alone() {
    for (outbound, verdict) in [
        (traceparent(1, 3), Verdict::Propagated),
        (String::new(), Verdict::Inconclusive),
        (traceparent(9, 3), Verdict::Inconclusive),
    ] {
        let mut w = World::new();
        w.has_ring(SHOP);
        w.tick();
        let server = w.tcp(SHOP, 80, 5000, false);
        let client = w.tcp(SHOP, 6000, 90, false);
        w.read(WORKER, server, request("/in", &traceparent(1, 2)));
        w.write(WORKER, client, request("/out", &outbound));
        w.read(WORKER, client, response());
        w.write(WORKER, server, response());
        w.tick();
        let told = w.told();
        assert_eq!(told.call("/out").verdict, Some(verdict), "{outbound}");
        let unseen = told.json().concat();
        assert!(
            unseen.contains(r#""protocol":"io-uring","connections":1"#),
            "{unseen}"
        );
    }
}

#[test]
fn context_of_another_request_is_crossed() {
    let (mut w, a, b) = two();
    let client = w.tcp(SHOP, 6000, 90, false);
    w.write(22, client, request("/out", &traceparent(1, 7)));
    w.read(22, client, response());
    w.write(22, b, response());
    w.write(21, a, response());
    w.tick();
    let told = w.told();
    let call = told.call("/out");
    assert_eq!(call.verdict, Some(Verdict::Crossed));
    assert_eq!(call.request, Some(told.served("/b").id));
}

#[test]
fn a_call_is_not_made_for_the_request_that_it_becomes() {
    let mut w = World::new();
    let out = w.stdout(SHOP);
    let (client, server) = (w.tcp(SHOP, 6000, 80, false), w.tcp(SHOP, 80, 6000, false));
    w.write(21, out, format!("begins trace_id={:032x}\n", 1));
    w.write(21, client, request("/self", &traceparent(1, 2)));
    w.read(WORKER, server, request("/self", &traceparent(1, 2)));
    w.write(WORKER, out, format!("serves trace_id={:032x}\n", 1));
    w.write(WORKER, server, response());
    w.read(21, client, response());
    w.tick();
    let told = w.told();
    let call = told.call("/self");
    assert_eq!(
        (call.verdict, call.request),
        (Some(Verdict::Originated), None)
    );
    assert!(told.json().concat().contains("no request was in flight"));
    let serves = told.line("serves trace_id=00000000000000000000000000000001");
    assert_eq!(serves.request, Some(told.served("/self").id));
    let begins = told.line("begins trace_id=00000000000000000000000000000001");
    assert_eq!(begins.request, None);
}

#[test]
fn a_trace_begun_for_a_call_to_itself_is_restarted_and_not_crossed() {
    let mut w = World::new();
    let outer = w.tcp(SHOP, 80, 5000, false);
    let (client, inner) = (w.tcp(SHOP, 6000, 80, false), w.tcp(SHOP, 80, 6000, false));
    w.read(21, outer, request("/outer", &traceparent(1, 1)));
    w.write(21, client, request("/inner", &traceparent(9, 3)));
    w.read(WORKER, inner, request("/inner", &traceparent(9, 3)));
    w.write(WORKER, inner, response());
    w.read(21, client, response());
    w.write(21, outer, response());
    w.tick();
    let told = w.told();
    let call = told.call("/inner");
    assert_eq!(call.verdict, Some(Verdict::Restarted), "{:#?}", told.json());
    assert_eq!(call.request, Some(told.served("/outer").id));
}

/// A service without context of its own to go on with begins a trace, calls itself with it, and then calls on; `claims` if its thread shows for whom.
fn begun_for_itself(claims: bool, headers: &str) -> Told {
    let mut w = World::new();
    let outer = w.tcp(SHOP, 80, 5000, !claims);
    let (client, inner) = (w.tcp(SHOP, 6000, 80, false), w.tcp(SHOP, 80, 6000, false));
    let next = w.tcp(SHOP, 6001, 90, false);
    w.read(21, outer, request("/outer", headers));
    w.write(21, client, request("/inner", &traceparent(9, 3)));
    w.read(WORKER, inner, request("/inner", &traceparent(9, 3)));
    w.write(WORKER, inner, response());
    w.read(21, client, response());
    w.write(21, next, request("/next", &traceparent(9, 4)));
    w.read(21, next, response());
    w.write(21, outer, response());
    w.tick();
    w.told()
}

#[test]
fn who_goes_on_with_a_trace_that_was_sent_to_itself_has_begun_it() {
    let told = begun_for_itself(true, &traceparent(1, 1));
    let call = told.call("/next");
    assert_eq!(call.verdict, Some(Verdict::Restarted), "{:#?}", told.json());
    assert_eq!(call.request, Some(told.served("/outer").id));
    let told = begun_for_itself(true, "");
    assert_eq!(told.call("/next").verdict, Some(Verdict::Originated));
}

#[test]
fn a_trace_that_was_sent_to_itself_names_nobody() {
    let told = begun_for_itself(false, "");
    let call = told.call("/next");
    assert_eq!(
        call.verdict,
        Some(Verdict::Inconclusive),
        "{:#?}",
        told.json()
    );
    assert_eq!(call.request, None);
}

#[test]
fn an_id_is_not_unknown_where_some_come_in_unseen_and_nothing_was_lost() {
    let mut w = World::new();
    let unseen = w.tcp(SHOP, 80, 5001, false);
    let server = w.tcp(SHOP, 80, 5000, false);
    let client = w.tcp(SHOP, 6000, 90, false);
    w.read(WORKER, unseen, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.write(WORKER, client, request("/out", &traceparent(9, 3)));
    let told = ended(w, server, client);
    let call = told.call("/out");
    assert_eq!(call.verdict, Some(Verdict::Inconclusive));
    let reason = call.attribution.as_ref().unwrap().reason.clone();
    assert_eq!(reason, Some(Reason::ServesUnseen));
}

#[test]
fn lines_are_judged_by_the_request_of_their_thread() {
    let (mut w, a, b) = two();
    let stdout = w.stdout(SHOP);
    w.write(21, stdout, format!("trace_id={:032x} good\n", 1));
    w.write(21, stdout, "bare\n");
    w.write(21, stdout, format!("trace_id={:032x} zeros\n", 0));
    w.write(22, stdout, format!("trace_id={:032x} leaked\n", 1));
    w.write(22, stdout, format!("trace_id={:032x} stranger\n", 77));
    w.write(21, stdout, "one\ntwo\n");
    w.write(21, a, response());
    w.write(21, stdout, "afterwards\n");
    w.eof(21, a);
    w.write(22, b, response());
    w.tick();
    let told = w.told();
    for (text, verdict, target) in [
        ("good", LogVerdict::Linked, Some("/a")),
        ("bare", LogVerdict::Missing, Some("/a")),
        ("zeros", LogVerdict::Zero, Some("/a")),
        ("leaked", LogVerdict::Crossed, Some("/b")),
        ("stranger", LogVerdict::Foreign, Some("/b")),
        ("one", LogVerdict::Inconclusive, None),
        ("afterwards", LogVerdict::Missing, Some("/a")),
    ] {
        let line = told.line(text);
        assert_eq!(line.verdict, verdict, "{text}: {:?}", line.attribution);
        assert_eq!(line.request, target.map(|t| told.served(t).id), "{text}");
    }
}

#[test]
fn a_log_queue_in_a_pipe_is_followed() {
    let (mut w, a, b) = two();
    let stdout = w.stdout(SHOP);
    let (reader, writer) = w.pipe(SHOP);
    w.write_first(21, writer, "\0\0\0\x14message of thread 21");
    w.write(22, writer, "\0\0\0\x14message of thread 22");
    w.read(30, reader, "\0\0\0\x14");
    w.read(30, reader, "message of thread 21");
    w.write(30, stdout, "line of a\n");
    w.read(30, reader, "\0\0\0\x14");
    w.read(30, reader, "message of thread 22");
    w.write(30, stdout, "line of b\n");
    w.write(21, a, response());
    w.write(22, b, response());
    w.tick();
    let told = w.told();
    for (text, target) in [("line of a", "/a"), ("line of b", "/b")] {
        let line = told.line(text);
        assert_eq!(
            line.request,
            Some(told.served(target).id),
            "{:?}",
            line.attribution
        );
        assert_eq!(line.attribution.tier, Some(Tier::HandOff));
        assert_eq!(line.verdict, LogVerdict::Missing);
    }
}

#[test]
fn both_ends_of_a_connection_are_joined() {
    let mut w = World::new();
    w.process(SHOP, "gateway");
    w.process(50, "cart");
    let server = w.tcp(SHOP, 80, 5000, false);
    let client = w.tcp(SHOP, 6000, 90, false);
    let other = w.tcp(50, 90, 6000, false);
    w.read(WORKER, server, request("/in", ""));
    for n in ["/1", "/2"] {
        w.write(WORKER, client, request(n, ""));
        w.read(51, other, request(n, ""));
        w.write(51, other, response());
        w.read(WORKER, client, response());
    }
    w.write(WORKER, server, response());
    w.tick();
    let told = w.told();
    for n in ["/1", "/2"] {
        assert_eq!(told.served(n).parent, Some(told.call(n).id));
        assert_eq!(told.call(n).peer_service.as_deref(), Some("cart"));
    }
    assert_eq!(told.exchanges(Role::Server).len(), 3);
}

#[test]
fn correlation_ids_join_across_threads() {
    let mut w = World::new();
    let (a, b) = w.serves_both(SHOP, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    let id = |n| format!("X-Request-Id: request-number-{n}\r\n");
    w.read(SHOP, a, request("/a", &(traceparent(1, 1) + &id(1))));
    w.read(SHOP, b, request("/b", &(traceparent(2, 2) + &id(2))));
    w.write(SHOP, client, request("/out", &id(2)));
    w.read(SHOP, client, response());
    w.write(SHOP, b, response());
    w.write(SHOP, a, response());
    w.tick();
    let told = w.told();
    let call = told.call("/out");
    assert_eq!(call.request, Some(told.served("/b").id));
    assert_eq!(
        (call.verdict, call.attribution.as_ref().unwrap().tier),
        (Some(Verdict::Dropped), Some(Tier::Declared))
    );
}

#[test]
fn the_only_request_is_evidence_once_background_work_is_ruled_out() {
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    for n in 0..5 {
        w.sleep(1_000_000_000);
        w.read(
            SHOP,
            server,
            request(&format!("/in/{n}"), &traceparent(n + 1, 2)),
        );
        w.sleep(1_000_000);
        w.calls(SHOP, client, &format!("/out/{n}"));
        w.write(SHOP, server, response());
        w.tick();
    }
    let told = w.told();
    assert_eq!(told.call("/out/0").verdict, Some(Verdict::Inconclusive));
    let last = told.call("/out/4");
    assert_eq!(
        (last.verdict, last.request),
        (Some(Verdict::Dropped), Some(told.served("/in/4").id))
    );
    assert_eq!(
        last.attribution.as_ref().unwrap().tier,
        Some(Tier::Exclusive)
    );
}
