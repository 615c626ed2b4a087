//! Messages that break the rules of HTTP, and lines that are not all text: what is told of them, and that nothing else is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Judged, Role, Summary, Unfinished, Verdict};
use observer_core::message::{Flaw, MessageKind, Protocol};
use world::{Told, World, request, response, traceparent};

const APP: u32 = 10;
const FOLDED: &str = "GET /in/bad HTTP/1.1\r\nA: b\r\n folded\r\n\r\n";

fn summary(told: &Told) -> &Summary {
    told.0
        .iter()
        .find_map(|judged| match judged {
            Judged::Summary(summary) => Some(summary.as_ref()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn a_request_that_can_not_be_read_is_counted_and_those_after_it_are_served() {
    let mut w = World::new();
    w.process(APP, "shop");
    let client = w.tcp(APP, 80, 5000, false);
    for n in 0..3 {
        w.read(APP, client, FOLDED);
        w.write(APP, client, response());
        w.read(APP, client, request(&format!("/in/{n}"), ""));
        w.write(APP, client, response());
    }
    let told = w.told();
    let served = told.exchanges(Role::Server);
    assert_eq!(served.len(), 3);
    assert!(served.iter().all(|s| s.unfinished.is_none()), "{served:?}");
    let summary = summary(&told);
    let [unreadable] = summary.unreadable.as_slice() else {
        panic!("{:?}", summary.unreadable);
    };
    assert_eq!(
        (unreadable.role, unreadable.message, unreadable.flaw),
        (Role::Server, MessageKind::Request, Flaw::FieldName)
    );
    assert_eq!((unreadable.service.as_str(), unreadable.count), ("shop", 3));
    assert!(!unreadable.peer.contains("5000"), "{}", unreadable.peer);
    assert!(summary.losses.is_empty());
}

#[test]
fn a_response_with_broken_framing_is_not_a_loss_and_nothing_follows_from_what_comes_after() {
    let mut w = World::new();
    w.process(APP, "shop");
    let client = w.tcp(APP, 80, 5000, false);
    let service = w.tcp(APP, 6000, 90, false);
    w.read(APP, client, request("/in/0", &traceparent(1, 1)));
    w.write(APP, service, request("/out/0", &traceparent(1, 2)));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    w.read(APP, service, format!("{head}nonsense\r\nabc\r\n0\r\n\r\n"));
    w.write(APP, client, response());
    // The connection goes on.
    w.read(APP, client, request("/in/1", &traceparent(3, 3)));
    w.write(APP, service, request("/out/1", &traceparent(3, 4)));
    w.read(APP, service, response());
    w.write(APP, client, response());
    let told = w.told();
    let broken = told.call("/out/0");
    assert_eq!(broken.unfinished, Some(Unfinished::Malformed));
    assert_eq!(
        (broken.status, broken.flaw),
        (Some(200), Some(Flaw::ChunkSize))
    );
    assert_eq!(broken.verdict, Some(Verdict::Propagated));
    let whole = told.call("/out/1");
    assert_eq!((whole.unfinished, whole.flaw), (None, None));
    let summary = summary(&told);
    assert!(summary.losses.is_empty(), "{:?}", summary.losses);
    let [unreadable] = summary.unreadable.as_slice() else {
        panic!("{:?}", summary.unreadable);
    };
    assert_eq!(
        (unreadable.role, unreadable.message, unreadable.flaw),
        (Role::Client, MessageKind::Response, Flaw::ChunkSize)
    );
    assert!(unreadable.peer.ends_with(":90"), "{}", unreadable.peer);
    let json = told.json().join("\n");
    assert!(json.contains(r#""unfinished":"malformed","flaw":"chunk-size""#));
}

#[test]
fn the_other_side_is_told_escaped() {
    let mut w = World::new();
    w.process(APP, "shop");
    w.process(APP + 1, "client");
    let (_, server) = w.unix("/run/\u{1b}[31m\n.sock", APP + 1, APP);
    w.read(APP, server, FOLDED);
    w.write(APP, server, response());
    let told = w.told();
    let peer = &summary(&told).unreadable[0].peer;
    assert!(
        peer.starts_with("unix:") && !peer.contains(char::is_control),
        "{peer:?}"
    );
}

#[test]
fn a_nul_in_a_line_is_shown_and_what_is_no_text_is_counted_once() {
    let mut w = World::new();
    w.process(APP, "shop");
    let log = w.stdout(APP);
    w.write(APP, log, "asked for /a\0/etc/passwd\n");
    let told = w.told();
    assert!(summary(&told).not_observed.is_empty());
    let lines: Vec<&str> = told
        .0
        .iter()
        .filter_map(|judged| match judged {
            Judged::Log(log) => Some(log.line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 1);
    assert!(
        !lines[0].contains('\0') && lines[0].starts_with("asked for /a"),
        "{lines:?}"
    );
    assert!(lines[0].ends_with("/etc/passwd"), "{lines:?}");

    let mut w = World::new();
    w.process(APP, "shop");
    let log = w.stdout(APP);
    for _ in 0..2 {
        w.write(APP, log, b"\0\0\0\x07in binary data\n");
        w.write(APP, log, "text\n");
    }
    let told = w.told();
    let [unseen] = summary(&told).not_observed.as_slice() else {
        panic!("{:?}", summary(&told).not_observed);
    };
    assert_eq!(
        (unseen.protocol, unseen.connections),
        (Protocol::NotText, 1)
    );
    let lines = told
        .0
        .iter()
        .filter(|judged| matches!(judged, Judged::Log(_)));
    assert_eq!(lines.count(), 2);
}
