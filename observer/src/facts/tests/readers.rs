//! Threads that read requests, and are workers by their names.

use std::mem::offset_of;

use observer_abi::data_flag::{NONBLOCK, WRITE};
use observer_abi::{Data, Header, Task, class, kind};

use super::*;

impl Fixture {
    /// A thread of the process, which has that name now.
    fn names(&self, tid: u32, name: &str) {
        let dir = self.0.path().join(format!("7/task/{tid}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("comm"), format!("{name}\n")).unwrap();
    }
}

const NONE: Vec<u32> = Vec::new();

fn put(raw: &mut [u8], at: usize, bytes: &[u8]) {
    raw[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A record of bytes that thread `tid` read, or wrote.
fn data(tid: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut raw = vec![0; size_of::<Data>()];
    put(&mut raw, offset_of!(Header, kind), &[kind::DATA]);
    put(&mut raw, offset_of!(Header, flags), &[flags]);
    put(&mut raw, offset_of!(Header, tgid), &7_u32.to_ne_bytes());
    put(&mut raw, offset_of!(Header, tid), &tid.to_ne_bytes());
    put(&mut raw, offset_of!(Data, class), &[class::TCP4]);
    raw.extend_from_slice(payload);
    raw
}

/// A record of something that a thread did to itself, or to another one of the same number.
fn task(kind: u8, tid: u32) -> Vec<u8> {
    let mut raw = record(kind, 7);
    put(&mut raw, offset_of!(Header, tid), &tid.to_ne_bytes());
    put(&mut raw, offset_of!(Task, tid), &tid.to_ne_bytes());
    raw
}

/// What a process is told as, whose threads have names: its workers, each time that it is told.
fn workers(exe: &str, does: impl FnOnce(&Fixture, &mut dyn FnMut(&[u8]))) -> Vec<Vec<u32>> {
    let fixture = Fixture::new(exe, &["x"], &[]);
    for (tid, name) in [(8, "puma srv tp 001"), (9, "puma reactor"), (10, "app")] {
        fixture.names(tid, name);
    }
    let mut tracker = Tracker::new(fixture.proc(), KernelNanos(0));
    let mut told = Vec::new();
    let mut into = |input: Input<'_>| {
        if let Input::Process(facts) = input {
            told.push(facts.workers.iter().map(|tid| tid.0).collect());
        }
    };
    does(&fixture, &mut |raw| tracker.record(raw, &mut into));
    tracker.tick(KernelNanos(10_000_000_000), &mut into);
    told
}

#[test]
fn workers_are_known_before_what_they_read() {
    let request = |tid| data(tid, NONBLOCK, b"GET / HTTP/1.1\r\n");
    let told = workers("/usr/bin/ruby3.1", |_, record| {
        [10, 9, 8, 8]
            .into_iter()
            .for_each(|tid| record(&request(tid)));
    });
    assert_eq!(told, [vec![], vec![8]]);
    let told = workers("/usr/bin/python3", |_, record| record(&request(8)));
    assert_eq!(told, [NONE], "of other runtimes no names are known");
}

#[test]
fn only_who_may_have_read_a_request_without_blocking_is_looked_at() {
    let told = workers("/usr/bin/ruby3.1", |_, record| {
        record(&data(8, 0, b"GET / HTTP/1.1\r\n"));
        record(&data(8, NONBLOCK | WRITE, b"GET / HTTP/1.1\r\n"));
        record(&data(8, NONBLOCK, b"HTTP/1.1 200 OK\r\n"));
    });
    assert_eq!(told, [NONE]);
}

#[test]
fn a_thread_that_ended_is_no_worker_any_more() {
    for kind in [kind::EXIT, kind::PARK, kind::REUSE, kind::SPAWN] {
        let request = data(8, NONBLOCK, b"GET / HTTP/1.1\r\n");
        let told = workers("/usr/bin/ruby3.1", |fixture, record| {
            record(&request);
            record(&task(kind, 8));
            fixture.names(8, "app");
            record(&request);
        });
        assert_eq!(told, [vec![], vec![8], vec![]], "{kind}");
    }
}
