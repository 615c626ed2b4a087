//! What must not matter, against the model.

use proptest::prelude::*;

use super::model::{Exchange, conversation, draw, split, status};
use super::wire::{READ, WRITE, Wire};
use crate::message::HttpEvent;
use crate::record::Direction;

/// The calls of a conversation in which each request waits for the answer to the one before.
fn calls(exchanges: &[Exchange], seed: &mut u64) -> Vec<(Direction, Vec<u8>)> {
    let mut calls = Vec::new();
    for (number, exchange) in exchanges.iter().enumerate() {
        let said = exchange.say(number);
        calls.extend(split(&said.request, seed).into_iter().map(|p| (READ, p)));
        calls.extend(split(&said.response, seed).into_iter().map(|p| (WRITE, p)));
    }
    calls
}

fn heads(wire: &Wire) -> Vec<&HttpEvent> {
    wire.events
        .iter()
        .filter(|e| matches!(e, HttpEvent::Request { .. }))
        .collect()
}

proptest! {
    #[test]
    fn how_bytes_are_split_does_not_matter(exchanges in conversation(), mut seed: u64) {
        let mut wire = Wire::default();
        for (direction, bytes) in calls(&exchanges, &mut seed) {
            wire.send(direction, &bytes);
        }
        let expected: Vec<_> = exchanges
            .iter()
            .enumerate()
            .flat_map(|(number, exchange)| exchange.told(number))
            .collect();
        prop_assert_eq!(wire.told(), expected);
    }

    #[test]
    fn pipelining_is_answered_in_order(exchanges in conversation(), mut seed: u64) {
        let said: Vec<_> = exchanges.iter().enumerate().map(|(n, e)| e.say(n)).collect();
        let requests: Vec<u8> = said.iter().flat_map(|s| s.request.clone()).collect();
        let responses: Vec<u8> = said.iter().flat_map(|s| s.response.clone()).collect();
        let mut wire = Wire::default();
        for piece in split(&requests, &mut seed) {
            wire.send(READ, &piece);
        }
        for piece in split(&responses, &mut seed) {
            wire.send(WRITE, &piece);
        }
        let told: Vec<_> = exchanges.iter().enumerate().map(|(n, e)| e.told(n)).collect();
        let mut expected: Vec<_> = told.iter().flat_map(|t| t[..2].to_vec()).collect();
        expected.extend(told.iter().flat_map(|t| t[2..].to_vec()));
        prop_assert_eq!(wire.told(), expected);
    }

    /// Whatever is lost or cut: each request told was sent just so, and each status told is
    /// that of the request told before it.
    #[test]
    fn loss_never_makes_up_anything(exchanges in conversation(), mut seed: u64, rate in 2usize..30) {
        let mut whole = Wire::default();
        let mut thinned = Wire::default();
        let mut story = String::new();
        for (direction, bytes) in calls(&exchanges, &mut seed) {
            whole.send(direction, &bytes);
            let before = thinned.events.len();
            let preview = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            match draw(&mut seed, rate) {
                0 => { thinned.skip(direction, bytes.len() as u64); }
                1 => {
                    let seen = draw(&mut seed, bytes.len());
                    let cut = u32::try_from(bytes.len() - seen).unwrap();
                    thinned.send_cut(direction, &bytes[..seen], cut);
                }
                _ => { thinned.send(direction, &bytes); }
            }
            let told: Vec<_> = thinned.events[before..].iter().map(super::wire::short).collect();
            story += &format!("{direction:?} {} {preview:?} -> {told:?}\n", bytes.len());
        }
        let sent: Vec<_> = heads(&whole).into_iter().filter_map(head).collect();
        let mut open = std::collections::VecDeque::new();
        for event in &thinned.events {
            match event {
                HttpEvent::Request { .. } => {
                    let head = head(event).unwrap();
                    prop_assert!(sent.contains(&head), "made up: {:?}", head);
                    open.push_back(head.target[1..].parse::<usize>().unwrap());
                }
                HttpEvent::Response { status: told, .. } => {
                    let number = open.pop_front();
                    prop_assert_eq!(number.map(status), Some(*told), "{}", story);
                }
                HttpEvent::Lost => open.clear(),
                HttpEvent::Malformed { .. } => prop_assert!(false, "called malformed: {}", story),
                _ => {}
            }
        }
    }

    /// Watching may begin at any byte of a conversation, positions then count from there.
    #[test]
    fn watching_may_begin_anywhere(exchanges in conversation(), mut seed: u64) {
        let calls = calls(&exchanges, &mut seed);
        let mut wire = Wire::default();
        let start = draw(&mut seed, calls.len());
        for (direction, bytes) in &calls[start..] {
            wire.send(*direction, bytes);
        }
        let told = wire.told();
        let all: Vec<_> = exchanges
            .iter()
            .enumerate()
            .flat_map(|(number, exchange)| exchange.told(number))
            .collect();
        prop_assert!(all.ends_with(&told), "{:?}", told);
    }

    #[test]
    fn nothing_panics_or_grows(calls in proptest::collection::vec(noise(), 0..60)) {
        let mut wire = Wire::default();
        for (direction, bytes, cut, skip) in calls {
            wire.skip(direction, skip).send_cut(direction, &bytes, cut);
            for half in [&wire.connection.read, &wire.connection.write] {
                prop_assert!(half.buffer.capacity() <= 128 << 10);
            }
        }
    }
}

fn head(event: &HttpEvent) -> Option<&crate::message::RequestHead> {
    match event {
        HttpEvent::Request { head, .. } => Some(head),
        _ => None,
    }
}

/// Calls made of what parsers stumble over.
fn noise() -> impl Strategy<Value = (Direction, Vec<u8>, u32, u64)> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..30),
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Length: 18446744073709551615\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"FFFFFFFFFFFFFFFF\r\n".to_vec()),
        Just(vec![b'x'; 70_000]),
    ];
    (
        prop_oneof![Just(READ), Just(WRITE)],
        proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat()),
        prop_oneof![3 => Just(0u32), 1 => 0u32..100_000],
        prop_oneof![5 => Just(0u64), 1 => 0u64..1 << 60],
    )
}
