//! How many chunks, records and log lines one core takes through the first stages.
//!
//! `cargo run --release -p observer-core --example messages_per_second`

use std::hint::black_box;
use std::time::Instant;

use observer_abi as abi;
use observer_core::ids::{KernelNanos, Tid};
use observer_core::message::connection::{Connection, Heads};
use observer_core::message::lines::Lines;
use observer_core::record::Direction;
use observer_core::stream::{Chunk, Settle};

const ROUNDS: u64 = 1_000_000;
const REQUEST: &[u8] = b"GET /api/cart/42?full=1 HTTP/1.1\r\nHost: cart.shop.svc:8080\r\nUser-Agent: python-requests/2.31.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: Werkzeug/3.0\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"items\":[],\"total\":\"0.00\"}";
const LINE: &[u8] = b"2026-11-21 04:00:00,123 INFO [cart] [trace_id=0af7651916cd43dd8448eb211c80319c] looked up cart 42\n";

fn main() {
    report("connection: chunks", 2 * ROUNDS, connection);
    report("connection: chunks, heads split in two", 4 * ROUNDS, split);
    report("lines: calls", ROUNDS, lines);
    report("settle: records", 2 * ROUNDS, settle);
}

/// Runs `work` five times and prints the best rate.
fn report(what: &str, n: u64, work: fn() -> u64) {
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    let nanos = best.as_secs_f64() * 1e9 / n as f64;
    println!("{what}: {nanos:.0} ns each, {:.2} M/s", 1e3 / nanos);
}

fn chunk(time: u64, pos: u64, bytes: &[u8]) -> Chunk<'_> {
    Chunk {
        tid: Tid(7),
        time: KernelNanos(time),
        pos,
        len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        bytes,
        nonblocking: false,
        execution: None,
    }
}

fn connection() -> u64 {
    exchanges(&[REQUEST], &[RESPONSE])
}

fn split() -> u64 {
    exchanges(
        &[&REQUEST[..60], &REQUEST[60..]],
        &[&RESPONSE[..60], &RESPONSE[60..]],
    )
}

fn exchanges(requests: &[&[u8]], responses: &[&[u8]]) -> u64 {
    let mut connection = Connection::new();
    let mut heads = Heads::default();
    let mut events = 0;
    let (mut read, mut written) = (0, 0);
    for time in 0..ROUNDS {
        for bytes in requests {
            connection.chunk(
                Direction::Read,
                &chunk(time, read, bytes),
                &mut heads,
                &mut |event| {
                    black_box(&event);
                    events += 1;
                },
            );
            read += bytes.len() as u64;
        }
        for bytes in responses {
            let chunk = chunk(time, written, bytes);
            connection.chunk(Direction::Write, &chunk, &mut heads, &mut |event| {
                black_box(&event);
                events += 1;
            });
            written += bytes.len() as u64;
        }
    }
    assert_eq!(events, 4 * ROUNDS);
    events
}

fn lines() -> u64 {
    let mut lines = Lines::new();
    let mut told = 0;
    let mut pos = 0;
    for time in 0..ROUNDS {
        lines.write(&chunk(time, pos, LINE), false, &mut |line| {
            black_box(&line);
            told += 1;
        });
        pos += LINE.len() as u64;
    }
    assert_eq!(told, ROUNDS);
    told
}

/// 64 threads, each of which reads and writes in turn, so that much of it waits.
fn settle() -> u64 {
    let mut settle = Settle::default();
    let mut told = 0;
    let mut raw = Vec::new();
    for time in 0..ROUNDS {
        let tid = u32::try_from(time % 64).unwrap_or(0);
        for flags in [0, abi::data_flag::WRITE] {
            record(&mut raw, flags, tid, time);
            settle.push(&raw, &mut |released| {
                black_box(&released);
                told += 1;
            });
        }
    }
    settle.finish(&mut |_| told += 1);
    assert_eq!(told, 2 * ROUNDS);
    told
}

/// A data record with a request as payload, as the kernel lays it out.
fn record(raw: &mut Vec<u8>, flags: u8, tid: u32, time: u64) {
    let payload = u32::try_from(REQUEST.len()).unwrap_or(0);
    raw.clear();
    raw.extend([abi::kind::DATA, flags, 0, abi::ABI_VERSION]);
    raw.extend((64 + payload).to_ne_bytes());
    raw.extend(time.to_ne_bytes());
    for field in [1, tid, 0, 0] {
        raw.extend(u32::to_ne_bytes(field));
    }
    raw.extend([0; 16]);
    for field in [payload, payload, 5] {
        raw.extend(field.to_ne_bytes());
    }
    raw.extend([0, 0, abi::class::TCP4, 0]);
    raw.extend(REQUEST);
}
