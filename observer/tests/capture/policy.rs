//! How much is captured, and what userspace can say about it.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use observer_core::{
    engine::Feedback,
    record::{Class, Direction, Event},
};

use crate::support::{in_steps, observe, wait_for_feedback};

fn two_steps(first: &[u8], second: &[u8]) {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.write_all(first).unwrap();
    other.read_exact(&mut vec![0; first.len()]).unwrap();
    wait_for_feedback();
    one.write_all(second).unwrap();
    other.read_exact(&mut vec![0; second.len()]).unwrap();
}

#[test]
fn an_ignored_description_is_silent_until_it_is_closed() {
    let workload = || two_steps(b"first", b"second");
    let Some(seen) = in_steps(workload, Class::Unix, |capture, _, file| {
        capture.apply(Feedback::Ignore(file));
    }) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [b"first"]);
    let read = seen.bytes(Class::Unix, Direction::Read);
    assert_eq!(
        read,
        [b"firstsecond"],
        "the other end is another description"
    );
    assert!(seen.counters.probes.ignored > 0);
    let file = seen.data(Class::Unix, Direction::Write)[0].file;
    let closed =
        |event| matches!(event, Event::Close { file: closed, last: true } if closed == file);
    assert!(seen.decoded().any(|record| closed(record.event)));
}

#[test]
fn skipped_bytes_are_counted_and_what_follows_is_captured() {
    let workload = || two_steps(b"first", b"bodybody|next head");
    let Some(seen) = in_steps(workload, Class::Unix, |capture, _, file| {
        capture.apply(Feedback::SkipUntil {
            file,
            direction: Direction::Write,
            pos: 5 + 8,
        });
    }) else {
        return;
    };
    let wrote = seen.bytes(Class::Unix, Direction::Write);
    assert_eq!(wrote, [b"first????????|next head"]);
    let data = seen.data(Class::Unix, Direction::Write);
    let told: Vec<_> = data.iter().map(|d| (d.pos, d.len, d.more)).collect();
    assert_eq!(told, [(0, 5, false), (5, 8, true), (13, 10, false)]);
}

#[test]
fn skipping_beyond_a_write_and_into_the_next_one() {
    fn workload() {
        let (mut one, _other) = UnixStream::pair().unwrap();
        one.write_all(b"first").unwrap();
        wait_for_feedback();
        for part in ["body", "body", "dy|next"] {
            one.write_all(part.as_bytes()).unwrap();
        }
    }
    let Some(seen) = in_steps(workload, Class::Unix, |capture, _, file| {
        capture.apply(Feedback::SkipUntil {
            file,
            direction: Direction::Write,
            pos: 5 + 10,
        });
    }) else {
        return;
    };
    let wrote = seen.bytes(Class::Unix, Direction::Write);
    assert_eq!(wrote, [b"first??????????|next"]);
}

#[test]
fn a_turn_has_a_budget_and_a_new_turn_a_new_one() {
    fn workload() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 150_000];
            other.read_exact(&mut all).unwrap();
            other.write_all(b"answer").unwrap();
            other.read_exact(&mut [0; 4]).unwrap();
        });
        one.write_all(&[b'u'; 50_000]).unwrap();
        one.write_all(&[b'v'; 100_000]).unwrap();
        one.read_exact(&mut [0; 6]).unwrap();
        one.write_all(b"next").unwrap();
        reader.join().unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.streams(Class::Unix, Direction::Write);
    let stream = wrote.values().find(|stream| stream.len() > 1000).unwrap();
    let captured = |byte| stream.iter().filter(|b| **b == byte).count();
    assert_eq!((captured(b'u'), captured(b'v')), (50_000, 65_536 - 50_000));
    assert_eq!(captured(b'?'), 150_000 - 65_536);
    assert!(stream.ends_with(b"next"));
}

#[test]
fn heads_of_64_kib_come_whole_and_logs_are_cut() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let head: Vec<u8> = (0..65_536u32).map(|n| b'a' + (n % 26) as u8).collect();
        let all = head.clone();
        let reader = std::thread::spawn(move || {
            other.read_exact(&mut vec![0; 65_536]).unwrap();
        });
        (&one).write_all(&all).unwrap();
        reader.join().unwrap();
        let path = std::env::temp_dir().join(format!("observer-cut-{}", std::process::id()));
        let mut log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        log.write_all(&head).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let head: Vec<u8> = (0..65_536u32).map(|n| b'a' + (n % 26) as u8).collect();
    assert_eq!(
        seen.bytes(Class::Unix, Direction::Write),
        std::slice::from_ref(&head)
    );
    let log = seen.data(Class::Log, Direction::Write)[0];
    assert_eq!((log.len, log.payload), (65_536, &head[..16_384]));
}

#[test]
fn payloads_of_every_length_are_exact() {
    const LENGTHS: [usize; 18] = [
        1, 2, 127, 128, 129, 320, 321, 704, 705, 1472, 1473, 4095, 4096, 4097, 16_383, 16_384,
        16_385, 40_000,
    ];
    fn workload() {
        for len in LENGTHS {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            one.write_all(&bytes).unwrap();
            other.read_exact(&mut vec![0; len]).unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let expected: Vec<Vec<u8>> = LENGTHS
        .iter()
        .map(|len| (0..*len).map(|n| (n % 251) as u8).collect())
        .collect();
    assert!(seen.bytes(Class::Unix, Direction::Write) == expected);
    assert!(seen.bytes(Class::Unix, Direction::Read) == expected);
}
