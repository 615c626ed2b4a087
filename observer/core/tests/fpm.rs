//! PHP-FPM: a worker serves one request after the other, and its master relays what it prints.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::waited::{ACCEPT, POLL_MANY};
use observer_core::facts::Runtime;
use observer_core::judged::{LogVerdict, Role, Verdict};
use world::{Told, World, request, response, traceparent};

const MASTER: u32 = 10;
const WORKER: u32 = 20;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    let mut bytes = vec![1, kind, 0, 1, 0, len, 0, 0];
    bytes.extend(content);
    bytes
}

fn asked(target: &str, traceparent: &str) -> Vec<u8> {
    let traceparent = traceparent
        .trim()
        .split_once(": ")
        .map_or("", |(_, value)| value);
    let mut params = Vec::new();
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", target),
        ("HTTP_TRACEPARENT", traceparent),
    ] {
        params.extend([name.len(), value.len()].map(|n| u8::try_from(n).unwrap()));
        params.extend(name.bytes().chain(value.bytes()));
    }
    [
        record(1, &[0, 1, 0, 0, 0, 0, 0, 0]),
        record(4, &params),
        record(4, &[]),
        record(5, &[]),
    ]
    .concat()
}

fn answered() -> Vec<u8> {
    let head = b"Content-type: text/html\r\n\r\nok";
    [record(6, head), record(3, &[0; 8])].concat()
}

/// A worker that serves requests, each on a connection of its own, over `runtime`.
fn serve(runtime: Runtime, waits: u8, nonblocking: bool) -> Told {
    let mut w = World::new();
    w.runs_on(WORKER, runtime);
    let out = w.stdout(WORKER);
    for n in 1..=5_u16 {
        let served = w.tcp(WORKER, 9000, 5000 + n, nonblocking);
        let call = w.tcp(WORKER, 6000 + n, 90, true);
        w.wait(WORKER, ACCEPT);
        let n = u64::from(n);
        w.read(
            WORKER,
            served,
            asked(&format!("/in/{n}"), &traceparent(n, n)),
        );
        w.write(WORKER, call, request(&format!("/out/{n}"), ""));
        w.wait(WORKER, waits);
        w.read(WORKER, call, response());
        w.write(WORKER, out, format!("line {n}\n"));
        w.write(WORKER, served, answered());
        w.close(WORKER, served);
        w.tick();
    }
    w.told()
}

fn attributed(told: &Told) -> usize {
    let calls = told.exchanges(Role::Client);
    let lines = told.lines();
    let calls = calls.iter().filter(|c| c.request.is_some());
    calls.count() + lines.iter().filter(|l| l.request.is_some()).count()
}

#[test]
fn a_worker_does_everything_for_its_request() {
    let told = serve(Runtime::Php, 0, false);
    assert_eq!(attributed(&told), 10);
    for n in 1..=5 {
        let served = told.served(&format!("/in/{n}"));
        assert_eq!((served.protocol, served.status), ("fastcgi", Some(200)));
        let call = told.call(&format!("/out/{n}"));
        assert_eq!(call.request, Some(served.id));
        assert_eq!(call.verdict, Some(Verdict::Dropped));
        let line = told.line(&format!("line {n}"));
        assert_eq!(line.request, Some(served.id));
        assert_eq!(line.verdict, LogVerdict::Missing);
    }
}

/// As `curl_multi` does.
#[test]
fn it_may_wait_for_many_connections() {
    assert_eq!(attributed(&serve(Runtime::Php, POLL_MANY, false)), 10);
}

#[test]
fn what_is_not_fpm_may_not() {
    assert_eq!(attributed(&serve(Runtime::Native, 0, false)), 10);
    assert_eq!(attributed(&serve(Runtime::Native, POLL_MANY, false)), 0);
    assert_eq!(
        attributed(&serve(Runtime::Php, 0, true)),
        0,
        "an event loop"
    );
    assert_eq!(attributed(&serve(Runtime::Php, ACCEPT, false)), 0);
}

/// A worker prints to a pipe that its master reads; the master writes `relayed`.
fn print(relayed: &[&str], watched: bool) -> Told {
    let mut w = World::new();
    w.runs_on(WORKER, Runtime::Php);
    w.runs_on(MASTER, Runtime::Php);
    let log = w.stdout(MASTER);
    let (mut reader, writer) = w.pipe(WORKER);
    reader.tgid = MASTER;
    w.stream(writer, 2);
    let served = w.tcp(WORKER, 9000, 5000, false);
    w.read(WORKER, served, asked("/in/1", &traceparent(1, 1)));
    if watched {
        w.write(WORKER, writer, "hello\n");
    }
    w.read(MASTER, reader, "hello\n");
    w.write(WORKER, served, answered());
    w.close(WORKER, served);
    for line in relayed {
        w.write(MASTER, log, line);
    }
    w.tick();
    w.told()
}

#[test]
fn a_relayed_line_is_its_writers_alone() {
    for relayed in [
        "hello\n",
        "[x] WARNING: [pool www] child 20 said into stderr: \"hello\"\n",
    ] {
        let told = print(&[relayed], true);
        let [line] = told.lines()[..] else {
            panic!("{:?}", told.lines());
        };
        assert_eq!((line.pid.0, &*line.source), (WORKER, "stderr"));
        assert_eq!(line.request, Some(told.served("/in/1").id));
    }
}

#[test]
fn other_lines_stay_the_masters() {
    let told = print(&["hello\n", "worker 20 started\n"], true);
    let told: Vec<_> = told
        .lines()
        .iter()
        .map(|l| (l.pid.0, l.line.clone(), l.verdict))
        .collect();
    let own = "worker 20 started".to_owned();
    assert!(
        told.contains(&(MASTER, own, LogVerdict::Unscoped)),
        "{told:?}"
    );
    assert_eq!(told.len(), 2);
    let unseen = print(&["hello\n"], false);
    let [line] = unseen.lines()[..] else {
        panic!("{:?}", unseen.lines());
    };
    assert_eq!((line.pid.0, line.verdict), (MASTER, LogVerdict::Unscoped));
}

/// A web server's socket is described before the application accepts the connection.
#[test]
fn both_ends_of_a_unix_connection_are_joined() {
    let mut w = World::new();
    let (client, server) = w.unix("/run/php.sock", MASTER, WORKER);
    w.write(MASTER, client, asked("/a", &traceparent(1, 1)));
    w.read(WORKER, server, asked("/a", &traceparent(1, 1)));
    w.write(WORKER, server, answered());
    w.read(MASTER, client, answered());
    w.tick();
    let told = w.told();
    let call = told.call("/a");
    assert_eq!(told.served("/a").parent, Some(call.id));
    assert_eq!(told.served("/a").identity, call.identity);
    assert_eq!(call.peer.to_string(), "unix:/run/php.sock");
}
