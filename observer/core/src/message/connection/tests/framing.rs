//! Where messages begin and end when nothing is lost.

use super::wire::{READ, WRITE, Wire};
use crate::record::End;

/// Sends each side's bytes in one call, then ends the response's direction; tells what was told.
fn exchange(request: &str, response: &str) -> String {
    let mut wire = Wire::default();
    wire.send(READ, request.as_bytes())
        .send(WRITE, response.as_bytes())
        .end(WRITE, End::Eof);
    wire.told().join(" | ")
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn bodies_end_where_their_framing_says() {
    for (response, expected) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "200 | done",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 | done"),
        (
            "HTTP/1.1 200\r\ncontent-length: 2, 2\r\nContent-Length:2\r\n\r\nhi",
            "200 | done",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 | done"),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "304 | done",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 | done"),
        ("HTTP/1.0 200 OK\r\n\r\n", "200 | done"),
        // Obsolete, but user agents must cope with it (RFC 9112 §5.1, §5.2).
        (
            "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nA: b\r\n c\r\n\r\nhi",
            "200 | done",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
            "200 | done",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "200 | done",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2;a=\"b\"\r\nhi\r\n0;x\r\nTrailer: 1\r\nB: 2\r\n\r\n",
            "200 | done",
        ),
        // Both: the transfer coding counts (RFC 9112 §6.3).
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "200 | done",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "200"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            "200",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "200 | done",
        ),
        (
            "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
            "200 | done",
        ),
        (
            "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "200 | done",
        ),
    ] {
        assert_eq!(
            exchange(GET, response),
            format!("Read GET /a | sent | {expected}"),
            "{response:?}"
        );
    }
}

#[test]
fn contradictory_framing_is_told_as_such() {
    for (response, flaw) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            "ContentLength",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhi",
            "ContentLength",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhi",
            "ContentLength",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhi",
            "ContentLength",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "TransferEncoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "TransferEncoding",
        ),
        ("nonsense\r\n\r\n", "FirstLine"),
        ("HTTP/1.1 99 Low\r\n\r\n", "FirstLine"),
        ("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", "FieldValue"),
    ] {
        assert_eq!(
            exchange(GET, response),
            format!("Read GET /a | sent | Response {flaw}!"),
            "{response:?}"
        );
    }
    for (chunks, flaw) in [
        ("x\r\n", "ChunkSize"),
        ("11111111111111111\r\n", "ChunkSize"),
        ("2\r\nhi0\r\n", "ChunkEnd"),
        ("2\r\nhi\rx", "ChunkEnd"),
        ("\r\n", "ChunkSize"),
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(
            exchange(GET, &response),
            format!("Read GET /a | sent | 200 | Response {flaw}!"),
            "{chunks:?}"
        );
    }
    let request = "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nxx";
    let mut wire = Wire::default();
    wire.send(READ, GET.as_bytes())
        .send(READ, request.as_bytes());
    assert_eq!(
        wire.told(),
        ["Read GET /a", "sent", "Request TransferEncoding!"]
    );
}

/// What follows a message that can't be read is judged from the next head on, and not before.
#[test]
fn a_connection_goes_on_after_what_could_not_be_read() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let folded = b"GET /b HTTP/1.1\r\nA: b\r\n folded\r\n\r\n";
    let mut wire = Wire::default();
    wire.send(READ, folded)
        .send(WRITE, OK)
        .send(READ, GET.as_bytes())
        .send(WRITE, OK);
    assert_eq!(
        wire.told().join(" | "),
        "Request FieldName | Read GET /a | sent | 200 | done"
    );
    wire.send(READ, folded)
        .send(WRITE, OK)
        .send(READ, GET.as_bytes())
        .send(WRITE, OK);
    assert_eq!(
        wire.told().join(" | "),
        "Request FieldName! | Read GET /a | sent | 200 | done"
    );
}

/// Where nobody knows whether a head begins, only what has a whole first line is called one.
#[test]
fn what_only_looks_like_a_head_is_not_called_malformed() {
    for bytes in [
        "GET / is what I typed\r\nA : b\r\n\r\n",
        "GET /a\r\n\r\n",
        "GET /a HTTP/1.1",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "GET /a HTTP/2.7\r\n\r\n",
    ] {
        for size in [1, 3, 100] {
            let mut wire = Wire::default();
            for part in bytes.as_bytes().chunks(size) {
                wire.send(READ, part);
            }
            assert!(wire.told().is_empty(), "{bytes:?}");
        }
    }
}

#[test]
fn a_reset_does_not_complete_a_body_that_ends_with_the_connection() {
    let mut wire = Wire::default();
    wire.send(WRITE, GET.as_bytes())
        .send(READ, b"HTTP/1.0 200 OK\r\n\r\nhalf")
        .end(READ, End::Error(104));
    assert_eq!(wire.told(), ["Write GET /a", "sent", "200"]);
}

#[test]
fn responses_to_head_have_no_body() {
    let mut wire = Wire::default();
    for _ in 0..2 {
        wire.send(READ, b"HEAD /a HTTP/1.1\r\n\r\n")
            .send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        assert_eq!(wire.told(), ["Read HEAD /a", "sent", "200", "done"]);
    }
}

#[test]
fn requests_have_bodies_and_connections_are_kept() {
    let mut wire = Wire::default();
    for _ in 0..3 {
        wire.send(WRITE, b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
            .send(WRITE, b"bo")
            .send(WRITE, b"dy")
            .send(
                READ,
                b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .send(READ, b"3\r\nabc\r\n")
            .send(READ, b"0\r\n\r\n");
        assert_eq!(wire.told(), ["Write POST /a", "sent", "201", "done"]);
    }
}

#[test]
fn empty_lines_before_requests_are_gone_over() {
    for before in ["\r\n", "\n", "\r\n\r\n"] {
        let asked = format!("{before}{GET}");
        for cut in 0..asked.len() {
            let mut wire = Wire::default();
            wire.send(READ, &asked.as_bytes()[..cut])
                .send(READ, &asked.as_bytes()[cut..])
                .send(WRITE, b"HTTP/1.1 204 No Content\r\n\r\n")
                .send(READ, asked.as_bytes());
            let told = wire.told();
            let expected = ["Read GET /a", "sent", "204", "done", "Read GET /a", "sent"];
            assert_eq!(told, expected, "{before:?} {cut}");
        }
    }
}

#[test]
fn what_is_asked_and_answered_in_no_known_way_is_unknown() {
    for (asked, answered, unknown) in [
        ("EHLO a\r\n", "250 ok\r\n", true),
        ("\u{1}\u{2}", "\u{3}", true),
        ("GET /a HTTP/1.1\r\nbad name: x\r\n\r\n", "x", true),
        ("", "220 ready\r\n", false),
        ("\u{1}", "", false),
        (GET, "", false),
        (GET, "nonsense", false),
        ("rest of a body", "HTTP/1.1 204 No Content\r\n\r\n", false),
        ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n", false),
    ] {
        let mut wire = Wire::default();
        wire.send(READ, asked.as_bytes())
            .send(WRITE, answered.as_bytes());
        assert_eq!(
            wire.connection.is_unknown(),
            unknown,
            "{asked:?} {answered:?}"
        );
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut wire = Wire::default();
    wire.send(READ, b"GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n")
        .send(
            WRITE,
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 201 OK\r\nContent-Length: 1\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n",
        );
    assert_eq!(
        wire.told().join(" "),
        "Read GET /a sent Read HEAD /b sent Read GET /c sent 200 done 201 done 202 done"
    );
}

#[test]
fn upgrades_and_tunnels_are_ignored_after_their_response() {
    let upgrade = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02";
    assert_eq!(
        exchange(upgrade, switching),
        "Read GET /ws | sent | 101 | done | Upgraded"
    );
    let h2c = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(
        exchange(upgrade, h2c),
        "Read GET /ws | sent | 101 | done | Http2"
    );
    let connect = "CONNECT host:443 HTTP/1.1\r\n\r\n\x16\x03\x01";
    assert_eq!(
        exchange(connect, "HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03"),
        "Read CONNECT host:443 | sent | 200 | done | Upgraded"
    );
    let mut wire = Wire::default();
    wire.send(READ, b"CONNECT host:443 HTTP/1.1\r\n\r\n")
        .send(WRITE, b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n")
        .send(READ, b"CONNECT host:443 HTTP/1.1\r\n\r\n");
    assert_eq!(
        wire.told().join(" "),
        "Read CONNECT host:443 sent 407 done Read CONNECT host:443 sent"
    );
}

#[test]
fn heads_up_to_64_kib_are_followed() {
    for (padding, told) in [(65_000, true), (66_000, false)] {
        let mut wire = Wire::default();
        let head = format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(padding));
        for part in head.as_bytes().chunks(10_000) {
            wire.send(READ, part);
        }
        let told_now = wire.told();
        assert_eq!(
            told_now.first().map(String::as_str),
            Some(if told {
                "Read GET /a"
            } else {
                "Request TooLong"
            })
        );
    }
    // On a connection that is known to be HTTP, that ends what is open.
    let mut wire = Wire::default();
    wire.send(READ, GET.as_bytes()).send(WRITE, &[b'H'; 10]);
    for _ in 0..7 {
        wire.send(WRITE, &[b'x'; 10_000]);
    }
    assert_eq!(wire.told(), ["Read GET /a", "sent", "Response FirstLine!"]);
    let mut wire = Wire::default();
    wire.send(READ, GET.as_bytes())
        .send(WRITE, b"HTTP/1.1 200 OK\r\n");
    for _ in 0..7 {
        wire.send(WRITE, &b"Long: value\r\n".repeat(1_000));
    }
    assert_eq!(wire.told(), ["Read GET /a", "sent", "Response TooLong!"]);
}

#[test]
fn more_than_256_fields_are_not_followed() {
    for (fields, told) in [(256, "Read GET /a | sent"), (257, "Request TooManyFields")] {
        let mut wire = Wire::default();
        let head = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
        wire.send(READ, head.as_bytes());
        assert_eq!(wire.told().join(" | "), told);
    }
}

#[test]
fn who_moved_a_message_is_told_exactly() {
    let mut wire = Wire::default();
    wire.tid(1)
        .send(READ, b"\r\n")
        .send(READ, b"G")
        .send(READ, b"ET /a HTTP/1.1\r\n\r\n")
        .send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
        .tid(2)
        .send(WRITE, b"b")
        .tid(1)
        .send(WRITE, b"c");
    let moved = wire.moved();
    let summary: Vec<_> = moved
        .iter()
        .map(|m| (m.tid.0, m.one_thread, m.since.0, m.time.0))
        .collect();
    assert_eq!(
        summary,
        [
            (1, true, 2, 3),
            (1, true, 2, 3),
            (1, true, 4, 4),
            (1, false, 4, 6),
        ]
    );
}

#[test]
fn an_idle_connection_is_small_and_a_split_head_is_not_kept() {
    let mut wire = Wire::default();
    for part in GET.as_bytes().chunks(5) {
        wire.send(READ, part);
    }
    wire.send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.connection.read.buffer.capacity(), 0);
    assert_eq!(wire.connection.write.buffer.capacity(), 0);
    assert!(size_of::<crate::message::connection::Connection>() <= 512);
}

#[test]
fn the_rest_of_a_long_body_is_not_wanted() {
    let mut wire = Wire::default();
    wire.send(READ, GET.as_bytes());
    assert_eq!(wire.connection.skip_until(READ), None);
    wire.send(WRITE, b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\nab");
    let body_end = wire.pos(WRITE) - 2 + 10_000;
    assert_eq!(wire.connection.skip_until(WRITE), Some(body_end));
    wire.send_cut(WRITE, b"", 9_000);
    assert_eq!(wire.connection.skip_until(WRITE), None);
    wire.send_cut(WRITE, b"", 998)
        .send(READ, GET.as_bytes())
        .send(
            WRITE,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\nab",
        );
    let chunk_end = wire.pos(WRITE) - 2 + 0x10000;
    assert_eq!(wire.connection.skip_until(WRITE), Some(chunk_end));
    wire.send_cut(WRITE, b"", 0xFFFE)
        .send(WRITE, b"\r\n0\r\n\r\n");
    assert_eq!(
        wire.told().join(" "),
        "Read GET /a sent 200 done Read GET /a sent 200 done"
    );
}
