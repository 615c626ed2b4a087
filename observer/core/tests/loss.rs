//! A missing record may turn a verdict into "don't know", never into a new accusation.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::BTreeMap;

use observer_abi::item::{GIVEN, TAKEN};
use observer_abi::runtime::{GO, JAVA, NONE, PYTHON};
use observer_core::judged::{Judged, Role};
use proptest::prelude::*;
use world::paused::with_pauses;
use world::sampled::by_the_probes;
use world::{Fed, Told, World, request, response, tell, traceparent};

const SHOP: u32 = 10;
const WORKER: u32 = 40;
const LISTENER: u32 = 41;
/// The first of two threads that are kept.
const KEPT: u32 = 50;
/// The first of those that virtual threads start.
const STARTED: u32 = 100;

/// What one thread does for one request.
#[derive(Clone, Debug)]
struct Work {
    /// How its call treats the context: 0 keeps, 1 drops, 2 restarts, 3 leaks another request's.
    call: u8,
    /// Whether its line carries the id.
    logs_id: bool,
    /// Who does it.
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// A thread of its own.
    Thread,
    /// A thread that serves others at the same time.
    SharedThread,
    /// A context on that thread, which answers the request too.
    Context,
    /// A context that the answering one began; its identity was another's before.
    ChildContext,
    /// An executor's only thread, which takes what a thread of its own gives it.
    Worker,
    /// A thread of its own; another one writes what it logs.
    Logger,
    /// A thread that was kept, and is given what it does by a thread of its own.
    Kept,
    /// A goroutine, by way of the writer of a pooled connection.
    Goroutine,
    /// A thread that a virtual thread starts.
    Started,
}

fn work() -> impl Strategy<Value = Work> {
    let by = prop_oneof![
        Just(By::Thread),
        Just(By::SharedThread),
        Just(By::Context),
        Just(By::ChildContext),
        Just(By::Worker),
        Just(By::Logger),
        Just(By::Kept),
        Just(By::Goroutine),
        Just(By::Started),
    ];
    (0..4_u8, any::<bool>(), by).prop_map(|(call, logs_id, by)| Work { call, logs_id, by })
}

/// Requests that overlap in pairs, on connections that are used again.
fn story(works: &[Work]) -> World {
    let mut w = World::new();
    let stdout = w.stdout(SHOP);
    let lanes: Vec<_> = (0..2_u16)
        .map(|lane| {
            let plain = w.tcp(SHOP, 80, 5000 + lane, false);
            let shared = w.tcp(SHOP, 80, 5100 + lane, true);
            (plain, shared, w.tcp(SHOP, 6000 + lane, 90, false))
        })
        .collect();
    for kept in [KEPT, KEPT + 1] {
        w.spawn(SHOP, SHOP, kept);
        w.park(SHOP, kept);
    }
    for (pair, works) in works.chunks(2).enumerate() {
        let with = |i: usize| (2 * pair + i) as u64 + 1;
        for (i, work) in works.iter().enumerate() {
            let (server, tid) = place(&lanes, work, i);
            let n = with(i);
            w.run(tid, runtime_of(work), 1);
            w.read(
                tid,
                server,
                request(&format!("/in/{n}"), &traceparent(n, n)),
            );
        }
        for (i, work) in works.iter().enumerate() {
            let (_, tid) = place(&lanes, work, i);
            let n = with(i);
            let tid = act(&mut w, work, i, tid, n, lanes[i].2);
            let headers = match work.call {
                0 => traceparent(n, 1000 + n),
                1 => String::new(),
                2 => traceparent(5000 + n, 1),
                _ => traceparent(with(1 - i), 1),
            };
            w.write(tid, lanes[i].2, request(&format!("/out/{n}"), &headers));
            w.read(tid, lanes[i].2, response());
            let id = if work.logs_id {
                format!("trace_id={n:032x} ")
            } else {
                String::new()
            };
            if work.by == By::Goroutine {
                w.run(tid, GO, n);
            }
            let tid = if work.by == By::Logger {
                w.record(SHOP, tid, GIVEN, n);
                w.record(SHOP, LISTENER, TAKEN, n);
                LISTENER
            } else {
                tid
            };
            w.write(tid, stdout, format!("{id}line-{n}\n"));
            match work.by {
                By::Kept => w.park(SHOP, tid),
                By::Started => w.exit(SHOP, tid),
                _ => {}
            }
        }
        for (i, work) in works.iter().enumerate() {
            let (server, tid) = place(&lanes, work, i);
            w.run(tid, runtime_of(work), with(i));
            w.write(tid, server, response());
        }
        w.tick();
        w.sleep(2_000_000_000);
        w.tick();
    }
    w
}

type Lane = (world::Socket, world::Socket, world::Socket);

fn place(lanes: &[Lane], work: &Work, i: usize) -> (world::Socket, u32) {
    if matches!(work.by, By::Thread | By::Worker | By::Logger | By::Kept) {
        (lanes[i].0, 20 + u32::try_from(i).unwrap())
    } else {
        (lanes[i].1, SHOP)
    }
}

fn runtime_of(work: &Work) -> u8 {
    match work.by {
        By::Thread | By::SharedThread | By::Worker | By::Logger | By::Kept => NONE,
        By::Context | By::ChildContext => PYTHON,
        By::Goroutine => GO,
        By::Started => JAVA,
    }
}

/// What is going to call for request `n` comes to run on the thread that is returned.
fn act(w: &mut World, work: &Work, i: usize, tid: u32, n: u64, client: world::Socket) -> u32 {
    let again = 900 + i as u64;
    match work.by {
        By::Thread | By::SharedThread | By::Logger => {}
        By::Context => w.run(tid, PYTHON, n),
        By::ChildContext => {
            w.branch(SHOP, tid, PYTHON, n, again);
            w.run(tid, PYTHON, again);
        }
        By::Goroutine => {
            w.run(tid, GO, n);
            w.take(tid, client);
            w.run(tid, GO, again);
        }
        By::Kept => {
            let kept = KEPT + u32::try_from(i).unwrap();
            w.reuse(SHOP, tid, kept);
            return kept;
        }
        By::Started => {
            w.run(tid, JAVA, n);
            let started = STARTED + u32::try_from(n).unwrap();
            w.spawn(SHOP, tid, started);
            return started;
        }
        By::Worker => {
            w.item(SHOP, tid, GIVEN, n);
            w.item(SHOP, WORKER, TAKEN, n);
            return WORKER;
        }
    }
    tid
}

/// Calls and lines that are accused, with the accusation.
fn accusations(told: &Told) -> BTreeMap<String, String> {
    let of = |judged: &Judged| match judged {
        Judged::Exchange(x) if x.role == Role::Client => {
            let verdict = x.verdict.filter(|v| v.is_loss())?;
            Some((x.target.to_string(), verdict.name().to_owned()))
        }
        Judged::Log(l) if l.verdict.is_loss() => Some((
            l.line.rsplit(' ').next().unwrap().to_owned(),
            l.verdict.name().to_owned(),
        )),
        _ => None,
    };
    told.0.iter().filter_map(of).collect()
}

/// Calls and lines that are given to requests, with these.
fn given(told: &Told) -> BTreeMap<String, String> {
    let served = told.exchanges(Role::Server);
    let request = |id| served.iter().find(|s| Some(s.id) == id);
    let of = |judged: &Judged| match judged {
        Judged::Exchange(x) if x.role == Role::Client => Some((x.target.to_string(), x.request?)),
        Judged::Log(l) => Some((l.line.rsplit(' ').next().unwrap().to_owned(), l.request?)),
        _ => None,
    };
    let given = told.0.iter().filter_map(of);
    given
        .filter_map(|(what, id)| Some((what, request(Some(id))?.target.to_string())))
        .collect()
}

#[test]
fn what_goes_on_in_a_pause_is_of_nobody() {
    let mut w = World::new();
    let (server, client) = (w.tcp(SHOP, 80, 5000, false), w.tcp(SHOP, 6000, 90, false));
    let stdout = w.stdout(SHOP);
    for n in 1..=3 {
        w.read(20, server, request(&format!("/in/{n}"), &traceparent(n, n)));
        w.calls(20, client, &format!("/out/{n}"));
        w.write(20, stdout, format!("line-{n}\n"));
        w.write(20, server, response());
        w.tick();
    }
    let of = |told: &Told| {
        let calls = told.exchanges(Role::Client);
        calls
            .iter()
            .map(|c| (c.target.to_string(), c.verdict.unwrap().name()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&w.told()).len(), 3);
    // From the middle of the first request to the middle of the second one: of each, a half was seen.
    let each = w.inputs.len() / 3;
    let pause = 6..each + 6;
    let paused = with_pauses(&w.inputs, std::slice::from_ref(&pause), 4);
    let told = tell(&paused, 0);
    assert_eq!(
        of(&told),
        [
            ("/out/1".to_owned(), "inconclusive"),
            ("/out/3".to_owned(), "dropped")
        ]
    );
    let lost = told
        .exchanges(Role::Server)
        .iter()
        .filter(|s| s.unfinished.is_some())
        .count();
    assert_eq!(lost, 1, "{:#?}", told.json());
    let Some(Judged::Summary(summary)) = told.0.last() else {
        panic!("no summary");
    };
    let shares = summary.sampling.unwrap();
    assert_eq!((shares.watched_least, shares.lowest), (0.25, 1.0));
    assert!(shares.paused_ns > 0 && summary.losses.is_empty());
    // The first request stands for itself, the third one for four.
    assert_eq!(summary.services[0].served_estimated.unwrap().n, 5);
}

#[test]
fn a_write_that_is_taken_back_is_no_loss() {
    let mut w = World::new();
    let socket = w.tcp(SHOP, 80, 5000, true);
    w.read(1, socket, request("/full", ""));
    for _ in 0..3 {
        w.write(1, socket, "HTTP/1.1 2");
        w.shorten(1, socket, 10);
    }
    w.write(1, socket, response());
    w.tick();
    let told = w.told();
    assert_eq!(told.exchanges(Role::Server)[0].status, Some(200));
    let loss = |judged: &Judged| matches!(judged, Judged::Loss(_));
    assert!(!told.0.iter().any(loss), "{:#?}", told.json());
}

proptest! {
    #[test]
    fn losing_records_never_accuses(
        works in proptest::collection::vec(work(), 1..12),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let world = story(&works);
        let whole = accusations(&world.told());
        let told = world.told_without(&lost);
        for (what, accusation) in accusations(&told) {
            prop_assert_eq!(Some(&accusation), whole.get(&what), "{}: {:#?}", what, told.json());
        }
    }

    #[test]
    fn observing_fewer_connections_never_accuses(
        works in proptest::collection::vec(work(), 1..12),
        shares in proptest::collection::vec((any::<prop::sample::Index>(), 0_u32..=65_536), 1..4),
    ) {
        let world = story(&works);
        let whole = accusations(&world.told());
        let mut sampled = world.inputs.clone();
        for (at, keep) in shares {
            sampled.insert(at.index(sampled.len()), Fed::Sampling(keep));
        }
        let told = tell(&by_the_probes(&sampled), 0);
        for (what, accusation) in accusations(&told) {
            prop_assert_eq!(Some(&accusation), whole.get(&what), "{}: {:#?}", what, told.json());
        }
    }

    #[test]
    fn pauses_never_accuse(
        works in proptest::collection::vec(work(), 1..12),
        bounds in proptest::collection::vec(any::<prop::sample::Index>(), 1..8),
        every in 1_u32..=8,
    ) {
        let world = story(&works);
        let whole = world.told();
        let accused = accusations(&whole);
        let mut bounds: Vec<usize> = bounds.iter().map(|at| at.index(world.inputs.len())).collect();
        bounds.sort_unstable();
        let pauses: Vec<_> = bounds.chunks(2).map(|two| two[0]..*two.last().unwrap()).collect();
        let told = tell(&with_pauses(&world.inputs, &pauses, every), 0);
        for (what, accusation) in accusations(&told) {
            prop_assert_eq!(Some(&accusation), accused.get(&what), "{}: {:#?}", what, told.json());
        }
        let given_then = given(&whole);
        for (what, request) in given(&told) {
            let number = what.trim_start_matches(|c: char| !c.is_ascii_digit());
            // A call that carries the id of another request is given to that, where nothing else is known.
            let leaks = works[number.parse::<usize>().unwrap() - 1].call == 3;
            let leaks = leaks && what.starts_with("/out/");
            // Ids that are seen to leak decide alone no longer: what is given now may have been given to none.
            let right = request == format!("/in/{number}") || given_then.get(&what) == Some(&request);
            prop_assert!(leaks || right, "{what} to {request}: {:#?}", told.json());
        }
        let lost = |judged: &Judged| matches!(judged, Judged::Loss(_));
        prop_assert!(!told.0.iter().any(lost), "{:#?}", told.json());
    }

    #[test]
    fn unrelated_threads_in_between_change_nothing(
        works in proptest::collection::vec(work(), 1..6),
        at in proptest::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let world = story(&works);
        let mut other = World::with_files(9_000);
        let socket = other.tcp(99, 81, 7000, true);
        other.read(98, socket, request("/unrelated", ""));
        let mut mixed = world.inputs.clone();
        for (n, i) in at.iter().enumerate() {
            if let Some(record) = other.inputs.get(n) {
                mixed.insert(i.index(mixed.len()), record.clone());
            }
        }
        let sequenced = world::resequence(&mixed);
        prop_assert_eq!(accusations(&tell(&sequenced, 0)), accusations(&world.told()));
    }
}
