//! Contexts that leak from one request to another: an id that other evidence contradicts does not decide alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::judged::{Attribution, LogVerdict, Reason, Verdict};
use proptest::prelude::*;
use world::{Socket, Told, World, request, response, traceparent};

const SHOP: u32 = 10;
/// The first of the threads that serve a request each.
const SERVER: u32 = 20;
/// The first of those that work for whomever: nothing but an id tells.
const WORKER: u32 = 40;
const LANES: u16 = 3;
const MILLI: u64 = 1_000_000;

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// The thread that serves the request.
    Server,
    /// A worker.
    Worker,
}

/// A service that is asked by three at a time.
struct Shop {
    w: World,
    served: Vec<Socket>,
    own: Vec<Socket>,
    pool: Vec<Socket>,
    stdout: Socket,
    requests: u64,
}

impl Shop {
    fn new() -> Self {
        let mut w = World::new();
        let mut sockets = |local: u16, remote: u16| -> Vec<Socket> {
            let socket = |lane| match local {
                80 => w.tcp(SHOP, local, remote + lane, false),
                _ => w.tcp(SHOP, local + lane, remote, false),
            };
            (0..LANES).map(socket).collect()
        };
        let (served, own, pool) = (sockets(80, 5000), sockets(6000, 90), sockets(7000, 90));
        let stdout = w.stdout(SHOP);
        Self {
            w,
            served,
            own,
            pool,
            stdout,
            requests: 0,
        }
    }

    fn reads(&mut self, lane: usize) -> u64 {
        self.requests += 1;
        let (n, tid) = (self.requests, SERVER + u32::try_from(lane).unwrap());
        let head = request(&format!("/in/{n}"), &traceparent(n, 1));
        self.w.read(tid, self.served[lane], head);
        n
    }

    /// A call for the request `of`, with the id of `id`.
    fn calls(&mut self, lane: usize, by: By, of: u64, id: u64) {
        let tid = u32::try_from(lane).unwrap();
        let (tid, socket, path) = match by {
            By::Server => (SERVER + tid, self.own[lane], "own"),
            By::Worker => (WORKER + tid, self.pool[lane], "pool"),
        };
        let head = request(&format!("/{path}/{of}"), &traceparent(id, 9));
        self.w.write(tid, socket, head);
        self.w.read(tid, socket, response());
    }

    fn answers(&mut self, lane: usize) {
        let tid = SERVER + u32::try_from(lane).unwrap();
        self.w.write(tid, self.served[lane], response());
    }

    /// Three requests, of which each has one call made with the id of the one `shift` lanes on.
    fn round(&mut self, by: [By; LANES as usize], shift: usize) {
        let requests = [0, 1, 2].map(|lane| self.reads(lane));
        for (lane, by) in by.into_iter().enumerate() {
            let id = requests[(lane + shift) % requests.len()];
            self.calls(lane, by, requests[lane], id);
        }
        (0..requests.len()).for_each(|lane| self.answers(lane));
    }

    /// The same, each request with a call of either kind.
    fn both(&mut self, shift: usize) {
        let requests = [0, 1, 2].map(|lane| self.reads(lane));
        for by in [By::Worker, By::Server] {
            for (lane, of) in requests.into_iter().enumerate() {
                self.calls(lane, by, of, requests[(lane + shift) % requests.len()]);
            }
        }
        for (lane, id) in requests.into_iter().enumerate() {
            let id = &traceparent(id, 1)["traceparent: 00-".len()..][..32];
            let line = format!("INFO done trace_id={id} as {id}\n");
            let tid = WORKER + u32::try_from(lane).unwrap();
            self.w.write(tid, self.stdout, line);
        }
        (0..requests.len()).for_each(|lane| self.answers(lane));
        self.passes();
    }

    fn passes(&mut self) {
        self.w.sleep(100 * MILLI);
        self.w.tick();
    }

    fn told(&self) -> Told {
        self.w.told()
    }
}

/// Whether a call is joined to the request that it was made for; `None` if it is to none.
fn right(told: &Told, path: &str, of: u64) -> Option<bool> {
    let call = told.call(&format!("/{path}/{of}"));
    let request = told.served(&format!("/in/{of}")).id;
    call.request.map(|given| given == request)
}

fn attribution(told: &Told, target: &str) -> Attribution {
    told.call(target).attribution.clone().unwrap()
}

#[test]
fn an_id_alone_is_no_evidence_where_ids_are_seen_to_leak() {
    let mut shop = Shop::new();
    (0..5).for_each(|_| shop.both(1));
    let told = shop.told();
    for n in 1..=15 {
        let own = told.call(&format!("/own/{n}"));
        assert_eq!(own.verdict, Some(Verdict::Crossed));
        assert_eq!(right(&told, "own", n), Some(true));
        let call = format!("/pool/{n}");
        assert_eq!(told.call(&call).verdict, Some(Verdict::Inconclusive));
        let reason = attribution(&told, &call).reason;
        let all = Some(Reason::IdsDistrusted {
            disagreed: 15,
            compared: 15,
        });
        assert!(
            matches!(reason, Some(Reason::IdsDistrusted { .. })),
            "{reason:?}"
        );
        assert!(n < 15 || reason == all, "{reason:?}");
    }
}

#[test]
fn ids_of_lines_are_believed_where_those_of_calls_leak() {
    let mut shop = Shop::new();
    (0..5).for_each(|_| shop.both(1));
    let told = shop.told();
    let lines = told.lines();
    assert_eq!(lines.len(), 15);
    for line in lines {
        assert_eq!(line.verdict, LogVerdict::Linked);
        assert!(line.request.is_some());
    }
}

#[test]
fn an_id_alone_decides_where_ids_are_right() {
    let mut shop = Shop::new();
    (0..5).for_each(|_| shop.both(0));
    let told = shop.told();
    for n in 1..=15 {
        assert_eq!(right(&told, "pool", n), Some(true));
        let pool = told.call(&format!("/pool/{n}"));
        assert_eq!(pool.verdict, Some(Verdict::Propagated));
    }
}

#[test]
fn ids_that_begin_to_leak_are_found_out() {
    let mut shop = Shop::new();
    (0..100).for_each(|_| shop.both(0));
    (0..20).for_each(|_| shop.both(1));
    let told = shop.told();
    assert!((1..=300).all(|n| right(&told, "pool", n) == Some(true)));
    // By then nine of 309 calls have disagreed.
    assert!((310..=360).all(|n| right(&told, "pool", n).is_none()));
}

/// Pairs of requests of which only ids tell. `leaks`: the other's calls carry the id of the first.
fn overlapping(pairs: usize, leaks: bool) -> Told {
    let mut shop = Shop::new();
    for _ in 0..pairs {
        let (a, b) = (shop.reads(0), shop.reads(1));
        let id = if leaks { a } else { b };
        shop.calls(1, By::Worker, b, id);
        shop.answers(0);
        shop.calls(1, By::Worker, b, id);
        shop.answers(1);
        shop.passes();
    }
    shop.told()
}

#[test]
fn calls_on_both_sides_of_an_answer_speak_against_their_ids() {
    let told = overlapping(5, true);
    for n in [2, 4, 6, 8, 10] {
        assert_eq!(right(&told, "pool", n), None);
        let reason = attribution(&told, &format!("/pool/{n}")).reason;
        assert!(
            matches!(reason, Some(Reason::IdsParted { parted, requests }) if parted == requests),
            "{reason:?}"
        );
    }
    let told = overlapping(5, false);
    assert!(
        [2, 4, 6, 8, 10]
            .iter()
            .all(|n| right(&told, "pool", *n) == Some(true))
    );
}

#[test]
fn calls_that_are_always_made_after_the_answer_do_not() {
    let mut shop = Shop::new();
    for _ in 0..20 {
        let n = shop.reads(0);
        shop.answers(0);
        shop.reads(1);
        shop.calls(0, By::Worker, n, n);
        shop.calls(0, By::Worker, n, n);
        shop.answers(1);
        shop.passes();
    }
    let told = shop.told();
    assert!(
        (1..=39)
            .step_by(2)
            .all(|n| right(&told, "pool", n) == Some(true))
    );
}

/// A service that begins a trace, asks itself, and goes on with that trace.
#[test]
fn the_id_of_a_call_to_itself_did_not_leak() {
    let mut shop = Shop::new();
    let (asks, asked) = (
        shop.w.tcp(SHOP, 7100, 80, false),
        shop.w.tcp(SHOP, 80, 7100, false),
    );
    for n in 100..110 {
        let begun = request(&format!("/begins/{n}"), "");
        shop.w.read(SERVER, shop.served[0], begun);
        let own = request(&format!("/self/{n}"), &traceparent(n, 5));
        shop.w.write(SERVER, asks, &own);
        shop.w.read(SERVER + 1, asked, &own);
        shop.calls(0, By::Worker, n, n);
        shop.w.write(SERVER + 1, asked, response());
        shop.w.read(SERVER, asks, response());
        shop.calls(0, By::Worker, n, n);
        shop.answers(0);
        shop.passes();
    }
    let n = shop.reads(0);
    shop.calls(0, By::Worker, n, n);
    shop.answers(0);
    shop.passes();
    assert_eq!(right(&shop.told(), "pool", n), Some(true));
}

/// A generator of load that sends one context with each request is none that leaks.
#[test]
fn one_context_for_all_requests_is_no_leak() {
    let mut shop = Shop::new();
    for n in 1..=10 {
        for lane in 0..LANES {
            let head = request(&format!("/in/{n}/{lane}"), &traceparent(7, 1));
            shop.w.read(
                SERVER + u32::from(lane),
                shop.served[usize::from(lane)],
                head,
            );
        }
        for lane in 0..LANES {
            let head = request(&format!("/own/{n}/{lane}"), &traceparent(7, 9));
            let (tid, socket) = (SERVER + u32::from(lane), shop.own[usize::from(lane)]);
            shop.w.write(tid, socket, head);
            shop.w.read(tid, socket, response());
        }
        (0..usize::from(LANES)).for_each(|lane| shop.answers(lane));
        shop.passes();
    }
    // Another one comes alone, with an id of its own.
    shop.requests = 99;
    let n = shop.reads(0);
    shop.calls(0, By::Worker, n, n);
    shop.answers(0);
    shop.passes();
    let told = shop.told();
    let own = told.call("/own/10/1");
    assert_eq!(own.verdict, Some(Verdict::Propagated));
    assert_eq!(own.request, Some(told.served("/in/10/1").id));
    assert_eq!(right(&told, "pool", n), Some(true));
}

fn by() -> impl Strategy<Value = [By; LANES as usize]> {
    prop::array::uniform3(prop_oneof![Just(By::Server), Just(By::Worker)])
}

proptest! {
    /// Whatever workers do, and whenever it is judged: where each context leaks, and three calls show it in the first seconds,
    /// no call is given to a wrong request, and where none leaks, each is given to its own.
    #[test]
    fn no_call_is_given_to_the_request_whose_context_leaked(
        rounds in prop::collection::vec((by(), 1..3_usize, any::<bool>()), 1..12),
        leaks in any::<bool>(),
    ) {
        let mut shop = Shop::new();
        for (by, shift, passes) in &rounds {
            shop.round(*by, if leaks { *shift } else { 0 });
            if *passes {
                shop.passes();
            }
        }
        let told = shop.told();
        let all = rounds.iter().flat_map(|(by, ..)| by).copied();
        let shown = all.clone().filter(|by| *by == By::Server).count() >= 3;
        for (by, n) in all.zip(1..) {
            let path = if by == By::Server { "own" } else { "pool" };
            let right = right(&told, path, n);
            if by == By::Server || !leaks {
                prop_assert_eq!(right, Some(true), "/{}/{}", path, n);
            } else if shown {
                prop_assert_eq!(right, None, "/{}/{}", path, n);
            }
        }
    }
}
