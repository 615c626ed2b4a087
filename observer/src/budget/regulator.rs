//! Which share of connections fits a budget: a function of what was used, second by second.

use crate::cli::budget::{Budget, CpuBudget};

/// All connections, as a share in 65 536ths.
pub const ALL: u32 = 1 << 16;

/// How often the share of connections may be halved.
const LEAST_HALVES: u32 = 10;

/// The smallest share of connections: 1 in 1024.
const LEAST: u32 = ALL >> LEAST_HALVES;

/// Weight of the last second in the averages: about five seconds count.
const WEIGHT: f64 = 0.2;

/// How often the share may be halved at once.
const STEP: u32 = 3;

/// Share of the ceiling that is to be used after the share has doubled.
const MARGIN: f64 = 0.8;

/// Share of the ceiling below which the observer's own part is too small for less of it to matter: what is left is taken
/// by probes for connections that are left out already.
const FIXED: f64 = 0.2;

/// The part of what a fall of the share was to save of the observer's own part that it must have saved, to have helped. A server at
/// its limit answers more requests once it is observed less.
const HELPED: f64 = 0.25;

/// What the observer's own part must have come to since the share fell for there to be more to do than there was then.
const GREW: f64 = 1.3;

/// How many calm looks in a row it takes to observe more.
const PATIENCE: u32 = 15;

/// The most that it takes where more turned out to be too much.
const MOST_PATIENCE: u32 = 240;

/// Of `auto`: the part of the host's processors that is always free to use.
const PART_OF_HOST: f64 = 0.05;

/// Of `auto`: the part of what nobody else wants that may be used.
const PART_OF_SPARE: f64 = 0.5;

/// What may be above its ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Room in the kernel's ring.
    Ring,
}

/// What one second took, and what there is. Processor time is in cores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Processor time of the observer itself.
    pub own: f64,
    /// Processor time of its probes.
    pub probes: f64,
    /// Processor time of the host that nobody used.
    pub spare: f64,
    /// Processors of the host.
    pub cpus: f64,
    /// Resident memory, bytes.
    pub resident: u64,
}

/// Lets the share of connections fall above a ceiling, and doubles it after a calm while.
#[derive(Debug)]
pub struct Regulator {
    keep: u32,
    /// Averages of [`Load`]'s fields.
    own: f64,
    probes: f64,
    spare: f64,
    calm: u32,
    patience: u32,
    /// The share that it was last raised to.
    raised: u32,
    /// The observer's own processor time when the share last fell for its sake; 0 if it has risen since.
    fell: f64,
    /// What it has to come to for the fall to have helped.
    helped: f64,
}

impl Default for Regulator {
    fn default() -> Self {
        Self {
            keep: ALL,
            own: 0.0,
            probes: 0.0,
            spare: 0.0,
            calm: 0,
            patience: PATIENCE,
            raised: 0,
            fell: 0.0,
            helped: 0.0,
        }
    }
}

impl Regulator {
    /// The share of connections that fits, in 65 536ths.
    #[must_use]
    pub fn keep(&self) -> u32 {
        self.keep
    }

    /// What is above its ceiling, after a second with this load.
    pub fn look(&mut self, load: &Load, budget: &Budget) -> Vec<Ceiling> {
        let average = |average: &mut f64, now: f64| *average += WEIGHT * (now - *average);
        average(&mut self.own, load.own);
        average(&mut self.probes, load.probes);
        average(&mut self.spare, load.spare);
        let mut over = Vec::new();
        let ceiling = ceiling(budget.cpu, load.cpus, self.spare);
        let now = load.own + load.probes;
        // Not for a burst that is over.
        if self.own + self.probes > ceiling && now > ceiling {
            over.push(Ceiling::Cpu);
            if self.own > ceiling * FIXED && self.may_help(load.own) {
                let halves = halves(now / ceiling);
                self.fell = load.own;
                self.helped = load.own * (1.0 - HELPED * (1.0 - 0.5_f64.powf(halves.into())));
                self.fall(halves);
            }
        }
        if load.resident > budget.memory.0 {
            over.push(Ceiling::Memory);
            self.fall(1);
        }
        if over.is_empty() {
            self.calm = match self.has_room(load, budget) {
                true => self.calm + 1,
                false => 0,
            };
            if self.calm >= self.patience {
                self.rise();
            }
        } else {
            self.calm = 0;
        }
        over
    }

    /// The kernel's ring is about to be too small, or was: so many times too much is written to it.
    pub fn press(&mut self, times: f64) {
        self.fall(halves(times));
        self.calm = 0;
    }

    /// Whether a smaller share may lower what the observer itself takes, `own` now. Lines that are to be healed, or that threads
    /// write which serve nobody, are never left out: where it is they that take the time, the last fall has not helped.
    fn may_help(&self, own: f64) -> bool {
        own < self.helped || own >= self.fell * GREW
    }

    /// Whether twice as much would fit.
    fn has_room(&self, load: &Load, budget: &Budget) -> bool {
        let used = self.own + self.probes;
        let spare = (self.spare - used).max(0.0);
        self.keep < ALL
            && used * 2.0 <= ceiling(budget.cpu, load.cpus, spare) * MARGIN
            && load.resident < budget.memory.0 / 10 * 9
    }

    fn fall(&mut self, halves: u32) {
        if self.keep == self.raised {
            // It was too much the last time, too.
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
            self.raised = 0;
        }
        let keep = (self.keep >> halves).max(LEAST);
        // What it will take, so that what was used before does not count against the new share.
        self.own *= f64::from(keep) / f64::from(self.keep);
        self.keep = keep;
    }

    fn rise(&mut self) {
        self.keep = (self.keep * 2).min(ALL);
        self.raised = self.keep;
        self.fell = 0.0;
        self.calm = 0;
    }
}

/// Processor time that may be used, in cores.
fn ceiling(cpu: CpuBudget, cpus: f64, spare: f64) -> f64 {
    match cpu {
        CpuBudget::Auto => cpus * PART_OF_HOST + spare * PART_OF_SPARE,
        CpuBudget::Core(share) => share.get(),
        CpuBudget::Off => f64::INFINITY,
    }
}

/// How often to halve what is so many times too much.
fn halves(times: f64) -> u32 {
    (1..STEP)
        .find(|n| times <= f64::from(1 << n))
        .unwrap_or(STEP)
}

/// The largest of all, a half, a quarter and so on that is not above `of_all`: an exchange then stands for a whole
/// number of exchanges, and estimates are exact sums.
pub fn share(of_all: f64) -> u32 {
    let halves = (0..=LEAST_HALVES).map(|halves| ALL >> halves);
    let mut fitting = halves.filter(|share| f64::from(*share) <= of_all * f64::from(ALL));
    fitting.next().unwrap_or(LEAST)
}

#[cfg(test)]
mod tests {
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
            resident: 0,
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
        after(&mut regulator, &auto, 60, 0.4, 0.5);
        assert_eq!(regulator.keep, ALL, "there is time enough");
        after(&mut regulator, &auto, 40, 0.4, 2.0);
        let used = load(regulator.keep, 0.4, 2.0);
        assert!(
            used.own + used.probes <= 0.1 && regulator.keep >= ALL / 16,
            "{}",
            regulator.keep
        );
        after(&mut regulator, &auto, PATIENCE * 8, 0.4, 0.5);
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
            uses in prop::collection::vec((0.0..64.0, 0.0..64.0, 0_u64..200, any::<bool>()), 0..200),
            auto in any::<bool>(),
        ) {
            let budget = if auto { budget(CpuBudget::Auto) } else { half() };
            let mut regulator = Regulator::default();
            for (own, spare, resident, pressed) in uses {
                if pressed {
                    regulator.press(2.0);
                }
                regulator.look(&Load { own, probes: own / 2.0, spare, cpus: 64.0, resident }, &budget);
                prop_assert!((LEAST..=ALL).contains(&regulator.keep));
                prop_assert!(regulator.keep.is_power_of_two());
            }
        }
    }
}
