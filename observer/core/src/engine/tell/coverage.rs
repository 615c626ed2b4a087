//! Tells which share of everything is observed.

use crate::judged::{Sampling, Shares, WallTime, share};

/// The share of connections that is observed, and for which part of the time.
#[derive(Debug)]
pub(super) struct Coverage {
    /// It has changed, which was not told yet.
    changed: bool,
    shares: Option<Shares>,
    /// The part of the time in which anything is observed.
    watched: f64,
    /// Writes to logs that were left out.
    log_writes_left_out: u64,
}

impl Coverage {
    /// All is observed.
    pub(super) fn new() -> Self {
        Self {
            changed: false,
            shares: None,
            watched: 1.0,
            log_writes_left_out: 0,
        }
    }

    /// The share `keep` of connections is observed from now on, in 65 536ths.
    pub(super) fn sampled(&mut self, keep: u32) {
        let share = share(keep);
        if self.share() != share {
            self.changed = true;
            self.shares = Some(Shares::with(self.shares, share));
        }
    }

    /// Nothing was observed for `nanos`; what is from now on is a part of the time, one in `every`.
    pub(super) fn paused(&mut self, nanos: u64, every: u32) {
        let watched = 1.0 / f64::from(every);
        self.shares = Some(Shares::paused(self.shares, nanos, watched));
        self.changed |= self.watched != watched;
        self.watched = watched;
    }

    /// A write to a log is left out with the connection that its thread served.
    pub(super) fn log_left_out(&mut self) {
        self.log_writes_left_out += 1;
    }

    /// What is to be told at `time`, if that has changed.
    pub(super) fn change(&mut self, time: WallTime) -> Option<Sampling> {
        std::mem::take(&mut self.changed).then(|| Sampling {
            time,
            share: self.share(),
            watched: self.watched,
        })
    }

    /// What was observed up to now, unless that was all.
    pub(super) fn shares(&self) -> Option<Shares> {
        self.shares.map(|shares| Shares {
            log_writes_left_out: self.log_writes_left_out,
            ..shares
        })
    }

    fn share(&self) -> f64 {
        self.shares.map_or(1.0, |shares| shares.last)
    }
}
