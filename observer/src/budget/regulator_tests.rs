use proptest::prelude::*;

use super::*;
use crate::cli::size::{Share, Size};

fn budget(cpu: CpuBudget) -> Budget {
    Budget {
        cpu,
        memory: Size(100),
        sample: Share::ALL,
    }
}

fn half() -> Budget {
    budget(CpuBudget::Core(Share::new(0.5)))
}

/// A host of two processors. Observing has a fixed part and one in proportion to what is observed, and services
/// want `wanted` of the processors.
fn load(keep: u32, all: f64, wanted: f64) -> Load {
    let own = 0.01 + all * f64::from(keep) / f64::from(ALL);
    let probes = 0.02;
    Load {
        own,
        probes,
        spare: (2.0 - wanted - own - probes).max(0.0),
        cpus: 2.0,
        ..Load::default()
    }
}

fn after(regulator: &mut Regulator, budget: &Budget, seconds: u32, all: f64, wanted: f64) {
    for _ in 0..seconds {
        let load = load(regulator.keep, all, wanted);
        regulator.look(&load, budget);
    }
}

#[test]
fn above_a_ceiling_less_is_observed_until_it_fits_and_then_more_again() {
    let mut regulator = Regulator::default();
    after(&mut regulator, &half(), 60, 4.0, 2.0);
    assert!(
        load(regulator.keep, 4.0, 2.0).own <= 0.5,
        "{}",
        regulator.keep
    );
    assert!(regulator.keep > LEAST);
    after(&mut regulator, &half(), PATIENCE * 12, 0.1, 2.0);
    assert_eq!(regulator.keep, ALL);
}

#[test]
fn what_nobody_else_wants_may_be_used() {
    let auto = budget(CpuBudget::Auto);
    let mut regulator = Regulator::default();
    after(&mut regulator, &auto, 60, 0.4, 0.3);
    assert_eq!(regulator.keep, ALL, "there is time enough");
    after(&mut regulator, &auto, 40, 0.4, 2.0);
    let used = load(regulator.keep, 0.4, 2.0);
    assert!(
        used.own + used.probes <= 0.1 && regulator.keep >= ALL / 16,
        "{}",
        regulator.keep
    );
    after(&mut regulator, &auto, PATIENCE * 8, 0.4, 0.3);
    assert_eq!(regulator.keep, ALL);
}

#[test]
fn a_server_that_answers_more_once_it_is_observed_less_is_observed_less_still() {
    let mut regulator = Regulator::default();
    for _ in 0..60 {
        let part = f64::from(regulator.keep) / f64::from(ALL);
        // A request takes 9 µs of two processors, 5 µs more if it is observed, and the probes 1 µs of any.
        let requests = 2.0 / (10.0 + 5.0 * part);
        let load = Load {
            own: requests * 4.0 * part,
            probes: requests * (1.0 + part),
            cpus: 2.0,
            ..Load::default()
        };
        regulator.look(&load, &budget(CpuBudget::Auto));
    }
    assert!(regulator.keep <= ALL / 32, "{}", regulator.keep);
    assert!(regulator.keep > LEAST, "{}", regulator.keep);
}

#[test]
fn a_small_service_on_a_busy_host_is_observed_whole() {
    let mut regulator = Regulator::default();
    after(&mut regulator, &budget(CpuBudget::Auto), 300, 0.05, 2.0);
    assert_eq!(regulator.keep, ALL);
}

/// nginx with two workers, and wrk beside it: what observing takes is missing, though processors are idle at times.
#[test]
fn what_is_idle_at_a_hosts_limit_is_wanted_all_the_same() {
    let mut regulator = Regulator::default();
    for _ in 0..60 {
        let part = 1.0 / f64::from(regulator.every);
        let load = Load {
            seconds: if regulator.every > 1 { 10.0 } else { 1.0 },
            own: 0.33 * part,
            probes: 0.22 * part,
            ways: 0.11 * part,
            spare: 0.29,
            cpus: 2.0,
            ..Load::default()
        };
        regulator.look(&load, &budget(CpuBudget::Auto));
    }
    assert_eq!((regulator.every, regulator.keep), (8, ALL));
}

#[test]
fn a_burst_that_is_over_changes_nothing() {
    let mut regulator = Regulator::default();
    after(&mut regulator, &half(), 2, 1.0, 2.0);
    after(&mut regulator, &half(), 10, 0.1, 2.0);
    assert_eq!(regulator.keep, ALL);
}

#[test]
fn what_probes_take_for_what_is_left_out_is_no_reason_to_leave_out_all() {
    let mut regulator = Regulator::default();
    for _ in 0..100 {
        let own = 0.2 * f64::from(regulator.keep) / f64::from(ALL);
        let load = Load {
            own,
            probes: 0.6,
            cpus: 2.0,
            ..Load::default()
        };
        assert!(
            !regulator.look(&load, &half()).is_empty()
                || own + 0.6 <= 0.5
                || regulator.own + regulator.probes <= 0.5
        );
    }
    assert!(regulator.keep > ALL / 16, "{}", regulator.keep);
}

#[test]
fn what_log_lines_take_is_no_reason_to_leave_out_all_connections() {
    let mut regulator = Regulator::default();
    for _ in 0..100 {
        let own = 0.7 + 0.3 * f64::from(regulator.keep) / f64::from(ALL);
        regulator.look(
            &Load {
                own,
                cpus: 2.0,
                ..Load::default()
            },
            &half(),
        );
    }
    assert!(regulator.keep >= ALL / 4, "{}", regulator.keep);
}

/// A server at its limit whose system calls take `ways` of the processors to run into the probes; what it takes to observe `all` is
/// limited to one core while observing is going on.
fn at_the_limit(regulator: &mut Regulator, rounds: u32, ways: f64, all: f64) {
    for _ in 0..rounds {
        let every = f64::from(regulator.every);
        let part = f64::from(regulator.keep) / f64::from(ALL);
        let load = Load {
            seconds: if every > 1.0 { 10.0 } else { 1.0 },
            own: (all * part).min(1.0) / every,
            probes: all * part / 4.0 / every,
            ways: ways / every,
            cpus: 2.0,
            ..Load::default()
        };
        regulator.look(&load, &budget(CpuBudget::Auto));
    }
}

#[test]
fn where_the_ways_of_calls_alone_take_the_budget_it_is_the_time_that_is_shared() {
    let mut regulator = Regulator::default();
    at_the_limit(&mut regulator, 60, 0.2, 0.4);
    assert!((8..=16).contains(&regulator.every), "{regulator:?}");
    assert!(regulator.keep >= ALL / 4, "{regulator:?}");
    let used = 0.2 + 0.4 * 1.25 * f64::from(regulator.keep) / f64::from(ALL);
    assert!(used / f64::from(regulator.every) <= 0.1, "{regulator:?}");
}

#[test]
fn when_the_load_is_gone_all_is_observed_all_the_time() {
    let mut regulator = Regulator::default();
    at_the_limit(&mut regulator, 30, 0.2, 2.0);
    assert!(regulator.every > 1 && regulator.keep < ALL);
    at_the_limit(&mut regulator, 400, 0.001, 0.002);
    assert_eq!((regulator.every, regulator.keep), (1, ALL));
}

#[test]
fn who_needs_all_of_the_time_has_it() {
    let mut regulator = Regulator::default();
    regulator.never_pause();
    at_the_limit(&mut regulator, 60, 0.2, 0.4);
    assert_eq!(regulator.every, 1);
    assert!(regulator.keep < ALL);
}

#[test]
fn calls_that_take_little_are_no_reason_to_pause() {
    let mut regulator = Regulator::default();
    at_the_limit(&mut regulator, 60, 0.02, 2.0);
    assert_eq!(regulator.every, 1);
    assert!(regulator.keep < ALL / 8);
}

#[test]
fn without_a_budget_nothing_is_left_out() {
    let mut regulator = Regulator::default();
    after(&mut regulator, &Budget::NONE, 60, 4.0, 2.0);
    assert_eq!(regulator.keep, ALL);
}

#[test]
fn a_share_that_was_too_much_twice_is_tried_more_seldom() {
    let mut regulator = Regulator::default();
    let mut pressed = Vec::new();
    for second in 0..400 {
        if regulator.keep == ALL {
            regulator.press(2.0);
            pressed.push(second);
        }
        regulator.look(&load(regulator.keep, 0.1, 1.0), &half());
    }
    let pauses: Vec<_> = pressed.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(
        pauses.len() >= 3 && pauses.is_sorted() && pauses[2] > 3 * pauses[0],
        "{pauses:?}"
    );
}

#[test]
fn a_share_that_was_asked_for_is_never_exceeded() {
    assert_eq!(share(1.0), ALL);
    assert_eq!(share(0.7), ALL / 2);
    assert_eq!(share(0.5), ALL / 2);
    assert_eq!(share(0.0), LEAST);
    assert_eq!(share(f64::NAN), LEAST);
}

#[test]
fn memory_has_a_ceiling_too() {
    let mut regulator = Regulator::default();
    let resident = |resident| Load {
        resident,
        ..Load::default()
    };
    assert_eq!(regulator.look(&resident(101), &half()), [Ceiling::Memory]);
    assert_eq!(regulator.keep, ALL / 2);
    for _ in 0..PATIENCE * 2 {
        regulator.look(&resident(95), &half());
    }
    assert_eq!(regulator.keep, ALL / 2, "too close to the ceiling");
}

proptest! {
    #[test]
    fn the_share_stays_within_its_bounds(
        uses in prop::collection::vec((0.0..64.0, 0.0..64.0, 0.0..9.0, 0_u64..200, any::<bool>()), 0..200),
        auto in any::<bool>(),
    ) {
        let budget = if auto { budget(CpuBudget::Auto) } else { half() };
        let mut regulator = Regulator::default();
        for (own, spare, ways, resident, pressed) in uses {
            if pressed {
                regulator.press(2.0);
            }
            regulator.look(&Load { own, probes: own / 2.0, ways, spare, cpus: 64.0, resident, ..Load::default() }, &budget);
            prop_assert!((LEAST..=ALL).contains(&regulator.keep));
            prop_assert!(regulator.keep.is_power_of_two());
            prop_assert!((1..=MOST_EVERY).contains(&regulator.every) && regulator.every.is_power_of_two());
            prop_assert!(regulator.level() > 0);
        }
    }
}
