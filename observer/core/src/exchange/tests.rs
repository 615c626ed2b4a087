use super::*;
use crate::judged::Address;

fn chunk(time: u64, bytes: &[u8]) -> Chunk<'_> {
    Chunk {
        tid: Tid(1),
        time: KernelNanos(time),
        pos: 0,
        len: u32::try_from(bytes.len()).expect("short"),
        bytes,
        nonblocking: false,
        execution: None,
    }
}

/// What is told as not observed of a connection on which this moves, in this order, until it is closed.
fn unobserved(local: Address, moved: [(Direction, &[u8]); 2]) -> Vec<(Protocol, bool)> {
    let endpoint = Arc::new(Endpoint {
        local,
        peer: Address::Unknown,
        unix_own: None,
        unix_peer: None,
    });
    let source = Source {
        file: FileId(1),
        tgid: Tgid(1),
        endpoint: &endpoint,
        draw: Draw::new(0, ALL),
    };
    let (mut exchanges, mut seen) = (Exchanges::default(), Vec::new());
    let mut note = |event| {
        if let ExchangeEvent::NotObserved {
            protocol, served, ..
        } = event
        {
            seen.push((protocol, served));
        }
    };
    for (direction, bytes) in moved {
        let mut seq = || Seq(1);
        exchanges.chunk(source, direction, chunk(1, bytes), &mut seq, &mut note);
    }
    exchanges.closed(FileId(1), Tid(1), KernelNanos(2), &mut note);
    seen
}

#[test]
fn a_short_connection_that_carried_something_else_is_told_when_it_ends() {
    const ASKED: (Direction, &[u8]) = (Direction::Read, b"EHLO a\r\n");
    const ANSWERED: (Direction, &[u8]) = (Direction::Write, b"250 ok\r\n");
    const HTTP: (Direction, &[u8]) = (Direction::Read, b"GET / HTTP/1.1\r\n\r\n");
    let tcp = || Address::Tcp(([127, 0, 0, 1], 1).into());
    let unknown = Protocol::Unknown;
    assert_eq!(unobserved(tcp(), [ASKED, ANSWERED]), [(unknown, true)]);
    assert_eq!(unobserved(tcp(), [ANSWERED, ASKED]), [(unknown, false)]);
    assert_eq!(unobserved(tcp(), [ASKED, ASKED]), []);
    assert_eq!(unobserved(tcp(), [HTTP, ANSWERED]), []);
    assert_eq!(unobserved(Address::Unknown, [ASKED, ANSWERED]), []);
}

/// A client's request moves on a connection of its own at `time`.
fn ask(exchanges: &mut Exchanges, file: u64, time: u64) {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    let endpoint = Arc::new(Endpoint {
        local: Address::Unknown,
        peer: Address::Unknown,
        unix_own: None,
        unix_peer: None,
    });
    let source = Source {
        file: FileId(file),
        tgid: Tgid(1),
        endpoint: &endpoint,
        draw: Draw::new(0, ALL),
    };
    let mut seq = || Seq(file);
    let request = chunk(time, REQUEST);
    exchanges.chunk(source, Direction::Write, request, &mut seq, &mut |_| {});
}

fn timed_out(exchanges: &mut Exchanges, now: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    exchanges.expire(KernelNanos(now), &mut |event| {
        if let ExchangeEvent::Ended(ended) = event {
            assert_eq!(ended.outcome.err(), Some(Unfinished::TimedOut));
            seen.push(ended.seq.0);
        }
    });
    seen
}

#[test]
fn an_exchange_is_given_up_when_its_time_is_over_and_not_before() {
    let mut exchanges = Exchanges::default();
    ask(&mut exchanges, 1, 1_000);
    assert!(timed_out(&mut exchanges, 2_000).is_empty());
    ask(&mut exchanges, 2, 3_000);
    let end = ANSWER_TIMEOUT + 1_000;
    for now in [ANSWER_TIMEOUT / 2, end - 1, end] {
        assert!(timed_out(&mut exchanges, now).is_empty(), "{now}");
    }
    assert_eq!(timed_out(&mut exchanges, end + 1), [1]);
    assert_eq!(timed_out(&mut exchanges, end + 2_001), [2]);
}

/// One end of a connection of the loopback address, from port `local` to `remote`.
fn end_of(local: u16, remote: u16) -> Arc<Endpoint> {
    let tcp = |port| Address::Tcp(([127, 0, 0, 1], port).into());
    Arc::new(Endpoint {
        local: tcp(local),
        peer: tcp(remote),
        unix_own: None,
        unix_peer: None,
    })
}

/// What happens on connections between the same two ports, of which all requests say the same.
enum Moves {
    /// A request is written, on the client's description of that number.
    Ask(u64),
    /// The server reads a request.
    Serve,
    /// The client reads a response.
    Answered(u64),
}

/// For each request that the server reads, the number of the client's exchange to which it is joined.
fn joined(moves: &[Moves]) -> Vec<Option<u64>> {
    const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (client, server) = (end_of(5000, 80), end_of(80, 5000));
    let (mut exchanges, mut next, mut found) = (Exchanges::default(), 0, Vec::new());
    let mut at = std::collections::BTreeMap::new();
    for (time, moves) in (1..).zip(moves) {
        let (file, direction, bytes, endpoint) = match moves {
            Moves::Ask(file) => (*file, Direction::Write, REQUEST, &client),
            Moves::Serve => (1_000, Direction::Read, REQUEST, &server),
            Moves::Answered(file) => (*file, Direction::Read, RESPONSE, &client),
        };
        let source = Source {
            file: FileId(file),
            tgid: Tgid(1),
            endpoint,
            draw: Draw::new(0, ALL),
        };
        let pos: &mut u64 = at.entry((file, direction as usize)).or_default();
        let moved = Chunk {
            pos: *pos,
            ..chunk(time, bytes)
        };
        *pos += bytes.len() as u64;
        let mut seq = || {
            next += 1;
            Seq(next)
        };
        exchanges.chunk(source, direction, moved, &mut seq, &mut |event| {
            if let ExchangeEvent::Begun(begun) = event
                && begun.role == Role::Server
            {
                found.push(begun.other_end.map(|other| other.0));
            }
        });
    }
    found
}

#[test]
fn requests_that_say_the_same_are_joined_in_order() {
    use Moves::*;
    let one_by_one = [Ask(1), Serve, Answered(1), Ask(1), Serve, Answered(1)];
    assert_eq!(joined(&one_by_one), [Some(1), Some(3)]);
    let pipelined = [Ask(1), Ask(1), Serve, Serve];
    assert_eq!(joined(&pipelined), [Some(1), Some(2)]);
}

#[test]
fn what_was_answered_was_read_even_if_that_was_not_seen() {
    use Moves::*;
    let unseen = [Ask(1), Answered(1), Ask(1), Serve];
    assert_eq!(joined(&unseen), [Some(2)]);
}

#[test]
fn a_port_that_comes_again_brings_another_connection() {
    use Moves::*;
    // The server was not watched then.
    assert_eq!(joined(&[Ask(1), Ask(2), Serve]), [Some(2)]);
}
