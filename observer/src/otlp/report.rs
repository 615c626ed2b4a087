//! What became of what was to be exported: exact counts, and each trouble told once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::cli::export::Signal;
use crate::stderr::say;

/// Counts of one signal.
#[derive(Debug, Default)]
pub struct Counts {
    offered: AtomicU64,
    accepted: AtomicU64,
    overflowed: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
}

/// Counts of one signal at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Made, to be exported.
    pub offered: u64,
    /// Taken by the endpoint.
    pub accepted: u64,
    /// Discarded because too much waited.
    pub overflowed: u64,
    /// Discarded because the endpoint refused the request, or it was too large.
    pub refused: u64,
    /// Rejected by an endpoint that took the rest of their request.
    pub rejected: u64,
}

impl Counted {
    /// Neither taken nor given up.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        let settled = self.accepted + self.overflowed + self.refused + self.rejected;
        self.offered.saturating_sub(settled)
    }

    /// Made, and not taken by the endpoint.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.offered.saturating_sub(self.accepted)
    }
}

impl Counts {
    pub(super) fn offered(&self, n: u64) {
        self.offered.fetch_add(n, Relaxed);
    }

    pub(super) fn accepted(&self, n: u64) {
        self.accepted.fetch_add(n, Relaxed);
    }

    pub(super) fn overflowed(&self, n: u64) {
        self.overflowed.fetch_add(n, Relaxed);
    }

    pub(super) fn refused(&self, n: u64) {
        self.refused.fetch_add(n, Relaxed);
    }

    pub(super) fn rejected(&self, n: u64) {
        self.rejected.fetch_add(n, Relaxed);
    }

    /// The counts now.
    #[must_use]
    pub fn now(&self) -> Counted {
        Counted {
            offered: self.offered.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            refused: self.refused.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}

/// Kinds of trouble; each is told once per signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    Overflow,
    Retry,
    Refused,
    TooLarge,
    Rejected,
    Recovered,
}

/// Says what goes wrong, on standard error, once.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    told: Mutex<HashSet<(String, Trouble)>>,
}

impl Complaints {
    /// Says `what`, unless trouble of this kind with `whom` (a signal, or a place) was told before.
    pub fn tell(&self, whom: &str, trouble: Trouble, what: impl FnOnce() -> String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((whom.to_owned(), trouble)) {
            say(format_args!("export of {}", what()));
        }
    }
}

/// What a signal consists of.
pub(super) fn plural(signal: Signal) -> &'static str {
    match signal {
        Signal::Spans => "spans",
        Signal::Logs => "log records",
        Signal::Metrics => "metrics",
    }
}

/// What is said in the end about a signal, if there is anything to say.
pub(super) fn conclusion(signal: Signal, counted: Counted) -> Option<String> {
    if counted.offered == 0 {
        return None;
    }
    let mut text = format!("{} {}", counted.accepted, plural(signal));
    let reasons = [
        (counted.overflowed, "too many were waiting"),
        (counted.refused, "refused"),
        (counted.rejected, "rejected"),
        (counted.unsent(), "not delivered in time"),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{n} {why}"))
        .collect();
    if !reasons.is_empty() {
        text.push_str(&format!(
            " ({} discarded: {})",
            counted.lost(),
            reasons.join(", ")
        ));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_was_lost_and_why() {
        let counts = Counts::default();
        assert_eq!(conclusion(Signal::Spans, counts.now()), None);
        counts.offered(10);
        counts.accepted(4);
        counts.overflowed(3);
        counts.rejected(1);
        assert_eq!(
            conclusion(Signal::Spans, counts.now()).unwrap(),
            "4 spans (6 discarded: 3 too many were waiting, 1 rejected, 2 not delivered in time)"
        );
    }
}
