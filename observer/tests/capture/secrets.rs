//! Secrets in what was captured do not get into a recording.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
};

use observer_core::{
    engine::Input,
    ids::KernelNanos,
    judged::ClockAnchor,
    recording::{ByteOrder, Reader, Startup, Writer},
};

use crate::support::{Seen, observe};

const PARTS: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: here\r\nAuthor",
    b"ization: Bearer s3c",
    b"ret\r\nCookie:",
    b"id=s3cret\r\n\r\n",
];

fn startup() -> Startup {
    Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: String::new(),
        machine: String::new(),
        program: String::new(),
        anchor: ClockAnchor {
            monotonic: KernelNanos(0),
            wall: 0,
        },
        selection: Vec::new(),
        limits: BTreeMap::new(),
        probes: Vec::new(),
    }
}

/// What comes back from a recording of what was seen.
fn recorded(seen: &Seen) -> Vec<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), &startup()).unwrap();
    for record in &seen.records {
        writer.input(&Input::Record(record)).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let (_, mut reader) = Reader::new(bytes.as_slice()).unwrap();
    let mut records = Vec::new();
    while let Some(Input::Record(record)) = reader.next_input().unwrap() {
        records.push(record.to_vec());
    }
    records
}

#[test]
fn credentials_in_pieces_are_masked_in_recordings() {
    fn send(mut from: impl Write, mut to: impl Read) {
        for part in PARTS {
            from.write_all(part).unwrap();
            to.read_exact(&mut vec![0; part.len()]).unwrap();
        }
    }
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        send(client, listener.accept().unwrap().0);
        let (one, other) = UnixStream::pair().unwrap();
        send(one, other);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let count = |records: &[Vec<u8>], part: &[u8]| {
        let has = |record: &&Vec<u8>| record.windows(part.len()).any(|window| window == part);
        records.iter().filter(has).count()
    };
    let recorded = recorded(&seen);
    // Written and read, over TCP and over a Unix socket.
    assert_eq!(count(&seen.records, b"id=s3cret"), 4);
    assert_eq!(count(&recorded, b"*********\r\n\r\n"), 4);
    for secret in [&b"Bearer"[..], b"s3c", b"ret\r", b"id="] {
        assert_eq!(count(&recorded, secret), 0, "{secret:?}");
    }
    let lengths = |records: &[Vec<u8>]| records.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&recorded), lengths(&seen.records));
}
