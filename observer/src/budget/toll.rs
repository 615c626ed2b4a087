//! What the probes take of the host's processors.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

use crate::kernel::Capture;

/// How long the kernel measures at a time: it reads the clock twice for each run of a program meanwhile, so it is asked
/// to for a small part of the time only.
const MEASURED: Duration = Duration::from_millis(50);

/// How long it does not.
const PAUSE: Duration = Duration::from_millis(950);

/// Measures it now and then.
#[derive(Debug)]
pub struct Toll {
    state: State,
    cores: f64,
}

#[derive(Debug)]
enum State {
    Resting {
        since: Instant,
    },
    Measuring {
        since: Instant,
        nanos: u64,
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
        }
    }

    /// In cores, as measured last; the readings of the clock stand for the ways in and out, which are not measured. 0
    /// where the kernel does not measure.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Begins or ends to measure, if it is time to.
    pub fn look(&mut self, capture: &Capture) {
        match &self.state {
            State::Resting { since } if since.elapsed() >= PAUSE => {
                self.state = match enable_stats(Stats::RunTime) {
                    Ok(enabled) => State::Measuring {
                        since: Instant::now(),
                        nanos: capture.probe_nanos(),
                        _enabled: enabled,
                    },
                    Err(_) => State::Refused,
                };
            }
            State::Measuring { since, nanos, .. } if since.elapsed() >= MEASURED => {
                let took = capture.probe_nanos().saturating_sub(*nanos);
                self.cores =
                    Duration::from_nanos(took).as_secs_f64() / since.elapsed().as_secs_f64();
                self.state = State::Resting {
                    since: Instant::now(),
                };
            }
            _ => {}
        }
    }
}
