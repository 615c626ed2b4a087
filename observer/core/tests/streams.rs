//! HAProxy: what its streams do, each for one request, several on one thread.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::runtime::{HAPROXY, NONE};
use observer_abi::take::CONNECT;
use observer_abi::waited::EVENT_LOOP;
use observer_core::judged::Tier;
use world::{Socket, Told, World, request, response, traceparent};

const PROXY: u32 = 10;
/// Addresses of streams.
const A: u64 = 0xa000;
const B: u64 = 0xb000;

/// A thread with three clients and three connections to a service.
struct Proxy {
    w: World,
    clients: [Socket; 3],
    service: [Socket; 3],
    log: Socket,
}

impl Proxy {
    fn new() -> Self {
        let mut w = World::new();
        w.has_streams(PROXY);
        let clients = [5000, 5001, 5002].map(|port| w.tcp(PROXY, 80, port, true));
        let service = [6000, 6001, 6002].map(|port| w.tcp(PROXY, port, 90, true));
        let log = w.stdout(PROXY);
        Self {
            w,
            clients,
            service,
            log,
        }
    }

    /// Connections are read by no stream.
    fn reads(&mut self, socket: Socket, bytes: &str) {
        self.w.run(PROXY, NONE, 0);
        self.w.read(PROXY, socket, bytes);
    }

    fn asked(&mut self, client: usize, target: &str) {
        let n = u64::try_from(client).unwrap() + 1;
        let bytes = request(&format!("/in{target}"), &traceparent(n, n));
        self.reads(self.clients[client], &bytes);
    }

    fn writes(&mut self, stream: u64, socket: Socket, bytes: &str) {
        self.w.run(PROXY, HAPROXY, stream);
        self.w.write(PROXY, socket, bytes);
    }

    fn calls(&mut self, stream: u64, service: usize, target: &str) {
        let bytes = request(&format!("/out{target}"), "");
        self.writes(stream, self.service[service], &bytes);
    }

    fn answers(&mut self, stream: u64, client: usize) {
        self.writes(stream, self.clients[client], response());
    }

    fn logs(&mut self, stream: u64, line: &str) {
        self.writes(stream, self.log, &format!("{line}\n"));
    }

    /// All is read first, then the streams take their turns, the second one first.
    fn round(&mut self, n: usize) {
        let [a, b] = [2 * n, 2 * n + 1].map(|n| format!("/{n}"));
        self.w.wait(PROXY, EVENT_LOOP);
        self.asked(0, &a);
        self.asked(1, &b);
        self.calls(B, 1, &b);
        self.calls(A, 0, &a);
        self.w.wait(PROXY, EVENT_LOOP);
        self.reads(self.service[0], response());
        self.reads(self.service[1], response());
        self.logs(B, &format!("before{b}."));
        self.answers(B, 1);
        self.logs(A, &format!("before{a}."));
        self.answers(A, 0);
        self.logs(B, &format!("after{b}."));
        self.logs(A, &format!("after{a}."));
    }

    fn told(mut self) -> Told {
        self.w.sleep(6_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

fn named(told: &Told, id: Option<observer_core::judged::ExchangeId>) -> Option<String> {
    let target = told.target_of(id?)?;
    Some(target.strip_prefix("/in").unwrap().to_owned())
}

fn owner(told: &Told, call: &str) -> Option<String> {
    named(told, told.call(&format!("/out{call}")).request)
}

fn logged_for(told: &Told, line: &str) -> Option<String> {
    named(told, told.line(line).request)
}

#[test]
fn a_stream_works_for_the_request_that_it_answers() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
    }
    let told = proxy.told();
    for n in 0..10 {
        let target = Some(format!("/{n}"));
        assert_eq!(owner(&told, &format!("/{n}")), target);
        assert_eq!(logged_for(&told, &format!("before/{n}.")), target);
        assert_eq!(logged_for(&told, &format!("after/{n}.")), target);
    }
    let tier = |line: &str| told.line(line).attribution.tier;
    assert_eq!(tier("before/9."), Some(Tier::Execution));
    assert_eq!(tier("after/9."), Some(Tier::HandOff));
}

#[test]
fn a_line_after_another_streams_answer_is_not_for_that_request() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
    }
    proxy.asked(0, "/90");
    proxy.asked(1, "/91");
    proxy.answers(A, 0);
    proxy.logs(B, "given up.");
    assert_eq!(logged_for(&proxy.told(), "given up."), None);
}

/// Its address is that of another stream by then, perhaps.
#[test]
fn a_line_after_something_else_was_read_is_nobodys() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
    }
    proxy.asked(0, "/90");
    proxy.answers(A, 0);
    proxy.asked(1, "/91");
    proxy.logs(A, "after a read.");
    proxy.asked(0, "/92");
    proxy.answers(A, 0);
    proxy.w.wait(PROXY, EVENT_LOOP);
    proxy.logs(A, "after a wait.");
    let told = proxy.told();
    assert_eq!(logged_for(&told, "after a read."), None);
    assert_eq!(logged_for(&told, "after a wait."), None);
}

#[test]
fn the_first_call_of_a_connection_is_its_makers_unless_another_stream_writes_it() {
    let mut proxy = Proxy::new();
    proxy.asked(0, "/0");
    proxy.asked(1, "/1");
    for service in [0, 1] {
        proxy.w.run(PROXY, HAPROXY, A);
        proxy.w.touch(PROXY, proxy.service[service], CONNECT);
    }
    let bytes = request("/out/0", "");
    proxy.w.run(PROXY, NONE, 0);
    proxy.w.write(PROXY, proxy.service[0], bytes);
    proxy.calls(B, 1, "/1");
    for service in [0, 1] {
        proxy.reads(proxy.service[service], response());
    }
    proxy.answers(A, 0);
    proxy.answers(B, 1);
    let told = proxy.told();
    assert_eq!(owner(&told, "/0").as_deref(), Some("/0"));
    assert_eq!(owner(&told, "/1").as_deref(), Some("/1"));
}

/// A pipelined request is taken up when the one before it is answered; the address of its stream may have been that of
/// another one when it was read.
#[test]
fn what_an_address_did_before_is_not_for_who_has_it_now() {
    let mut proxy = Proxy::new();
    let two = request("/in/0", "") + &request("/in/2", "");
    proxy.reads(proxy.clients[0], &two);
    proxy.asked(1, "/1");
    proxy.calls(A, 0, "/0");
    // Given up.
    proxy.calls(B, 1, "/1");
    proxy.w.close(PROXY, proxy.clients[1]);
    proxy.reads(proxy.service[0], response());
    proxy.answers(A, 0);
    proxy.calls(B, 2, "/2");
    proxy.reads(proxy.service[2], response());
    proxy.answers(B, 0);
    let told = proxy.told();
    assert_eq!(owner(&told, "/0").as_deref(), Some("/0"));
    assert_eq!(owner(&told, "/1"), None);
    assert_eq!(owner(&told, "/2").as_deref(), Some("/2"));
}

/// A stream that has answered logs, when the next request has been read, which then gets its address.
#[test]
fn a_late_line_is_not_for_the_next_request() {
    let mut proxy = Proxy::new();
    proxy.asked(1, "/1");
    proxy.asked(0, "/0");
    proxy.calls(A, 0, "/0");
    proxy.reads(proxy.service[0], response());
    proxy.answers(A, 0);
    proxy.asked(0, "/2");
    proxy.logs(A, "late.");
    proxy.calls(A, 0, "/2");
    proxy.logs(A, "early.");
    proxy.reads(proxy.service[0], response());
    proxy.answers(A, 0);
    let told = proxy.told();
    assert_eq!(logged_for(&told, "late."), None);
    assert_eq!(logged_for(&told, "early.").as_deref(), Some("/2"));
}
