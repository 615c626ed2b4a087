use observer_abi::{ABI_VERSION, Data, class, data_flag, kind};

use super::*;

/// Bytes of a record's start.
fn header(kind: u8, flags: u8, tid: u32, time: u64, len: usize) -> Vec<u8> {
    let mut raw = vec![kind, flags, 0, ABI_VERSION];
    raw.extend(u32::try_from(len).unwrap().to_ne_bytes());
    raw.extend(time.to_ne_bytes());
    for field in [1, tid, 0, 0] {
        raw.extend(u32::to_ne_bytes(field));
    }
    raw
}

fn data(flags: u8, tid: u32, time: u64, pos: u64, payload: &[u8]) -> Vec<u8> {
    let mut raw = header(
        kind::DATA,
        flags,
        tid,
        time,
        size_of::<Data>() + payload.len(),
    );
    let len = u32::try_from(payload.len()).unwrap();
    raw.extend(7u64.to_ne_bytes());
    raw.extend(pos.to_ne_bytes());
    for field in [len, len, 5] {
        raw.extend(field.to_ne_bytes());
    }
    raw.extend([0, 0, class::TCP4, 0]);
    raw.extend([0; 16]);
    raw.extend(payload);
    raw
}

fn write(tid: u32, time: u64, pos: u64, payload: &[u8]) -> Vec<u8> {
    data(data_flag::WRITE, tid, time, pos, payload)
}

fn piece(tid: u32, time: u64, pos: u64, payload: &[u8]) -> Vec<u8> {
    data(data_flag::WRITE | data_flag::MORE, tid, time, pos, payload)
}

fn read(tid: u32, time: u64, payload: &[u8]) -> Vec<u8> {
    data(0, tid, time, 0, payload)
}

fn short(tid: u32, time: u64, pos: u64, offered: u32, ret: i32) -> Vec<u8> {
    let mut raw = header(kind::SHORT, 0, tid, time, 56);
    raw.extend(7u64.to_ne_bytes());
    raw.extend(pos.to_ne_bytes());
    raw.extend(offered.to_ne_bytes());
    raw.extend(ret.to_ne_bytes());
    raw
}

fn exit(tid: u32, time: u64) -> Vec<u8> {
    let mut raw = header(kind::EXIT, 0, tid, time, 56);
    raw.extend([0; 24]);
    raw
}

fn word(released: &Released<'_>) -> String {
    let record = released.decode().unwrap();
    match record.event {
        Event::Data(data) => String::from_utf8_lossy(data.payload).into_owned(),
        Event::Short(_) => "short".into(),
        Event::Exit => "exit".into(),
        _ => "other".into(),
    }
}

/// What each record makes known, in short words.
fn run(settle: &mut Settle, records: &[Vec<u8>]) -> Vec<String> {
    let mut out = Vec::new();
    for raw in records {
        let mut told = Vec::new();
        settle.push(raw, &mut |released| told.push(word(&released)));
        out.push(told.join(" "));
    }
    out
}

fn rest(settle: &mut Settle) -> Vec<String> {
    let mut out = Vec::new();
    settle.finish(&mut |released| out.push(word(&released)));
    out
}

#[test]
fn a_write_is_told_when_its_thread_goes_on() {
    let mut settle = Settle::default();
    let told = run(
        &mut settle,
        &[
            read(1, 1, b"r1"),
            write(1, 2, 0, b"w1"),
            read(2, 3, b"r2"),
            read(1, 4, b"r3"),
            exit(1, 5),
        ],
    );
    assert_eq!(told, ["r1", "", "", "w1 r2 r3", "exit"]);
}

#[test]
fn a_short_write_is_truncated_and_its_correction_consumed() {
    let mut settle = Settle::default();
    let told = run(
        &mut settle,
        &[
            write(1, 1, 100, b"abcdef"),
            short(1, 2, 104, 6, 4),
            write(1, 3, 104, b"ef"),
            short(1, 4, 104, 2, -11),
            read(1, 5, b"r"),
        ],
    );
    assert_eq!(told, ["", "abcd", "", "", "r"]);
}

#[test]
fn the_pieces_of_a_call_are_truncated_from_its_end() {
    let mut settle = Settle::default();
    let told = run(
        &mut settle,
        &[
            piece(1, 1, 0, b"abc"),
            read(2, 1, b"other"),
            piece(1, 1, 3, b"def"),
            write(1, 1, 6, b"ghi"),
            short(1, 2, 2, 9, 2),
        ],
    );
    assert_eq!(told, ["", "", "", "", "ab other  "]);
}

#[test]
fn a_correction_that_comes_too_late_or_does_not_fit_is_passed_on() {
    let mut settle = Settle::default();
    let told = run(
        &mut settle,
        &[
            write(1, 0, 0, b"abc"),
            read(2, HOLD_NANOS, b"r"),
            short(1, HOLD_NANOS + 1, 1, 3, 1),
        ],
    );
    assert_eq!(told, ["", "abc r", "short"]);
    // The call's last record was lost: what is missing is not at the end of this one.
    let told = run(
        &mut settle,
        &[
            piece(1, HOLD_NANOS, 0, b"abc"),
            short(1, HOLD_NANOS, 4, 6, 4),
        ],
    );
    assert_eq!(told, ["", "abc short"]);
    let told = run(&mut settle, &[short(9, HOLD_NANOS, 4, 6, 4)]);
    assert_eq!(told, ["short"]);
}

#[test]
fn time_releases_what_waits() {
    let mut settle = Settle::default();
    run(&mut settle, &[write(1, 5, 0, b"w"), read(2, 6, b"r")]);
    let mut out = Vec::new();
    settle.tick(KernelNanos(4 + HOLD_NANOS), &mut |r| out.push(word(&r)));
    assert_eq!(out, [""; 0]);
    settle.tick(KernelNanos(5 + HOLD_NANOS), &mut |r| out.push(word(&r)));
    assert_eq!(out, ["w", "r"]);
}

#[test]
fn bounds_release_the_oldest() {
    let mut settle = Settle::default();
    let payload = vec![b'x'; 60_000];
    let mut told = 0;
    for tid in 0..1000 {
        settle.push(&write(tid, 1, 0, &payload), &mut |_| told += 1);
        assert!(settle.bytes.len() - settle.head <= MAX_BYTES);
    }
    assert!(told > 0);
    assert_eq!(told + rest(&mut settle).len(), 1000);
    for tid in 0..2 * u32::try_from(MAX_RECORDS).unwrap() {
        settle.push(&write(tid, 1, 0, b""), &mut |_| {});
        assert!(settle.entries.len() <= MAX_RECORDS);
    }
    assert!(settle.open.len() <= 2 * MAX_RECORDS + 1);
}

#[test]
fn what_is_no_record_keeps_its_place() {
    let mut settle = Settle::default();
    let mut out = Vec::new();
    settle.push(&write(1, 1, 0, b"w"), &mut |_| {});
    settle.push(b"nonsense", &mut |_| {});
    settle.finish(&mut |released| out.push(released.decode().is_ok()));
    assert_eq!(out, [true, false]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// One thread's call: pieces' lengths, and how many bytes really moved, if fewer.
    #[derive(Clone, Debug)]
    struct Call {
        tid: u32,
        pieces: Vec<usize>,
        moved: Option<usize>,
    }

    fn call() -> impl Strategy<Value = Call> {
        (
            0u32..4,
            proptest::collection::vec(0usize..40, 1..4),
            proptest::option::of(any::<prop::sample::Index>()),
        )
            .prop_map(|(tid, pieces, moved)| {
                let offered: usize = pieces.iter().sum();
                let moved = moved.map(|m| m.index(offered + 1)).filter(|&m| m < offered);
                Call { tid, pieces, moved }
            })
    }

    proptest! {
        /// Each thread writes a stream of its own: whatever was interleaved, what comes out of
        /// each are the bytes that moved, in order, and nothing else.
        #[test]
        fn only_what_moved_comes_out(calls in proptest::collection::vec(call(), 0..40), order in any::<u64>()) {
            let mut queues: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
            let mut expected = vec![Vec::new(); 4];
            for call in &calls {
                let t = call.tid as usize;
                let start = expected[t].len();
                let offered: usize = call.pieces.iter().sum();
                let mut at = start;
                for (i, &len) in call.pieces.iter().enumerate() {
                    let bytes: Vec<u8> = (at..at + len).map(|n| u8::try_from(n % 251).unwrap()).collect();
                    let last = i + 1 == call.pieces.len();
                    let record = if last { write } else { piece };
                    queues[t].push(record(call.tid, 1, at as u64, &bytes));
                    at += len;
                }
                let moved = call.moved.unwrap_or(offered);
                expected[t].extend((start..start + moved).map(|n| u8::try_from(n % 251).unwrap()));
                if moved < offered {
                    queues[t].push(short(call.tid, 1, (start + moved) as u64, u32::try_from(offered).unwrap(), i32::try_from(moved).unwrap()));
                }
            }
            let mut settle = Settle::default();
            let mut got = vec![Vec::new(); 4];
            let mut shorts = 0;
            let mut take = |released: Released<'_>| {
                let record = released.decode().unwrap();
                match record.event {
                    Event::Data(data) if data.len == 0 => {}
                    Event::Data(data) => {
                        let out: &mut Vec<u8> = &mut got[record.tid.0 as usize];
                        assert_eq!(data.pos, out.len() as u64);
                        out.extend(data.payload);
                    }
                    _ => shorts += 1,
                }
            };
            let mut seed = order;
            while queues.iter().any(|q| !q.is_empty()) {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let queue = &mut queues[usize::try_from(seed >> 62).unwrap()];
                if !queue.is_empty() {
                    settle.push(&queue.remove(0), &mut take);
                }
            }
            settle.finish(&mut take);
            prop_assert_eq!(shorts, 0);
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn bounds_are_what_the_record_says(flags: u8, tid: u32, time: u64, pos: u64, size in 0_usize..9, place in 0_usize..96, byte: Option<u8>) {
            let mut raw = data(flags, tid, time, pos, &[b'x'; 9][..size]);
            if let (Some(byte), Some(place)) = (byte, raw.get_mut(place)) {
                *place = byte;
            }
            let bounds = record::bounds(&raw);
            match record::decode(&raw) {
                Ok(Record { time, tid, event: Event::Data(data), .. }) => {
                    let bounds = bounds.expect("a data record has bounds");
                    let begins = data.direction == record::Direction::Write && data.end.is_none();
                    prop_assert_eq!((bounds.time, bounds.tid, bounds.file), (time, tid, data.file));
                    prop_assert_eq!((bounds.pos, bounds.len, bounds.more), (data.pos, data.len, data.more));
                    prop_assert_eq!(bounds.begins_write, begins);
                }
                Ok(_) => prop_assert!(bounds.is_none()),
                Err(_) => {}
            }
        }

        #[test]
        fn nothing_panics(records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20)) {
            let mut settle = Settle::default();
            let mut told = 0;
            for raw in &records {
                settle.push(raw, &mut |_| told += 1);
            }
            settle.finish(&mut |_| told += 1);
            prop_assert_eq!(told, records.len());
        }
    }
}
