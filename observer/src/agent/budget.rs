//! Keeps the agent within its budget: above a ceiling it observes fewer connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::board::{Board, Ceiling};
use super::usage::Usage;
use crate::cli::agent::Budget;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Weight of the last second in the average of processor time: about five seconds count.
const WEIGHT: f64 = 0.2;

/// All connections.
const ALL: u32 = 1 << 16;

/// How often the share of connections may be halved.
const LEAST_HALVES: u32 = 10;

/// The smallest share of connections: 1 in 1024.
const LEAST: u32 = ALL >> LEAST_HALVES;

/// Share of the ceiling below which more is observed again, so that twice as much still fits.
const CALM: f64 = 0.4;

/// How many calm looks in a row it takes to observe more.
const PATIENCE: u32 = 15;

/// The budget in force, which a reload replaces.
#[derive(Debug)]
pub struct Limits(Mutex<Budget>);

impl Limits {
    /// Puts a budget into force.
    pub fn set(&self, budget: Budget) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = budget;
    }

    fn get(&self) -> Budget {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides which share of connections is observed.
#[derive(Debug)]
pub struct Governor {
    limits: Arc<Limits>,
    board: Arc<Board>,
    looked: Instant,
    used: Usage,
    regulator: Regulator,
    told: u32,
}

impl Governor {
    /// Keeps to `budget`, and tells `board`.
    #[must_use]
    pub fn new(budget: Budget, board: Arc<Board>) -> Self {
        Self {
            limits: Arc::new(Limits(Mutex::new(budget))),
            board,
            looked: Instant::now(),
            used: Usage::now(),
            regulator: Regulator::default(),
            told: ALL,
        }
    }

    /// The limits, for who changes them.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }

    /// Looks, if it is time to; gives the share of connections that is to be observed from now on, in 65 536ths,
    /// if it is another one.
    pub fn look(&mut self) -> Option<u32> {
        let elapsed = self.looked.elapsed();
        if elapsed < LOOK_EVERY {
            // What the configuration says holds at once.
            return self.tell(self.limits.get());
        }
        let used = Usage::now();
        let cpu = used.cpu.saturating_sub(self.used.cpu).as_secs_f64() / elapsed.as_secs_f64();
        (self.looked, self.used) = (Instant::now(), used);
        let budget = self.limits.get();
        let over = self.regulator.look(cpu, used.resident, &budget);
        for ceiling in over {
            self.board.over(ceiling);
        }
        self.tell(budget)
    }

    fn tell(&mut self, budget: Budget) -> Option<u32> {
        let wanted = share(budget.sample.get());
        let keep = self.regulator.keep.min(wanted);
        if keep == self.told {
            return None;
        }
        let fewer = keep < self.told;
        self.told = keep;
        self.board.set_keep(keep);
        self.board.note(SAMPLED, keep < ALL);
        let percent = f64::from(keep) / f64::from(ALL) * 100.0;
        let why = if keep == wanted && keep < ALL {
            "as budget.sample says"
        } else if fewer {
            "the budget is used up"
        } else {
            "there is room in the budget again"
        };
        eprintln!("observer: {why}: {percent:.1} % of new connections are observed");
        Some(keep)
    }
}

/// Shown while not everything is observed.
const SAMPLED: &str = "only a share of connections is observed: counts are of that share, and of the rest there are estimates";

/// The largest of all, a half, a quarter and so on that is not above `of_all`: an exchange then stands for a whole
/// number of exchanges, and estimates are exact sums.
fn share(of_all: f64) -> u32 {
    let halves = (0..=LEAST_HALVES).map(|halves| ALL >> halves);
    let mut fitting = halves.filter(|share| f64::from(*share) <= of_all * f64::from(ALL));
    fitting.next().unwrap_or(LEAST)
}

/// Halves the share of connections each second above a ceiling, and doubles it after a calm while.
#[derive(Debug)]
struct Regulator {
    keep: u32,
    cpu: f64,
    calm: u32,
}

impl Default for Regulator {
    fn default() -> Self {
        Self {
            keep: ALL,
            cpu: 0.0,
            calm: 0,
        }
    }
}

impl Regulator {
    /// What is above its ceiling, after a second with this use.
    fn look(&mut self, cpu: f64, memory: u64, budget: &Budget) -> Vec<Ceiling> {
        self.cpu += WEIGHT * (cpu - self.cpu);
        let mut over = Vec::new();
        if self.cpu > budget.cpu.get() {
            over.push(Ceiling::Cpu);
        }
        if memory > budget.memory.0 {
            over.push(Ceiling::Memory);
        }
        let room = budget.memory.0 / 10 * 9;
        if !over.is_empty() {
            self.keep = (self.keep / 2).max(LEAST);
            self.calm = 0;
        } else if self.keep < ALL && self.cpu < budget.cpu.get() * CALM && memory < room {
            self.calm += 1;
            if self.calm >= PATIENCE {
                self.keep = (self.keep * 2).min(ALL);
                self.calm = 0;
            }
        } else {
            self.calm = 0;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::agent::{Share, Size};

    fn budget() -> Budget {
        Budget {
            cpu: Share::new(0.5),
            memory: Size(100),
            sample: Share::ALL,
        }
    }

    #[test]
    fn above_a_ceiling_less_is_observed_until_it_fits_and_then_more_again() {
        // Costs are a fixed part and one in proportion to what is observed.
        let mut regulator = Regulator::default();
        let cost = |keep: u32, load: f64| 0.02 + load * f64::from(keep) / f64::from(ALL);
        for _ in 0..120 {
            let cpu = cost(regulator.keep, 4.0);
            regulator.look(cpu, 0, &budget());
        }
        assert!(cost(regulator.keep, 4.0) <= 0.5, "{}", regulator.keep);
        assert!(regulator.keep > LEAST);
        for _ in 0..PATIENCE * 12 {
            let cpu = cost(regulator.keep, 0.1);
            regulator.look(cpu, 0, &budget());
        }
        assert_eq!(regulator.keep, ALL);
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
        assert_eq!(regulator.look(0.0, 101, &budget()), [Ceiling::Memory]);
        assert_eq!(regulator.keep, ALL / 2);
        for _ in 0..PATIENCE * 2 {
            regulator.look(0.0, 95, &budget());
        }
        assert_eq!(regulator.keep, ALL / 2, "too close to the ceiling");
    }

    proptest! {
        #[test]
        fn the_share_stays_within_its_bounds(uses in prop::collection::vec((0.0..64.0, 0_u64..200), 0..200)) {
            let mut regulator = Regulator::default();
            for (cpu, memory) in uses {
                regulator.look(cpu, memory, &budget());
                prop_assert!((LEAST..=ALL).contains(&regulator.keep));
            }
        }
    }
}
