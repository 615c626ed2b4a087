//! When records were lost.

use std::collections::VecDeque;

use crate::ids::KernelNanos;

/// Intervals that are kept apart; beyond that neighbours are merged, which claims more loss than
/// there was, never less.
const MAX_INTERVALS: usize = 64;

/// Intervals within which records were lost, whoever they belonged to.
#[derive(Debug, Default)]
pub struct Losses {
    intervals: VecDeque<(KernelNanos, KernelNanos)>,
}

impl Losses {
    /// Records were lost after `since` and before `until`.
    pub fn add(&mut self, since: KernelNanos, until: KernelNanos) {
        self.intervals.push_back((since, until));
        if self.intervals.len() > MAX_INTERVALS
            && let (Some(a), Some(b)) = (self.intervals.pop_front(), self.intervals.pop_front())
        {
            self.intervals.push_front((a.0.min(b.0), a.1.max(b.1)));
        }
    }

    /// Whether anything may have been lost between two moments.
    #[must_use]
    pub fn overlap(&self, since: KernelNanos, until: KernelNanos) -> bool {
        self.intervals
            .iter()
            .any(|(from, to)| *from <= until && *to >= since)
    }
}
