//! Connections that are left out by their lots.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
};

use observer::kernel::{Capture, CaptureConfig};
use observer_abi::control::Reckoned;
use observer_core::ids::FileId;
use observer_core::record::{Class, Direction, Event, File};

use crate::support::{Seen, in_turns, next_turn, observe_with};

/// Connections of each kind.
const N: usize = 200;

/// One half, in 65 536ths.
const HALF: u32 = 1 << 15;

/// Each connection carries one byte there, then one back. It is written to before it is accepted.
fn workload() {
    let tcp = |address: SocketAddr| {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..N {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"a").unwrap();
            answer(client, listener.accept().unwrap().0);
        }
    };
    tcp((Ipv4Addr::LOCALHOST, 0).into());
    tcp((Ipv6Addr::LOCALHOST, 0).into());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    for _ in 0..N {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"a").unwrap();
        answer(client, listener.accept().unwrap().0);
    }
}

fn answer(mut client: impl Read + Write, mut server: impl Read + Write) {
    let mut byte = [0];
    server.read_exact(&mut byte).unwrap();
    server.write_all(b"b").unwrap();
    client.read_exact(&mut byte).unwrap();
}

/// Both ends of each connection, as they were told.
fn connections(seen: &Seen) -> Vec<[File<'_>; 2]> {
    let mut ends: BTreeMap<String, Vec<File<'_>>> = BTreeMap::new();
    for file in [seen.files(Class::Tcp), seen.files(Class::Unix)].concat() {
        let name = match file.tcp {
            Some(tcp) => {
                let both = BTreeSet::from([tcp.local, tcp.remote]);
                format!("{both:?}")
            }
            // The client's socket: at the server's end, which has a peer from the beginning.
            None => file.peer_ino.unwrap_or(file.ino).to_string(),
        };
        ends.entry(name).or_default().push(file);
    }
    let both = |ends: Vec<_>| ends.try_into().expect("both ends");
    ends.into_values().map(both).collect()
}

#[test]
fn both_ends_of_a_connection_are_observed_or_none() {
    let half = |capture: &Capture| capture.sample(HALF, 7);
    let Some(seen) = observe_with(CaptureConfig::default(), workload, half) else {
        return;
    };
    let moved: BTreeSet<_> = [Class::Tcp, Class::Unix]
        .into_iter()
        .flat_map(|class| [Direction::Read, Direction::Write].map(|way| seen.data(class, way)))
        .flatten()
        .map(|data| data.file)
        .collect();
    let closed = |record: observer_core::record::Record<'_>| match record.event {
        Event::Close { file, .. } => Some(file),
        _ => None,
    };
    let closed: BTreeSet<_> = seen.decoded().filter_map(closed).collect();
    let connections = connections(&seen);
    assert_eq!(connections.len(), 3 * N);
    for ends in &connections {
        assert_eq!(ends[0].lot, ends[1].lot, "{ends:?}");
        for end in ends {
            assert_eq!(end.keep, HALF);
            let observed = u32::from(end.lot) < HALF;
            assert_eq!(end.left_out.is_none(), observed, "{end:?}");
            assert_eq!(moved.contains(&end.file), observed, "{end:?}");
            assert_eq!(closed.contains(&end.file), observed, "{end:?}");
        }
        // The client wrote before the server read.
        let first = ends.map(|end| end.left_out);
        if first != [None, None] {
            let ways = [Direction::Write, Direction::Read].map(Some);
            assert!(ways.iter().all(|way| first.contains(way)), "{ends:?}");
        }
    }
    // The first call on each decides whether it is observed, and is not counted; at either end there is one more.
    let left_out = connections.iter().filter(|ends| ends[0].left_out.is_some());
    let counted = left_out.count() as u64;
    let each = Reckoned {
        counted,
        expected: connections.len() as u64 - counted,
    };
    let places = [false, true].map(|client| Reckoned::place(seen.tgid.0, client));
    assert_eq!(seen.reckoned, places.map(|place| (place, each)).into());
    for class in [Class::Tcp, Class::Unix] {
        let of_class = connections.iter().filter(|ends| ends[0].class == class);
        let (all, observed) = of_class.fold((0, 0), |(all, observed), ends| {
            (all + 1, observed + usize::from(ends[0].left_out.is_none()))
        });
        // 100 or 200 of them, with a standard deviation of 7 or 10.
        assert!(
            observed > all / 3 && observed < all * 2 / 3,
            "{class:?}: {observed} of {all}"
        );
    }
    assert_eq!(seen.counters.probes.lost, 0);
}

/// Connections that last.
const LASTING: usize = 8;

/// Turns of theirs, and what each connection carries in one. At least once in two turns all are drawn anew.
const TURNS: usize = 50;
const EXCHANGES: usize = 40;

/// Each connection carries one exchange after the other: a byte there, then one back.
fn lasting() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = |_| {
        let client = TcpStream::connect(address).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let mut all: Vec<_> = (0..LASTING).map(connect).collect();
    while next_turn() {
        for _ in 0..EXCHANGES {
            for (client, server) in &mut all {
                client.write_all(b"a").unwrap();
                answer(client, server);
            }
        }
    }
}

#[test]
fn connections_are_left_out_and_taken_up_again_between_exchanges() {
    let mut window = 0;
    let next = |capture: &Capture| {
        window += 1;
        capture.sample(HALF, window);
    };
    let Some(seen) = in_turns(TURNS, lasting, next) else {
        return;
    };
    let mut moved: BTreeMap<FileId, Vec<(Direction, u64)>> = BTreeMap::new();
    let (mut left_out, mut kept) = (0, 0);
    for record in seen.decoded() {
        match record.event {
            Event::Data(data) if data.class == Class::Tcp && data.len > 0 => {
                let moved = moved.entry(data.file).or_default();
                moved.push((data.direction, data.pos));
            }
            Event::File(file) if file.class == Class::Tcp => match file.left_out {
                Some(_) => left_out += 1,
                None => kept += usize::from(moved.contains_key(&file.file)),
            },
            _ => {}
        }
    }
    // One end of a connection, each time that it is taken up.
    for (file, moved) in &moved {
        let asks = moved[0].0;
        for (nth, (direction, pos)) in moved.iter().enumerate() {
            let asking = *direction == asks;
            assert_eq!(asking, nth % 2 == 0, "{file:?}: {moved:?}");
            assert_eq!(*pos, nth as u64 / 2, "{file:?}: {moved:?}");
        }
        assert_eq!(moved.len() % 2, 0, "{file:?} was left out amid an exchange");
    }
    assert!(moved.len() > 2 * LASTING, "{} were taken up", moved.len());
    assert!(
        left_out > 2 * LASTING && kept > LASTING,
        "{left_out} {kept}"
    );
    assert_eq!(seen.counters.probes.lost, 0);
    assert!(seen.counters.probes.ignored > 0);
    // Each is drawn anew many times, with a chance of one half.
    assert_eq!(seen.reckoned.len(), 2);
    for calls in seen.reckoned.values() {
        let (counted, expected) = (calls.counted, calls.expected);
        assert!(
            counted < 2 * expected && expected < 2 * counted,
            "{calls:?}"
        );
    }
}

/// A connection with one exchange, then what its server logs of it, one after the other.
fn logging() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut log = fs::File::options()
        .append(true)
        .create(true)
        .open(folder.path().join("log"))
        .unwrap();
    for n in 0..N {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"a").unwrap();
        answer(client, listener.accept().unwrap().0);
        log.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
}

/// Of each line, whether the connection before it was left out, and whether it was itself.
fn logged(config: CaptureConfig) -> Option<Vec<(bool, bool)>> {
    let half = |capture: &Capture| capture.sample(HALF, 7);
    let seen = observe_with(config, logging, half)?;
    let (mut lines, mut served, mut written) = (Vec::new(), false, 0);
    for record in seen.decoded() {
        match record.event {
            Event::File(file) if file.class == Class::Tcp => served = file.left_out.is_some(),
            Event::Data(data) if data.class == Class::Log => {
                let text = format!("{}\n", lines.len());
                let shown = if data.left_out { "" } else { &text };
                assert_eq!(data.payload, shown.as_bytes());
                assert_eq!((data.pos, data.len), (written, text.len() as u32));
                written += u64::from(data.len);
                lines.push((served, data.left_out));
            }
            _ => {}
        }
    }
    assert_eq!(lines.len(), N);
    assert_eq!(seen.counters.probes.lost, 0);
    Some(lines)
}

#[test]
fn what_is_logged_is_left_out_with_the_connection_that_was_served() {
    let Some(lines) = logged(CaptureConfig::default()) else {
        return;
    };
    assert!(
        lines.iter().all(|(served, line)| served == line),
        "{lines:?}"
    );
    assert!(lines.iter().any(|(served, _)| *served) && lines.iter().any(|(served, _)| !served));
}

#[test]
fn where_lines_are_wanted_none_is_left_out() {
    let config = CaptureConfig {
        sample_logs: false,
        ..CaptureConfig::default()
    };
    let Some(lines) = logged(config) else { return };
    assert!(lines.iter().all(|(_, line)| !line) && lines.iter().any(|(served, _)| *served));
}
