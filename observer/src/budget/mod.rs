//! Keeps observing within its budget: above a ceiling fewer connections are observed, or for a part of the time.
//!
//! ```text
//! own time, memory ─┐             ┌─► share of connections ─────────► probes, pipeline
//! probes' time ─────┼─► regulator ┤
//! host's idle time ─┘       ▲     └─► part of the time ─► rounds ─► probes, pipeline
//! room in the ring ─────────┘
//! ```

mod host;
mod pressure;
mod regulator;
mod rounds;
mod toll;
mod usage;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::Host;
use observer_core::engine::Input;
use pressure::{Pressure, Ring};
pub use regulator::Ceiling;
use regulator::{ALL, Load, Regulator, share};
use rounds::Rounds;
pub use rounds::Turn;
use toll::Toll;
pub use usage::Usage;

use crate::cli::budget::{Budget, CpuBudget};
use crate::kernel::Capture;

/// For how long a connection is observed, or not, where only a share is, seconds. By the wall clock, so that all hosts
/// draw the same lots at the same time. A connection that is taken up loses one request.
const WINDOW: u64 = 10;

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

/// Another share of connections is to be observed, or another part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The share from now on, in 65 536ths.
    pub keep: u32,
    /// One in so many parts of the time is to be observed, from the next round on.
    pub every: u32,
    /// The window of time that begins.
    window: u16,
    /// Why the share is another one; nothing if it is not.
    why: Option<Why>,
}

impl Change {
    /// Whether the share is another one, of connections or of the time.
    #[must_use]
    pub fn is_of_share(&self) -> bool {
        self.why.is_some()
    }

    /// Whether some are left out.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.keep < ALL || self.every > 1
    }

    /// Tells it the probes, then the pipeline: what the probes decide by the new share says so itself.
    pub fn apply(&self, capture: &Capture, into: &mut dyn FnMut(Input<'_>)) {
        capture.sample(self.keep, self.window);
        if self.is_of_share() {
            into(Input::Sampling { keep: self.keep });
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Asked,
    Over(Ceiling),
    Room,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Some(Why::Asked) => "as was asked for",
            Some(Why::Over(Ceiling::Cpu | Ceiling::Memory)) => "the budget is used up",
            Some(Why::Over(Ceiling::Ring)) => "the kernel's ring fills",
            Some(Why::Room) => "there is room in the budget again",
            None => "as before",
        };
        let percent = f64::from(self.keep) / f64::from(ALL) * 100.0;
        write!(f, "{why}: {percent:.1} % of connections are observed")?;
        match self.every {
            1 => Ok(()),
            every => write!(f, ", for {:.1} % of the time", 100.0 / f64::from(every)),
        }
    }
}

/// Decides which share of connections is observed.
#[derive(Debug)]
pub struct Governor {
    limits: Arc<Limits>,
    looked: Instant,
    used: Usage,
    host: Host,
    toll: Toll,
    regulator: Regulator,
    rounds: Rounds,
    pressure: Pressure,
    last: Ceiling,
    told: u32,
    every: u32,
    window: u16,
}

impl Governor {
    /// Keeps to `budget`.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let now = Instant::now();
        Self {
            limits: Arc::new(Limits(Mutex::new(budget))),
            looked: now,
            used: Usage::now(),
            host: Host::now(),
            toll: Toll::new(),
            regulator: Regulator::default(),
            rounds: Rounds::new(now),
            pressure: Pressure::default(),
            last: Ceiling::Cpu,
            told: ALL,
            every: 1,
            window: window(),
        }
    }

    /// Keeps to it without pauses, where everything that is logged is wanted.
    #[must_use]
    pub fn without_pauses(mut self) -> Self {
        self.regulator.never_pause();
        self
    }

    /// The limits, for who changes them.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }

    /// Looks whenever records were looked for; tells `over` of each second above a ceiling. Gives the share of
    /// connections that is to be observed from now on, if it or the window is another one.
    pub fn look(&mut self, capture: &Capture, mut over: impl FnMut(Ceiling)) -> Option<Change> {
        let budget = self.limits.get();
        if budget.cpu != CpuBudget::Off {
            match capture.is_paused() {
                true => self.toll.rest(),
                false => self.toll.look(capture),
            }
            let ring = Ring {
                progress: capture.progress(),
                size: capture.ring_bytes(),
                lost: capture.ring_lost(),
            };
            if let Some(times) = self.pressure.look(ring, Instant::now()) {
                over(Ceiling::Ring);
                self.last = Ceiling::Ring;
                self.regulator.press(times);
            }
        }
        if let Some(watched) = self.rounds.is_due(Instant::now()) {
            let load = self.load(watched);
            for ceiling in self.regulator.look(&load, &budget) {
                self.last = ceiling;
                over(ceiling);
            }
        }
        self.tell(&budget)
    }

    /// What is to be done with the probes at system calls; to be asked after each look.
    pub fn turn(&mut self, capture: &Capture) -> Option<Turn> {
        let every = self.regulator.every();
        self.rounds.turn(Instant::now(), every, capture.is_paused())
    }

    /// What was taken since it was looked at last, when system calls were looked at for the part `watched` of the time.
    fn load(&mut self, watched: f64) -> Load {
        let elapsed = self.looked.elapsed();
        let (used, host) = (Usage::now(), Host::now());
        let cores = |now: Duration, before: Duration| {
            now.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64()
        };
        let load = Load {
            own: cores(used.cpu, self.used.cpu),
            seconds: elapsed.as_secs_f64(),
            probes: self.toll.cores() * watched,
            ways: self.toll.ways() * watched,
            spare: cores(host.idle, self.host.idle),
            cpus: host.cpus.into(),
            resident: used.resident,
        };
        (self.looked, self.used, self.host) = (Instant::now(), used, host);
        load
    }

    /// The share falls at once and rises with a new window only: within one, what was left out stays so, as the estimates
    /// take for granted.
    fn tell(&mut self, budget: &Budget) -> Option<Change> {
        let window = window();
        let begins = window != self.window;
        let asked = share(budget.sample.get());
        let keep = self.regulator.keep().min(asked);
        let falls = keep < self.told;
        let rises = keep > self.told && begins;
        let every = self.regulator.every();
        if !(falls || rises || every != self.every || (begins && self.told < ALL)) {
            return None;
        }
        let why = match (falls || every > self.every, rises || every < self.every) {
            (false, false) => None,
            _ if every == self.every && keep == asked && keep < ALL => Some(Why::Asked),
            (true, _) => Some(Why::Over(self.last)),
            (false, true) => Some(Why::Room),
        };
        if falls || rises {
            self.told = keep;
        }
        self.every = every;
        self.window = window;
        Some(Change {
            keep: self.told,
            every,
            window,
            why,
        })
    }
}

/// The number of the present window; it comes again after a week.
fn window() -> u16 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u16::try_from(since.as_secs() / WINDOW % (1 << 16)).unwrap_or(0)
}
