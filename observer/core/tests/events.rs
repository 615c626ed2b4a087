//! Proxies that serve all their requests on one thread, event by event, as nginx does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::take::CONNECT;
use observer_abi::waited::EVENT_LOOP;
use observer_core::facts::Runtime;
use observer_core::judged::{Reason, Role, Tier};
use world::{Socket, Told, World, request, response, traceparent};

const PROXY: u32 = 10;

/// A worker with two clients and two connections to a service.
struct Proxy {
    w: World,
    clients: [Socket; 2],
    service: [Socket; 2],
    log: Socket,
}

impl Proxy {
    fn new() -> Self {
        let mut w = World::new();
        w.handles_events(PROXY);
        Self::over(w)
    }

    fn over(mut w: World) -> Self {
        let clients = [5000, 5001].map(|port| w.tcp(PROXY, 80, port, true));
        let service = [6000, 6001].map(|port| w.tcp(PROXY, port, 90, true));
        let log = w.stdout(PROXY);
        Self {
            w,
            clients,
            service,
            log,
        }
    }

    /// The thread goes to wait for events.
    fn turn(&mut self) {
        self.w.wait(PROXY, EVENT_LOOP);
    }

    /// A client's request is read.
    fn asked(&mut self, client: usize, target: &str) {
        let n = u64::try_from(client).unwrap() + 1;
        let bytes = request(&format!("/in{target}"), &traceparent(n, n));
        self.w.read(PROXY, self.clients[client], bytes);
    }

    fn calls(&mut self, service: usize, target: &str) {
        let bytes = request(&format!("/out{target}"), "");
        self.w.write(PROXY, self.service[service], bytes);
    }

    fn responds(&mut self, service: usize) {
        self.w.read(PROXY, self.service[service], response());
    }

    fn answers(&mut self, client: usize) {
        self.w.write(PROXY, self.clients[client], response());
    }

    fn logs(&mut self, line: &str) {
        self.w.write(PROXY, self.log, format!("{line}\n"));
    }

    /// Two requests that overlap, from the first read to the last line.
    fn round(&mut self, n: usize) {
        let targets = [0, 1].map(|client| format!("/{}", 2 * n + client));
        for (client, target) in targets.iter().enumerate() {
            self.turn();
            self.asked(client, target);
            self.calls(client, target);
        }
        for (client, target) in targets.iter().enumerate() {
            self.turn();
            self.responds(client);
            self.answers(client);
            self.logs(&format!("line{target}."));
        }
    }

    fn told(mut self) -> Told {
        // Longer than a proof is waited for.
        self.w.sleep(6_000_000_000);
        self.w.tick();
        self.w.told()
    }
}

/// The request that a call was given to.
fn owner(told: &Told, call: &str) -> Option<String> {
    let call = told.call(&format!("/out{call}"));
    named(told, call.request)
}

fn named(told: &Told, id: Option<observer_core::judged::ExchangeId>) -> Option<String> {
    let target = told.target_of(id?)?;
    Some(target.strip_prefix("/in").unwrap().to_owned())
}

fn logged_for(told: &Told, line: &str) -> Option<String> {
    named(told, told.line(line).request)
}

fn reason(told: &Told, call: &str) -> Option<Reason> {
    let call = told.call(&format!("/out{call}"));
    call.attribution.as_ref().unwrap().reason.clone()
}

#[test]
fn what_is_done_in_an_event_is_done_for_its_request() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
    }
    let told = proxy.told();
    for n in 0..10 {
        let target = format!("/{n}");
        assert_eq!(owner(&told, &target).as_ref(), Some(&target));
        let call = told.call(&format!("/out{target}"));
        assert_eq!(call.attribution.as_ref().unwrap().tier, Some(Tier::HandOff));
        let line = format!("line{target}.");
        assert_eq!(logged_for(&told, &line).as_ref(), Some(&target));
    }
}

#[test]
fn of_programs_that_are_not_known_to_work_so_it_says_nothing() {
    let mut w = World::new();
    w.runs_on(PROXY, Runtime::Proxy);
    let mut proxy = Proxy::over(w);
    for n in 0..5 {
        proxy.round(n);
    }
    let told = proxy.told();
    let calls = told.exchanges(Role::Client);
    assert!(calls.iter().all(|c| c.request.is_none()));
    assert!(told.lines().iter().all(|l| l.request.is_none()));
}

#[test]
fn a_connection_is_its_makers() {
    let mut proxy = Proxy::new();
    proxy.turn();
    for (n, target) in ["/0", "/1"].into_iter().enumerate() {
        proxy.asked(n, target);
        proxy.w.touch(PROXY, proxy.service[n], CONNECT);
    }
    proxy.turn();
    // The second is made first.
    proxy.calls(1, "/1");
    proxy.calls(0, "/0");
    proxy.turn();
    for n in [0, 1] {
        proxy.responds(n);
        proxy.answers(n);
    }
    let told = proxy.told();
    for target in ["/0", "/1"] {
        assert_eq!(owner(&told, target).as_deref(), Some(target));
    }
}

/// A request that is delayed goes on when a timer runs out, after the last event of a turn.
#[test]
fn what_a_timer_does_is_not_for_who_was_read_before() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(0, "/0");
    proxy.turn();
    proxy.asked(1, "/1");
    proxy.calls(0, "/0");
    proxy.turn();
    proxy.responds(0);
    proxy.answers(0);
    proxy.turn();
    proxy.calls(1, "/1");
    proxy.turn();
    proxy.responds(1);
    proxy.answers(1);
    let told = proxy.told();
    assert_eq!(owner(&told, "/0"), None);
    assert!(matches!(reason(&told, "/0"), Some(Reason::Conflict { .. })));
    assert_eq!(owner(&told, "/1"), None, "its event is not known");
}

#[test]
fn a_connection_made_by_a_timer_is_nobodys() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(0, "/0");
    proxy.turn();
    proxy.w.touch(PROXY, proxy.service[0], CONNECT);
    proxy.turn();
    proxy.asked(1, "/1");
    proxy.calls(0, "/0");
    proxy.turn();
    proxy.responds(0);
    proxy.answers(1);
    assert_eq!(owner(&proxy.told(), "/0"), None);
}

#[test]
fn a_response_that_went_nowhere_proves_nothing() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(0, "/0");
    proxy.calls(0, "/mirror");
    proxy.calls(1, "/0");
    proxy.asked(1, "/1");
    proxy.turn();
    proxy.responds(0);
    proxy.turn();
    proxy.responds(1);
    proxy.answers(0);
    let told = proxy.told();
    assert_eq!(owner(&told, "/mirror"), None);
    assert_eq!(owner(&told, "/0").as_deref(), Some("/0"));
}

/// As with `auth_request`, or the next upstream after one that failed.
#[test]
fn a_call_in_the_event_of_a_response_is_for_the_same_request() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(1, "/1");
    proxy.asked(0, "/0");
    proxy.calls(0, "/auth");
    proxy.turn();
    proxy.responds(0);
    proxy.calls(1, "/0");
    proxy.turn();
    proxy.responds(1);
    proxy.answers(0);
    let told = proxy.told();
    for call in ["/auth", "/0"] {
        assert_eq!(owner(&told, call).as_deref(), Some("/0"), "{call}");
    }
}

#[test]
fn the_response_of_another_in_between_ends_the_event() {
    let mut proxy = Proxy::new();
    proxy.turn();
    for (n, target) in ["/0", "/1"].into_iter().enumerate() {
        proxy.asked(n, target);
        proxy.calls(n, target);
    }
    proxy.turn();
    proxy.responds(0);
    proxy.responds(1);
    proxy.answers(0);
    proxy.answers(1);
    let told = proxy.told();
    assert_eq!(owner(&told, "/0"), None);
    assert_eq!(owner(&told, "/1"), None);
}

/// The second request of a connection is taken up when the first is answered, without a read.
#[test]
fn pipelined_requests_prove_nothing() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(1, "/1");
    let two = request("/in/0", "") + &request("/in/2", "");
    proxy.w.read(PROXY, proxy.clients[0], two);
    proxy.calls(0, "/0");
    proxy.turn();
    proxy.responds(0);
    proxy.answers(0);
    proxy.calls(0, "/2");
    proxy.turn();
    proxy.responds(0);
    proxy.answers(0);
    let told = proxy.told();
    assert_eq!(owner(&told, "/0"), None);
    assert_eq!(owner(&told, "/2"), None);
}

#[test]
fn a_process_in_which_both_halves_differ_is_not_believed() {
    let mut proxy = Proxy::new();
    for n in 0..25 {
        let [a, b] = [2 * n, 2 * n + 1].map(|n| format!("/{n}"));
        proxy.turn();
        proxy.asked(0, &a);
        proxy.asked(1, &b);
        proxy.calls(0, &a);
        proxy.turn();
        proxy.responds(0);
        proxy.answers(0);
        proxy.answers(1);
    }
    proxy.round(30);
    let told = proxy.told();
    assert_eq!(owner(&told, "/60"), None);
    let why = reason(&told, "/60");
    assert!(matches!(why, Some(Reason::Distrusted { .. })), "{why:?}");
}

#[test]
fn only_the_first_line_after_an_answer_is_its_own() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
        proxy.logs(&format!("upstream timed out {n}."));
    }
    proxy.turn();
    proxy.asked(0, "/99");
    proxy.logs("reopening logs");
    let told = proxy.told();
    for n in 0..5 {
        assert_eq!(logged_for(&told, &format!("timed out {n}.")), None);
    }
    assert_eq!(logged_for(&told, "reopening"), None);
    assert_eq!(logged_for(&told, "line/9.").as_deref(), Some("/9"));
}

#[test]
fn a_line_after_an_answer_that_has_none_as_a_rule_is_nobodys() {
    let mut proxy = Proxy::new();
    for n in 0..20 {
        proxy.turn();
        proxy.asked(1, &format!("/{n}"));
        proxy.answers(1);
        if n == 10 {
            proxy.logs("client timed out.");
        }
    }
    assert_eq!(logged_for(&proxy.told(), "timed out"), None);
}

#[test]
fn a_line_after_something_else_is_nobodys() {
    let mut proxy = Proxy::new();
    for n in 0..5 {
        proxy.round(n);
    }
    let late = ["turn", "read", "call"];
    for what in late {
        proxy.turn();
        proxy.asked(0, "/1000");
        proxy.answers(0);
        match what {
            "turn" => proxy.turn(),
            "read" => proxy.asked(1, "/1001"),
            _ => proxy.calls(1, "/1002"),
        }
        proxy.logs(&format!("after {what}."));
    }
    let told = proxy.told();
    for what in late {
        assert_eq!(logged_for(&told, &format!("after {what}.")), None, "{what}");
    }
}

/// A buffered log is flushed in whatever event fills the buffer.
#[test]
fn lines_of_one_write_are_nobodys() {
    let mut proxy = Proxy::new();
    for n in 0..6 {
        proxy.turn();
        proxy.asked(0, &format!("/{n}"));
        proxy.asked(1, &format!("/1{n}"));
        proxy.answers(0);
        proxy.w.write(PROXY, proxy.log, format!("{n} a.\n{n} b.\n"));
        proxy.answers(1);
    }
    let told = proxy.told();
    assert!(told.lines().iter().all(|line| line.request.is_none()));
}

#[test]
fn an_id_outweighs_events() {
    let mut proxy = Proxy::new();
    proxy.turn();
    proxy.asked(0, "/0");
    proxy.asked(1, "/1");
    let other = request("/out/1", &traceparent(1, 9));
    proxy.w.write(PROXY, proxy.service[0], other);
    proxy.turn();
    proxy.responds(0);
    proxy.answers(1);
    let told = proxy.told();
    assert_eq!(owner(&told, "/1"), None);
    assert!(matches!(reason(&told, "/1"), Some(Reason::Conflict { .. })));
}
