//! Inference names the likeliest request, only where that could be checked; and nothing but `inferred` tells that
//! it was asked for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_core::healing::{Healer, Settings, Spans};
use observer_core::judged::{Judged, Reason, Role, SubjectId, Verdict};
use proptest::prelude::*;
use world::{Fed, Socket, Told, World, request, response, tell_inferring, traceparent};

const SHOP: u32 = 10;
const MS: u64 = 1_000_000;

/// What is done for one of two requests that overlap, on the one thread of an event loop.
#[derive(Clone, Copy, Debug)]
struct Does {
    /// How its call treats the context: 0 keeps it, 1 drops it, 2 restarts.
    call: u8,
    /// How old the request is when the call begins, milliseconds.
    age: u64,
}

const KEEPS: Does = Does { call: 0, age: 5 };
const DROPS: Does = Does { call: 1, age: 5 };

/// A service with two connections to it and two from it.
struct Shop {
    world: World,
    servers: [Socket; 2],
    clients: [Socket; 2],
    stdout: Socket,
    requests: u64,
}

impl Shop {
    fn new() -> Self {
        let mut world = World::new();
        world.process(SHOP, "shop");
        let servers = [5000, 5001].map(|port| world.tcp(SHOP, 80, port, true));
        let clients = [6000, 6001].map(|port| world.tcp(SHOP, port, 90, true));
        let stdout = world.stdout(SHOP);
        Self {
            world,
            servers,
            clients,
            stdout,
            requests: 0,
        }
    }

    /// Two requests, the second 2 ms after the first. Each makes a call and is answered at the end.
    fn round(&mut self, does: [Does; 2]) {
        let w = &mut self.world;
        let first = self.requests + 1;
        self.requests += 2;
        let start = w.now();
        let mut steps: Vec<(u64, usize, bool)> = vec![(0, 0, false), (2, 1, false)];
        for (i, does) in does.iter().enumerate() {
            steps.push((2 * i as u64 + does.age, i, true));
        }
        steps.sort_unstable();
        for (at, i, calls) in steps {
            w.sleep((start + at * MS).saturating_sub(w.now()));
            let n = first + i as u64;
            if !calls {
                w.read(
                    SHOP,
                    self.servers[i],
                    request(&format!("/in/{n}"), &traceparent(n, n)),
                );
                continue;
            }
            let headers = match does[i].call {
                0 => traceparent(n, 1_000 + n),
                1 => String::new(),
                _ => traceparent(50_000 + n, 1),
            };
            w.write(SHOP, self.stdout, format!("calling for order {n}x\n"));
            w.write(
                SHOP,
                self.clients[i],
                request(&format!("/out/{n}"), &headers),
            );
            w.read(SHOP, self.clients[i], response());
        }
        w.sleep(20 * MS);
        for server in self.servers {
            w.write(SHOP, server, response());
        }
        w.tick();
        w.sleep(100 * MS);
        w.tick();
    }

    fn rounds(&mut self, n: usize, does: [Does; 2]) {
        (0..n).for_each(|_| self.round(does));
    }

    fn inferring(&self) -> Told {
        tell_inferring(&self.world.inputs, 0, None)
    }
}

/// Calls that inference names a request of: theirs, and the one named.
fn named(told: &Told) -> Vec<(String, String)> {
    let server = |id| {
        let served = told.exchanges(Role::Server);
        let found = served.into_iter().find(|x| x.id == id).unwrap();
        found.target.replace("/in/", "")
    };
    let calls = told.exchanges(Role::Client).into_iter();
    calls
        .filter_map(|x| {
            let inferred = x.inferred?;
            Some((x.target.replace("/out/", ""), server(inferred.request)))
        })
        .collect()
}

#[test]
fn what_was_often_right_is_told() {
    let mut shop = Shop::new();
    shop.rounds(60, [KEEPS; 2]);
    shop.rounds(5, [DROPS; 2]);
    shop.round([Does { call: 2, age: 5 }, Does { call: 0, age: 5 }]);
    let told = shop.inferring();
    let named = named(&told);
    assert_eq!(named.len(), 11, "{named:?}");
    assert!(named.iter().all(|(own, named)| own == named), "{named:?}");
    let call = told.call("/out/121");
    let inferred = call.inferred.unwrap();
    assert!(inferred.confidence > 0.89 && inferred.confidence <= 0.9);
    assert_eq!(inferred.candidates, 2);
    // What it says changes nothing.
    assert_eq!(
        (call.request, call.verdict),
        (None, Some(Verdict::Inconclusive))
    );
    let attribution = call.attribution.as_ref().unwrap();
    assert!(attribution.reason.is_some() && attribution.tier.is_none());
    let json = serde_json::to_value(call).unwrap();
    assert_eq!(json["inferred"]["tier"], "inference");
    assert_eq!(json["attribution"]["tier"], serde_json::Value::Null);
}

#[test]
fn without_anything_certain_nothing_is_inferred() {
    let mut shop = Shop::new();
    shop.rounds(100, [DROPS; 2]);
    assert_eq!(named(&shop.inferring()), []);
}

#[test]
fn before_enough_was_checked_nothing_is_inferred() {
    let mut shop = Shop::new();
    shop.rounds(30, [KEEPS; 2]);
    shop.rounds(5, [DROPS; 2]);
    assert_eq!(named(&shop.inferring()), []);
}

#[test]
fn where_it_turns_wrong_it_is_switched_off() {
    let mut shop = Shop::new();
    shop.rounds(60, [KEEPS; 2]);
    // From now on the call that seems to be the first request's is the second's, and the other way round.
    let late = |call| [Does { call, age: 7 }, Does { call, age: 3 }];
    shop.rounds(20, late(0));
    shop.rounds(5, late(1));
    assert_eq!(named(&shop.inferring()), []);
}

#[test]
fn requests_that_look_alike_are_not_told_apart() {
    let mut shop = Shop::new();
    for n in 0..80 {
        // At any age: so two requests of nearly the same age are equally likely.
        let does = |i: u64| Does {
            call: 0,
            age: 3 + (n * 7 + i * 5) % 11,
        };
        shop.round([does(0), does(1)]);
    }
    shop.rounds(5, [DROPS; 2]);
    let named = named(&shop.inferring());
    assert_eq!(named, []);
}

#[test]
fn work_that_is_done_without_requests_is_never_inferred() {
    let mut shop = Shop::new();
    shop.rounds(60, [KEEPS; 2]);
    // The same call, by a timer.
    let w = &mut shop.world;
    w.sleep(5_000 * MS);
    w.calls(SHOP, shop.clients[0], "/out/9000");
    w.tick();
    shop.rounds(5, [DROPS; 2]);
    assert_eq!(named(&shop.inferring()), []);
}

#[test]
fn a_program_that_follows_another_has_no_habits() {
    let mut shop = Shop::new();
    shop.rounds(60, [KEEPS; 2]);
    shop.world.exit(SHOP, SHOP);
    let servers = [5000, 5001].map(|port| shop.world.tcp(SHOP, 80, port, true));
    let clients = [6000, 6001].map(|port| shop.world.tcp(SHOP, port, 90, true));
    (shop.servers, shop.clients) = (servers, clients);
    shop.rounds(5, [DROPS; 2]);
    assert_eq!(named(&shop.inferring()), []);
}

#[test]
fn the_story_has_candidates_for_and_against() {
    let mut shop = Shop::new();
    shop.rounds(60, [KEEPS; 2]);
    shop.round([DROPS; 2]);
    let call = shop.inferring().call("/out/121").id;
    let told = tell_inferring(&shop.world.inputs, 0, Some(SubjectId(call.0)));
    let story = told.0.iter().find_map(|judged| match judged {
        Judged::Explanation(story) => Some(story),
        _ => None,
    });
    let story = story.unwrap();
    assert_eq!(story.request, None);
    let said = story.evidence.last().unwrap();
    assert_eq!(said.of, "inference (decides nothing)");
    assert_eq!(said.request, Some(told.served("/in/121").id));
    for id in [told.served("/in/121").id, told.served("/in/122").id] {
        assert!(said.says.contains(&format!("{id} ")), "{}", said.says);
    }
}

/// Everything told, and everything made of it, but for what was inferred.
fn all_but_inferred(told: Told) -> (Vec<String>, Vec<String>) {
    let mut healer = Healer::new(Settings {
        spans: Spans::All,
        unsampled: true,
    });
    told.0.iter().for_each(|item| healer.judged(item));
    let mut healed = Vec::new();
    healer.finish(&mut healed);
    let healed = healed.iter().map(|h| serde_json::to_string(h).unwrap());
    let healed = healed.collect();
    let without = told.0.into_iter().map(|mut item| {
        match &mut item {
            Judged::Exchange(x) => x.inferred = None,
            Judged::Log(l) => l.inferred = None,
            _ => {}
        }
        serde_json::to_string(&item).unwrap()
    });
    (without.collect(), healed)
}

fn does() -> impl Strategy<Value = Does> {
    (0..3_u8, prop_oneof![3 => Just(5_u64), 1 => 3..9_u64])
        .prop_map(|(call, age)| Does { call, age })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Verdicts, counts, summaries and spans are the same with and without it.
    #[test]
    fn inference_changes_nothing_else(
        rounds in proptest::collection::vec([does(), does()], 1..20),
        lost in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut shop = Shop::new();
        shop.rounds(55, [KEEPS; 2]);
        rounds.iter().for_each(|does| shop.round(*does));
        let mut inputs = shop.world.inputs;
        if let Some(lost) = lost {
            let records: Vec<usize> = (0..inputs.len())
                .filter(|i| matches!(inputs[*i], Fed::Record(_)))
                .collect();
            inputs.remove(records[lost.index(records.len())]);
        }
        let lost = u64::from(lost.is_some());
        let with = tell_inferring(&inputs, lost, None);
        for judged in &with.0 {
            if let Judged::Exchange(x) = judged && x.inferred.is_some() {
                prop_assert_eq!(x.request, None);
                prop_assert_eq!(x.verdict, Some(Verdict::Inconclusive));
                prop_assert!(x.attribution.as_ref().unwrap().reason.as_ref() != Some(&Reason::NoRequest));
            }
        }
        let without = world::tell(&inputs, lost);
        prop_assert_eq!(all_but_inferred(with), all_but_inferred(without));
    }

    #[test]
    fn other_processes_in_between_change_nothing(
        at in proptest::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let mut shop = Shop::new();
        shop.rounds(60, [KEEPS; 2]);
        shop.rounds(5, [DROPS; 2]);
        let mut other = World::with_files(9_000);
        let socket = other.tcp(99, 81, 7000, true);
        for n in 0..10 {
            other.read(98, socket, request(&format!("/in/{n}"), ""));
            other.write(98, socket, response());
        }
        let mut mixed = shop.world.inputs.clone();
        for (n, i) in at.iter().enumerate() {
            if let Some(record) = other.inputs.get(n) {
                mixed.insert(i.index(mixed.len()), record.clone());
            }
        }
        let told = tell_inferring(&world::resequence(&mixed), 0, None);
        let mut with = named(&told);
        let mut without = named(&shop.inferring());
        with.sort();
        without.sort();
        prop_assert_eq!(with, without);
    }
}
