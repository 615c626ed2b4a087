//! Losses, attaching to what is in progress, and what is not HTTP.

use super::wire::{READ, WRITE, Wire};
use crate::record::End;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn served() -> Wire {
    let mut wire = Wire::default();
    wire.send(READ, GET).send(WRITE, OK);
    assert_eq!(wire.told(), ["Read GET /a", "sent", "200", "done"]);
    wire
}

#[test]
fn a_gap_in_a_body_of_known_length_loses_nothing() {
    let mut wire = served();
    wire.send(READ, GET)
        .send_cut(
            WRITE,
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab",
            48,
        )
        .skip(WRITE, 48)
        .send(WRITE, b"yz");
    assert_eq!(wire.told(), ["Read GET /a", "sent", "200", "done"]);
}

#[test]
fn nobody_is_said_to_have_moved_what_was_not_seen() {
    let mut wire = served();
    wire.send(READ, GET)
        .send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        .skip(WRITE, 8)
        .send(READ, GET)
        .send(WRITE, OK);
    let moved = wire.moved();
    assert_eq!(moved.len(), 8);
    // The gap shows only after the next request: its end is told then.
    let one_thread: Vec<_> = moved.iter().map(|m| m.one_thread).collect();
    assert_eq!(
        one_thread,
        [true, true, true, true, true, false, true, true]
    );
}

#[test]
fn a_gap_elsewhere_is_told_and_overcome_at_the_next_head() {
    for (before, gap) in [
        (&b"HTTP/1.1 200 OK\r\nConte"[..], 20),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 9),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            4,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", 4),
    ] {
        let mut wire = served();
        wire.send(READ, GET)
            .send(WRITE, before)
            .skip(WRITE, gap)
            .send(WRITE, b"rest of it")
            .send(READ, GET)
            .send(WRITE, OK);
        let told = wire.told();
        let lost = told.iter().position(|t| t == "lost").unwrap();
        assert!(!told[..lost].contains(&"done".to_owned()));
        assert_eq!(told[lost + 1..], ["Read GET /a", "sent", "200", "done"]);
    }
}

#[test]
fn a_cut_head_is_lost() {
    let mut wire = served();
    wire.send_cut(READ, b"GET /b HTTP/1.1\r\nHo", 10)
        .send(WRITE, OK)
        .send(READ, GET)
        .send(WRITE, OK);
    assert_eq!(wire.told(), ["lost", "Read GET /a", "sent", "200", "done"]);
}

#[test]
fn a_response_is_not_given_to_the_request_after_a_lost_one() {
    // The request of the first response is lost; nothing is told until the next request.
    let mut wire = served();
    wire.skip(READ, 30)
        .send(WRITE, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        .send(READ, GET)
        .send(WRITE, OK);
    assert_eq!(wire.told(), ["lost", "Read GET /a", "sent", "200", "done"]);
}

#[test]
fn after_a_loss_answers_to_pipelined_requests_are_not_guessed() {
    let mut wire = served();
    wire.send(READ, &GET.repeat(2))
        .send(WRITE, OK)
        .lost(READ)
        .send(READ, GET)
        .send(WRITE, OK);
    assert_eq!(
        wire.told().join(" "),
        "Read GET /a sent Read GET /a sent 200 done lost Read GET /a sent lost"
    );
}

#[test]
fn bytes_told_again_are_a_loss() {
    let mut wire = served();
    wire.send(READ, GET)
        .send(
            WRITE,
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabcdef",
        )
        .rewind(WRITE, 3)
        .send(WRITE, b"def");
    assert_eq!(wire.told(), ["Read GET /a", "sent", "200", "lost"]);
}

#[test]
fn watching_begins_amid_a_request_body_or_a_response() {
    let mut wire = Wire::default();
    wire.skip(READ, 1000)
        .send(READ, b"rest of a body\r\n\r\n")
        .send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        .send(WRITE, b"cde")
        .send(READ, GET)
        .send(WRITE, OK);
    assert_eq!(wire.told(), ["Read GET /a", "sent", "200", "done"]);
}

#[test]
fn an_unseen_request_may_have_been_head() {
    // Framed as if it had a body, until the next message contradicts that.
    let mut wire = Wire::default();
    wire.send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    assert_eq!(wire.connection.skip_until(WRITE), None);
    wire.send(READ, GET).send(WRITE, OK);
    assert_eq!(wire.told(), ["Read GET /a", "sent", "200", "done"]);
}

#[test]
fn one_byte_of_a_method_is_enough_to_begin_with() {
    let mut wire = Wire::default();
    wire.send(READ, b"rest of a body")
        .send(READ, b"G")
        .send(READ, b"ET /a HTTP/1.1\r\n\r\n");
    assert_eq!(wire.told(), ["Read GET /a", "sent"]);
}

#[test]
fn what_began_like_a_head_is_not_joined_with_a_real_one() {
    for false_start in [
        &b"P"[..],
        b"GET",
        b"GET /b HTTP/1.1\r\nA: b\r\n",
        b"POST /x HTTP/1.1",
    ] {
        let mut wire = Wire::default();
        wire.send(READ, false_start).send(READ, GET);
        assert_eq!(wire.told(), ["Read GET /a", "sent"], "{false_start:?}");
    }
}

#[test]
fn roles_never_flip() {
    let mut wire = served();
    wire.lost(READ)
        .send(READ, OK)
        .send(WRITE, GET)
        .send(READ, GET)
        .send(WRITE, OK);
    assert_eq!(
        wire.told(),
        [
            "lost",
            "Response FirstLine!",
            "Read GET /a",
            "sent",
            "200",
            "done"
        ]
    );
}

/// The length of a response is guessed where its request was not seen: one to `HEAD` has no body.
#[test]
fn a_guess_that_was_wrong_is_not_called_malformed() {
    let mut wire = served();
    wire.skip(READ, 80)
        .send(
            WRITE,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        )
        .send(READ, GET)
        .send(WRITE, OK);
    let told = wire.told().join(" ");
    assert!(!told.contains("Response"), "{told}");
    assert!(told.ends_with("Read GET /a sent 200 done"), "{told}");
}

#[test]
fn other_protocols_are_named_and_ignored() {
    for (bytes, protocol) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "Tls"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Http2"),
        (b"*1\r\n$4\r\nPING\r\n", "Redis"),
    ] {
        let mut wire = Wire::default();
        wire.send(WRITE, bytes).send(WRITE, GET).send(READ, OK);
        assert_eq!(wire.told(), [protocol]);
    }
}

#[test]
fn tls_is_recognised_amid_a_connection() {
    let record = b"\x17\x03\x03\x00\x08........";
    let mut wire = Wire::default();
    wire.send(READ, b"\x01rest")
        .send(WRITE, record)
        .send(READ, record);
    assert_eq!(wire.told(), ["Tls"]);
}

#[test]
fn the_unknown_is_given_up_after_a_while_only() {
    let mut wire = Wire::default();
    for _ in 0..8 {
        wire.send(READ, b"what?").send(WRITE, b"hm");
    }
    assert_eq!(wire.told(), [""; 0]);
    wire.send(READ, b"what?");
    assert_eq!(wire.told(), ["Unknown"]);
    let mut wire = Wire::default();
    for _ in 0..128 {
        wire.send_cut(READ, b"body", 65_536);
    }
    wire.send(WRITE, OK).send(READ, GET);
    assert_eq!(wire.told(), ["Read GET /a", "sent"]);
}

#[test]
fn unanswered_requests_are_bounded() {
    let mut wire = served();
    for _ in 0..200 {
        wire.send(READ, &GET.repeat(10));
    }
    assert!(wire.told().contains(&"lost".to_owned()));
}

#[test]
fn nothing_is_told_after_the_end() {
    let mut wire = served();
    wire.end(READ, End::Eof).end(WRITE, End::Eof);
    assert_eq!(wire.told(), [""; 0]);
}
