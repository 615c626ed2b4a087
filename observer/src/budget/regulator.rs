//! Which share of connections, and which part of the time, fits a budget: a function of what was used, second by second.
//!
//! The probes at system calls take their part of every call, observed or not. As long as that is small against the ceiling, a smaller share of
//! connections is observed. Where it is not, it is the time that is shared: for what the probes take of calls that are left out, many times as many can be
//! observed in a part of the time.

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

/// Share of the ceiling that the ways of all calls into the probes may take, before the probes are taken away for a part of
/// the time.
const WAYS: f64 = 0.25;

/// The smallest part of the time in which anything is observed: one in so many.
const MOST_EVERY: u32 = 64;

/// How many calm seconds in a row it takes to observe more.
const PATIENCE: u32 = 15;

/// The most that it takes where more turned out to be too much.
const MOST_PATIENCE: u32 = 240;

/// Of `auto`: the part of the host's processors that is always free to use.
const PART_OF_HOST: f64 = 0.05;

/// Of `auto`: the part of what is idle beyond [`UNEVEN`] that may be used: half of a host on which nothing else runs.
const PART_OF_SPARE: f64 = 2.0 / 3.0;

/// The part of the host's processors that may be idle although services could use all of them, as work is never spread evenly: nginx
/// under wrk left 2 to 19 % of two processors (docs/journal/cost.md). What observing takes is missing there all the same.
const UNEVEN: f64 = 0.25;

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

/// What was taken for some time, and what there is. Processor time is in cores.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How long that was, seconds; where observing is for a part of the time, whole rounds of it.
    pub seconds: f64,
    /// Processor time of the observer itself.
    pub own: f64,
    /// Processor time of its probes.
    pub probes: f64,
    /// Processor time of the ways of system calls into the probes and out again.
    pub ways: f64,
    /// Processor time of the host that nobody used.
    pub spare: f64,
    /// Processors of the host.
    pub cpus: f64,
    /// Resident memory, bytes.
    pub resident: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            seconds: 1.0,
            own: 0.0,
            probes: 0.0,
            ways: 0.0,
            spare: 0.0,
            cpus: 0.0,
            resident: 0,
        }
    }
}

/// Lets the share of connections, or of the time, fall above a ceiling, and doubles it after a calm while.
#[derive(Debug)]
pub struct Regulator {
    keep: u32,
    /// Observing is for one in so many parts of the time.
    every: u32,
    /// Whether it may be for a part only.
    may_pause: bool,
    /// Averages of [`Load`]'s fields.
    own: f64,
    probes: f64,
    ways: f64,
    spare: f64,
    /// For how many seconds there was room.
    calm: f64,
    patience: u32,
    /// The share, of connections and time, that it was last raised to.
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
            every: 1,
            may_pause: true,
            own: 0.0,
            probes: 0.0,
            ways: 0.0,
            spare: 0.0,
            calm: 0.0,
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

    /// Observing is for one in so many parts of the time; a power of two.
    #[must_use]
    pub fn every(&self) -> u32 {
        self.every
    }

    /// Never shares the time.
    pub fn never_pause(&mut self) {
        self.may_pause = false;
    }

    /// What is above its ceiling, after some time with this load.
    pub fn look(&mut self, load: &Load, budget: &Budget) -> Vec<Ceiling> {
        let weight = 1.0 - (1.0 - WEIGHT).powf(load.seconds);
        let average = |average: &mut f64, now: f64| *average += weight * (now - *average);
        average(&mut self.own, load.own);
        average(&mut self.probes, load.probes);
        average(&mut self.ways, load.ways);
        average(&mut self.spare, load.spare);
        let mut over = Vec::new();
        let ceiling = ceiling(budget.cpu, load.cpus, self.spare);
        let now = load.own + load.probes + load.ways;
        // Not for a burst that is over.
        if self.used() > ceiling && now > ceiling {
            over.push(Ceiling::Cpu);
            if self.may_pause && load.ways > ceiling * WAYS && self.every < MOST_EVERY {
                self.pause_more(load.ways / (ceiling * WAYS));
            } else if self.own > ceiling * FIXED && self.may_help(load.own) {
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
                true => self.calm + load.seconds,
                false => 0.0,
            };
            if self.calm >= f64::from(self.patience) {
                self.rise(ceiling);
            }
        } else {
            self.calm = 0.0;
        }
        over
    }

    /// The kernel's ring is about to be too small, or was: so many times too much is written to it.
    pub fn press(&mut self, times: f64) {
        self.fall(halves(times));
        self.calm = 0.0;
    }

    /// Whether a smaller share may lower what the observer itself takes, `own` now. Lines that are to be healed, or that threads
    /// write which serve nobody, are never left out: where it is they that take the time, the last fall has not helped.
    fn may_help(&self, own: f64) -> bool {
        own < self.helped || own >= self.fell * GREW
    }

    /// Whether twice as much would fit.
    fn has_room(&self, load: &Load, budget: &Budget) -> bool {
        let used = self.used();
        let spare = (self.spare - used).max(0.0);
        (self.keep < ALL || self.every > 1)
            && used * 2.0 <= ceiling(budget.cpu, load.cpus, spare) * MARGIN
            && load.resident < budget.memory.0 / 10 * 9
    }

    /// Processor time in all.
    fn used(&self) -> f64 {
        self.own + self.probes + self.ways
    }

    /// The share of what there is that is observed, of connections and time.
    fn level(&self) -> u32 {
        self.keep / self.every
    }

    fn note_fall(&mut self) {
        if self.level() == self.raised {
            // It was too much the last time, too.
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
            self.raised = 0;
        }
    }

    /// Observes for a smaller part of the time, as the ways into the probes alone take so many times too much.
    fn pause_more(&mut self, times: f64) {
        self.note_fall();
        let before = f64::from(self.every);
        while self.every < MOST_EVERY && f64::from(self.every) < before * times {
            self.every *= 2;
        }
        // What it will take, as below.
        for part in [&mut self.own, &mut self.probes, &mut self.ways] {
            *part *= before / f64::from(self.every);
        }
        self.fell = 0.0;
        self.helped = 0.0;
    }

    fn fall(&mut self, halves: u32) {
        self.note_fall();
        let keep = (self.keep >> halves).max(LEAST);
        // What it will take, so that what was used before does not count against the new share.
        self.own *= f64::from(keep) / f64::from(self.keep);
        self.keep = keep;
    }

    fn rise(&mut self, ceiling: f64) {
        let cheap = self.ways * 2.0 <= ceiling * WAYS;
        if self.every > 1 && (cheap || self.keep == ALL) {
            self.every /= 2;
        } else {
            self.keep = (self.keep * 2).min(ALL);
        }
        self.raised = self.level();
        self.fell = 0.0;
        self.calm = 0.0;
    }
}

/// Processor time that may be used, in cores.
fn ceiling(cpu: CpuBudget, cpus: f64, spare: f64) -> f64 {
    match cpu {
        CpuBudget::Auto => {
            let unwanted = (spare - cpus * UNEVEN).max(0.0);
            cpus * PART_OF_HOST + unwanted * PART_OF_SPARE
        }
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
#[path = "regulator_tests.rs"]
mod tests;
