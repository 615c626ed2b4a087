use proptest::prelude::*;

use super::*;
use crate::exchange::{ALL, Draw};

/// An estimate that no count of calls goes with.
fn alone(observed: u64, count: u64, variance: u64) -> Extent {
    let left_out = LeftOut { count, variance };
    extent(observed, left_out, Reckoned::default())
}

fn reckoned(counted: u64, expected: u64) -> Reckoned {
    Reckoned { counted, expected }
}

/// 100 are estimated, with a standard deviation of 10, and 200 calls were expected.
fn borne_out(counted: u64) -> Extent {
    let left_out = LeftOut {
        count: 100,
        variance: 100,
    };
    extent(50, left_out, reckoned(counted, 200))
}

fn estimated(extent: Extent) -> (u64, u64, u64) {
    match extent {
        Extent::Estimated(all) => (all.n, all.low, all.high),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_observed_is_the_least_that_there_was() {
    assert_eq!(alone(7, 0, 0), Extent::Observed);
    // Each of 100 connections with one call had a chance of one half.
    assert_eq!(estimated(alone(100, 100, 200)), (200, 172, 228));
    // One connection with 10 calls says little.
    assert_eq!(estimated(alone(10, 30, 1_200)), (40, 10, 108));
}

#[test]
fn the_interval_reaches_beyond_what_calls_say_where_that_is_plausible() {
    assert_eq!(estimated(borne_out(200)), (150, 130, 170));
    assert_eq!(estimated(borne_out(170)), (150, 105, 170));
    assert_eq!(estimated(borne_out(150)), (150, 75, 170));
    assert_eq!(estimated(borne_out(260)), (150, 130, 240));
}

#[test]
fn what_calls_refute_is_not_told() {
    for counted in [0, 139, 261, u64::MAX] {
        let Extent::Unknown(why) = borne_out(counted) else {
            panic!("{counted}");
        };
        let told = (why.reason, why.counted, why.expected);
        assert_eq!(told, (NoEstimate::CallsDisagree, counted, 200));
    }
}

#[test]
fn of_connections_for_which_none_stands_nothing_is_known() {
    let unknown = |observed, count| {
        let left_out = LeftOut { count, variance: 9 };
        matches!(
            extent(observed, left_out, reckoned(3, 0)),
            Extent::Unknown(why) if why.reason == NoEstimate::NoneObserved
        )
    };
    assert!(unknown(0, 0) && unknown(10, 0) && unknown(10, 4));
    // Of those that were observed, none carried any.
    let others = extent(4, LeftOut::default(), reckoned(80, 90));
    assert_eq!(others, Extent::Observed);
}

/// SplitMix64, so that a population draws the same lots each time.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u16 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 48) as u16
    }
}

/// A connection: its requests, and its calls for each in quarters.
type Connection = (u32, u32);

/// What is told of connections that draw these lots, of which the share `keep` is observed.
fn told(connections: &[Connection], keep: u32, lots: &mut Lots) -> Extent {
    let (mut observed, mut left_out, mut calls) = (0, LeftOut::default(), Reckoned::default());
    for (requests, each) in connections {
        let lot = lots.next();
        let moved = u64::from((requests * each).div_ceil(4));
        if u32::from(lot) >= keep {
            calls.counted += moved;
            continue;
        }
        calls.expected += moved * u64::from(ALL / keep - 1);
        let mut draw = Draw::new(lot, keep);
        observed += u64::from(*requests);
        (0..*requests).for_each(|_| left_out.add(draw.exchange()));
    }
    extent(observed, left_out, calls)
}

/// Of so many draws, in how many an interval was told, and in how many of these the truth was not in it.
fn tried(connections: &[Connection], keep: u32, seed: u64) -> (u32, u32) {
    let truth = connections.iter().map(|(n, _)| u64::from(*n)).sum::<u64>();
    let (mut lots, mut all, mut wrong) = (Lots(seed), 0, 0);
    for _ in 0..DRAWS {
        let (low, high) = match told(connections, keep, &mut lots) {
            Extent::Estimated(all) => (all.low, all.high),
            Extent::Observed => (truth, truth),
            Extent::Unknown(_) => continue,
        };
        all += 1;
        wrong += u32::from(!(low..=high).contains(&truth));
    }
    (all, wrong)
}

/// Draws of lots for one population.
const DRAWS: u32 = 400;

/// Few busy connections, or none, among many light ones.
fn population() -> impl Strategy<Value = Vec<Connection>> {
    // From two calls a request, a read and a write, to four and a half.
    let light = prop::collection::vec((1_u32..8, 8_u32..18), 0..400);
    let heavy = prop::collection::vec((100_u32..1_000, 8_u32..18), 0..12);
    (light, heavy).prop_map(|(light, heavy)| [light, heavy].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is told is right in 95 % of all cases at the least, whoever draws which lot.
    #[test]
    fn the_truth_is_in_the_interval_or_nothing_is_told(connections in population(), halves in 1_u32..=8, seed in any::<u64>()) {
        let (told, wrong) = tried(&connections, ALL >> halves, seed);
        // Four standard deviations above one in twenty, for the draws.
        prop_assert!(wrong <= DRAWS / 20 + 18, "{wrong} of {told}");
    }

    /// Where there are many connections that are like each other, chance alone hardly ever keeps it from being told.
    #[test]
    fn of_many_connections_it_is_told(each in 8_u32..18, halves in 1_u32..=3, seed in any::<u64>()) {
        let connections: Vec<Connection> = (0..2_000).map(|n| (1 + n % 5, each + n % 3)).collect();
        let (told, wrong) = tried(&connections, ALL >> halves, seed);
        prop_assert!(told > DRAWS * 97 / 100 && wrong <= DRAWS / 20, "{told} {wrong}");
    }
}

/// The busy connections are all left out, mostly: of the light ones alone, the estimate would be certain, and wrong.
#[test]
fn few_busy_connections_that_were_left_out_are_not_passed_over() {
    let busy = vec![(30_000, 10); 32];
    let connections = [busy, vec![(3, 12); 4_000]].concat();
    let (told, wrong) = tried(&connections, ALL >> 8, 7);
    assert!(told < DRAWS / 4 && wrong == 0, "{told} {wrong}");
}
