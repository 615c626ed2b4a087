//! When records were lost, or none were made.

use std::collections::VecDeque;

use crate::ids::KernelNanos;

/// Intervals that are kept apart; beyond that neighbours are merged, which claims more blindness than
/// there was, never less.
const MAX_INTERVALS: usize = 64;

/// Why something may not have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Records were lost.
    Lost,
    /// System calls were not observed.
    Paused,
}

/// Intervals within which something may have happened unseen, whoever did it.
#[derive(Debug, Default)]
pub struct Losses {
    lost: Intervals,
    paused: Intervals,
    /// System calls are not observed since then.
    pause: Option<KernelNanos>,
}

#[derive(Debug, Default)]
struct Intervals(VecDeque<(KernelNanos, KernelNanos)>);

impl Losses {
    /// Records were lost after `since` and before `until`.
    pub fn add(&mut self, since: KernelNanos, until: KernelNanos) {
        self.lost.add(since, until);
    }

    /// System calls are not observed after `since`.
    pub fn pause(&mut self, since: KernelNanos) {
        self.pause = Some(since);
    }

    /// They are after `until`.
    pub fn resume(&mut self, until: KernelNanos) {
        if let Some(since) = self.pause.take() {
            self.paused.add(since, until);
        }
    }

    /// Why anything may have happened unseen between two moments, if so.
    #[must_use]
    pub fn overlap(&self, since: KernelNanos, until: KernelNanos) -> Option<Unseen> {
        if self.lost.overlap(since, until) {
            return Some(Unseen::Lost);
        }
        let now = self.pause.is_some_and(|from| from <= until);
        (now || self.paused.overlap(since, until)).then_some(Unseen::Paused)
    }
}

impl Intervals {
    fn add(&mut self, since: KernelNanos, until: KernelNanos) {
        self.0.push_back((since, until));
        if self.0.len() > MAX_INTERVALS
            && let (Some(a), Some(b)) = (self.0.pop_front(), self.0.pop_front())
        {
            self.0.push_front((a.0.min(b.0), a.1.max(b.1)));
        }
    }

    fn overlap(&self, since: KernelNanos, until: KernelNanos) -> bool {
        let mut all = self.0.iter();
        all.any(|(from, to)| *from <= until && *to >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> KernelNanos {
        KernelNanos(nanos)
    }

    #[test]
    fn a_pause_lasts_until_it_ends_and_a_loss_outweighs_it() {
        let mut losses = Losses::default();
        losses.pause(at(10));
        assert_eq!(losses.overlap(at(1), at(9)), None);
        assert_eq!(losses.overlap(at(50), at(60)), Some(Unseen::Paused));
        losses.resume(at(20));
        assert_eq!(losses.overlap(at(21), at(60)), None);
        assert_eq!(losses.overlap(at(15), at(60)), Some(Unseen::Paused));
        losses.add(at(14), at(16));
        assert_eq!(losses.overlap(at(15), at(60)), Some(Unseen::Lost));
    }

    #[test]
    fn of_many_intervals_none_is_forgotten() {
        let mut losses = Losses::default();
        for n in 0..1_000 {
            losses.pause(at(10 * n));
            losses.resume(at(10 * n + 1));
        }
        for n in 0..1_000 {
            assert_eq!(losses.overlap(at(10 * n), at(10 * n)), Some(Unseen::Paused));
        }
        assert_eq!(losses.overlap(at(9_985), at(9_985)), None);
    }
}
