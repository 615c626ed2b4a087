//! A ring that is too small: what is lost is counted, and the records show where.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use observer::kernel::{CaptureConfig, Spawned};
use observer_core::record::{Class, Direction, Event, Record, decode};

use crate::{
    common::start,
    support::{be_workload, command},
};

const WRITES: usize = 500;
const BLOCK: usize = 100;

fn workload() {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    for _ in 0..WRITES {
        one.write_all(&[b'z'; BLOCK]).unwrap();
        other.read_exact(&mut [0; BLOCK]).unwrap();
    }
}

/// Holes in each CPU's sequence.
fn missing<'a>(records: impl Iterator<Item = Record<'a>>) -> u64 {
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut missing = 0;
    for record in records {
        let expected = next.entry(record.cpu).or_default();
        missing += u64::from(record.seq - *expected);
        *expected = record.seq + 1;
    }
    missing
}

/// Keeps the processes that the calling thread starts on one CPU.
///
/// Records are numbered by CPU, so only a later record of the same CPU shows what was lost there.
fn on_one_cpu() {
    let mut one = rustix::thread::CpuSet::new();
    one.set(rustix::thread::sched_getcpu());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
}

#[test]
fn what_is_lost_leaves_holes_of_its_size() {
    be_workload(workload);
    let config = CaptureConfig {
        ring_bytes: 16 << 10,
        ..CaptureConfig::default()
    };
    let Some(mut capture) = start(config) else {
        return;
    };
    on_one_cpu();
    let mut child = Spawned::start(command(), &capture).expect("the test can be executed");
    // Nobody reads until it is over.
    assert!(child.wait().unwrap().success());
    let mut records: Vec<Vec<u8>> = Vec::new();
    capture.drain(|record| records.push(record.to_vec()));
    let full = capture.counters();
    assert!(full.probes.lost > WRITES as u64, "{full:?}");
    assert_eq!(full.probes.sent, records.len() as u64);
    let missed: u64 = full.programs.iter().map(|program| program.misses).sum();
    assert_eq!(capture.lost(), full.probes.lost + missed);

    // A second process shows what was lost before it.
    let mut child = Spawned::start(command(), &capture).expect("the test can be executed");
    while child.try_wait().unwrap().is_none() {
        capture.drain(|record| records.push(record.to_vec()));
    }
    capture.drain(|record| records.push(record.to_vec()));
    let after = capture.counters();
    let records = || records.iter().map(|record| decode(record).unwrap());
    let holes = missing(records());
    assert!(
        holes > 0 && holes <= after.probes.lost,
        "{holes} of {}",
        after.probes.lost
    );
    assert_eq!(after.probes.sent, records().count() as u64);
}

#[test]
fn positions_go_on_over_what_was_lost() {
    be_workload(workload);
    let config = CaptureConfig {
        ring_bytes: 4 << 10,
        ..CaptureConfig::default()
    };
    let Some(mut capture) = start(config) else {
        return;
    };
    let mut child = Spawned::start(command(), &capture).expect("the test can be executed");
    let mut streams: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    while child.try_wait().unwrap().is_none() {
        capture.drain(|record| {
            if let Event::Data(data) = decode(record).unwrap().event
                && data.class == Class::Unix
                && data.direction == Direction::Write
            {
                let (end, seen) = streams.entry(data.file.0).or_default();
                assert!(data.pos >= *end, "positions only grow");
                assert_eq!(data.pos % BLOCK as u64, 0, "a hole is whole writes");
                *end = data.pos + u64::from(data.len);
                *seen += u64::from(data.len);
            }
        });
    }
    let total = (WRITES * BLOCK) as u64;
    let (end, seen) = streams.values().next().copied().unwrap_or_default();
    assert!(end <= total && seen <= end, "{seen} of {end} of {total}");
}
