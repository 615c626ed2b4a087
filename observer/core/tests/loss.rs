//! A missing record may turn a verdict into "don't know", never into a new accusation.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::BTreeMap;

use observer_core::judged::{Judged, Role};
use proptest::prelude::*;
use world::{Fed, Told, World, request, response, tell, traceparent};

const SHOP: u32 = 10;

/// What one thread does for one request.
#[derive(Clone, Debug)]
struct Work {
    /// How its call treats the context: 0 keeps, 1 drops, 2 restarts, 3 leaks another request's.
    call: u8,
    /// Whether its line carries the id.
    logs_id: bool,
    /// Whether it serves on a thread that others share.
    shared: bool,
}

fn work() -> impl Strategy<Value = Work> {
    (0..4_u8, any::<bool>(), any::<bool>()).prop_map(|(call, logs_id, shared)| Work {
        call,
        logs_id,
        shared,
    })
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
    for (pair, works) in works.chunks(2).enumerate() {
        let with = |i: usize| (2 * pair + i) as u64 + 1;
        for (i, work) in works.iter().enumerate() {
            let (server, tid) = place(&lanes, work, i);
            let n = with(i);
            w.read(
                tid,
                server,
                request(&format!("/in/{n}"), &traceparent(n, n)),
            );
        }
        for (i, work) in works.iter().enumerate() {
            let (_, tid) = place(&lanes, work, i);
            let n = with(i);
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
            w.write(tid, stdout, format!("{id}line-{n}\n"));
        }
        for (i, work) in works.iter().enumerate() {
            let (server, tid) = place(&lanes, work, i);
            w.write(tid, server, response());
        }
        w.tick();
    }
    w
}

type Lane = (world::Socket, world::Socket, world::Socket);

fn place(lanes: &[Lane], work: &Work, i: usize) -> (world::Socket, u32) {
    if work.shared {
        (lanes[i].1, SHOP)
    } else {
        (lanes[i].0, 20 + u32::try_from(i).unwrap())
    }
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

proptest! {
    #[test]
    fn losing_records_never_accuses(
        works in proptest::collection::vec(work(), 1..12),
        lost in proptest::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let world = story(&works);
        let whole = accusations(&world.told());
        let records: Vec<usize> = (0..world.inputs.len())
            .filter(|i| matches!(world.inputs[*i], Fed::Record(_)))
            .collect();
        let lost: std::collections::BTreeSet<usize> =
            lost.iter().map(|i| records[i.index(records.len())]).collect();
        let thinned: Vec<Fed> = (world.inputs.iter().enumerate())
            .filter(|(i, _)| !lost.contains(i))
            .map(|(_, input)| input.clone())
            .collect();
        let told = tell(&thinned, lost.len() as u64);
        for (what, accusation) in accusations(&told) {
            prop_assert_eq!(Some(&accusation), whole.get(&what), "{}: {:#?}", what, told.json());
        }
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
