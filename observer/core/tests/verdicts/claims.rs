//! What makes work that of a request, and what speaks against it.

use observer_abi::waited;
use observer_core::judged::{LogVerdict, Reason, Verdict};

use super::world::{World, request, response, traceparent};
use super::{SHOP, WORKER, ended, shop};

#[test]
fn a_thread_that_cannot_block_is_no_evidence() {
    let mut w = World::new();
    let (a, b) = w.serves_both(SHOP, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    w.reads_both([SHOP, SHOP], (a, b));
    w.write(SHOP, client, request("/out", ""));
    w.write(SHOP, b, response());
    w.write(SHOP, a, response());
    w.read(SHOP, client, response());
    w.tick();
    let told = w.told();
    let call = told.call("/out");
    assert_eq!(
        (call.verdict, call.request),
        (Some(Verdict::Inconclusive), None)
    );
}

#[test]
fn what_a_process_does_that_was_begun_amid_requests_of_another_may_be_for_these() {
    const COMMAND: u32 = 30;
    const ITS_OWN: u32 = 31;
    const LATER: u32 = 32;
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, false);
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.fork(SHOP, WORKER, COMMAND);
    w.fork(COMMAND, COMMAND, ITS_OWN);
    for (process, (bare, carrying)) in [
        (COMMAND, ("/bare", "/carrying")),
        (ITS_OWN, ("/bare-too", "/carrying-too")),
    ] {
        let client = w.tcp(process, 6000, 90, false);
        w.calls(process, client, bare);
        w.write(process, client, request(carrying, &traceparent(1, 3)));
        w.read(process, client, response());
    }
    w.write(WORKER, server, response());
    w.sleep(3_000_000_000);
    w.fork(SHOP, WORKER, LATER);
    let client = w.tcp(LATER, 6001, 90, false);
    w.calls(LATER, client, "/later");
    w.tick();
    let told = w.told();
    for call in ["/bare", "/carrying", "/bare-too", "/carrying-too"] {
        let call = told.call(call);
        assert_eq!(call.verdict, Some(Verdict::Inconclusive));
        let reason = call.attribution.as_ref().unwrap().reason.clone();
        assert_eq!(reason, Some(Reason::BegunAmid));
    }
    let call = told.call("/later");
    assert_eq!(call.verdict, Some(Verdict::Absent));
}

#[test]
fn a_process_that_serves_requests_itself_works_for_these_whoever_began_it() {
    const OTHER: u32 = 30;
    let mut w = World::new();
    let server = w.tcp(SHOP, 80, 5000, false);
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.fork(SHOP, WORKER, OTHER);
    w.write(WORKER, server, response());
    let server = w.tcp(OTHER, 80, 5001, false);
    w.read(OTHER, server, request("/other", &traceparent(2, 2)));
    w.write(OTHER, server, response());
    w.eof(OTHER, server);
    w.sleep(3_000_000_000);
    let client = w.tcp(OTHER, 6000, 90, false);
    w.calls(OTHER + 9, client, "/poll");
    w.tick();
    assert_eq!(w.told().call("/poll").verdict, Some(Verdict::Absent));
}

#[test]
fn what_is_done_right_after_attaching_may_be_for_a_request_that_came_in_before() {
    const BEGUN: u32 = 30;
    let mut w = World::just_attached();
    w.fork(1, 1, BEGUN);
    for (process, target) in [(SHOP, "/first"), (BEGUN, "/its-first")] {
        let client = w.tcp(process, 6000, 90, false);
        w.calls(process, client, target);
    }
    let out = w.stdout(SHOP);
    w.write(SHOP, out, "first line\n");
    w.sleep(6_000_000_000);
    let client = w.tcp(SHOP, 6001, 90, false);
    w.calls(SHOP, client, "/later");
    w.write(SHOP, out, "later line\n");
    w.tick();
    let told = w.told();
    let call = told.call("/first");
    assert_eq!(call.verdict, Some(Verdict::Inconclusive));
    let reason = call.attribution.as_ref().unwrap().reason.clone();
    assert_eq!(reason, Some(Reason::JustAttached));
    assert_eq!(told.line("first").verdict, LogVerdict::Inconclusive);
    assert_eq!(told.call("/its-first").verdict, Some(Verdict::Absent));
    assert_eq!(told.call("/later").verdict, Some(Verdict::Absent));
    assert_eq!(told.line("later").verdict, LogVerdict::Unscoped);
}

#[test]
fn what_follows_an_upgrade_is_not_the_upgrading_requests() {
    for (asked, answer) in [
        (
            request("/socket", &traceparent(1, 1)),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            format!("CONNECT far:1 HTTP/1.1\r\n{}\r\n", traceparent(1, 1)),
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
    ] {
        let (mut w, server, client) = shop();
        w.read(WORKER, server, asked);
        w.write(WORKER, server, answer);
        for pushed in ["/first", "/second"] {
            w.calls(WORKER, client, pushed);
            w.read(WORKER, server, "\u{1}\u{5}hello");
        }
        w.close(WORKER, server);
        w.tick();
        let told = w.told();
        for pushed in ["/first", "/second"] {
            let call = told.call(pushed);
            assert_eq!(call.verdict, Some(Verdict::Inconclusive), "{answer}");
            assert_eq!(call.request, None, "{answer}");
        }
    }
}

#[test]
fn an_event_loop_in_between_breaks_the_claim() {
    let (mut w, server, client) = shop();
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.wait(WORKER, waited::EVENT_LOOP);
    w.write(WORKER, client, request("/out", ""));
    let told = ended(w, server, client);
    let call = told.call("/out");
    assert_eq!(
        call.verdict,
        Some(Verdict::Inconclusive),
        "{:#?}",
        told.json()
    );
    assert_ne!(
        call.attribution.as_ref().unwrap().reason,
        Some(Reason::NoRequest)
    );
}

#[test]
fn a_response_by_another_thread_breaks_the_claim() {
    let (mut w, server, client) = shop();
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.calls(WORKER, client, "/out");
    w.write(33, server, response());
    w.tick();
    let told = w.told();
    let call = told.call("/out");
    assert_eq!(call.verdict, Some(Verdict::Inconclusive));
    assert_eq!(
        call.attribution.as_ref().unwrap().reason,
        Some(Reason::AnsweredElsewhere)
    );
}

#[test]
fn work_of_a_timer_is_never_given_to_a_request() {
    let (mut w, server, client) = shop();
    let stdout = w.stdout(SHOP);
    w.calls(44, client, "/bg");
    w.write(44, stdout, "tick\n");
    w.read(WORKER, server, request("/in", &traceparent(1, 2)));
    w.calls(44, client, "/bg2");
    w.write(WORKER, server, response());
    w.tick();
    let told = w.told();
    assert_eq!(told.call("/bg").verdict, Some(Verdict::Absent));
    assert_eq!(told.line("tick").verdict, LogVerdict::Unscoped);
    assert_eq!(told.call("/bg2").verdict, Some(Verdict::Inconclusive));
}
