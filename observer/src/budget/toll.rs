//! What the probes take of the host's processors.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

use crate::kernel::{Capture, Runs};

/// How long the kernel measures at a time: it reads the clock twice for each run of a program meanwhile, so it is asked
/// to for a small part of the time only.
const MEASURED: Duration = Duration::from_millis(50);

/// How long it does not.
const PAUSE: Duration = Duration::from_millis(950);

/// What a run of a program at a system call takes on its way there and back, which the kernel does not count: so much of a call's time is more with two
/// programs that do nothing, for each of them (docs/journal/cost.md).
const WAY: Duration = Duration::from_nanos(120);

/// Measures it now and then, while system calls are looked at.
#[derive(Debug)]
pub struct Toll {
    state: State,
    cores: f64,
    ways: f64,
}

#[derive(Debug)]
enum State {
    Resting {
        since: Instant,
    },
    Measuring {
        since: Instant,
        runs: Runs,
        _enabled: OwnedFd,
    },
    /// The kernel does not: that needs `CAP_SYS_ADMIN`.
    Refused,
}

impl Toll {
    /// Begins with a pause.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Resting {
                since: Instant::now(),
            },
            cores: 0.0,
            ways: 0.0,
        }
    }

    /// Of the programs, in cores, as measured last while system calls were looked at. 0 where the kernel does not measure.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Of the ways of system calls into them and out, in cores, likewise.
    #[must_use]
    pub fn ways(&self) -> f64 {
        self.ways
    }

    /// System calls will not be looked at: ends a measurement.
    pub fn rest(&mut self) {
        if let State::Measuring { .. } = self.state {
            self.state = State::Resting {
                since: Instant::now(),
            };
        }
    }

    /// Begins or ends to measure, if it is time to.
    pub fn look(&mut self, capture: &Capture) {
        match &self.state {
            State::Resting { since } if since.elapsed() >= PAUSE => {
                self.state = match enable_stats(Stats::RunTime) {
                    Ok(enabled) => State::Measuring {
                        since: Instant::now(),
                        runs: capture.runs(),
                        _enabled: enabled,
                    },
                    Err(_) => State::Refused,
                };
            }
            State::Measuring { since, runs, .. } if since.elapsed() >= MEASURED => {
                let (now, seconds) = (capture.runs(), since.elapsed().as_secs_f64());
                let took = Duration::from_nanos(now.nanos.saturating_sub(runs.nanos));
                let ran = now.at_calls.saturating_sub(runs.at_calls);
                self.cores = took.as_secs_f64() / seconds;
                self.ways = WAY.as_secs_f64() * ran as f64 / seconds;
                self.state = State::Resting {
                    since: Instant::now(),
                };
            }
            _ => {}
        }
    }
}
