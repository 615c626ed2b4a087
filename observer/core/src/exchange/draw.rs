//! Whether a connection is in the share that is observed, and what its exchanges stand for.
//!
//! An exchange on a connection that is observed with probability *p* stands for 1/*p* exchanges (the estimator of
//! Horvitz and Thompson, 1952): summed up over what is observed, that is right on average, whatever
//! the shares were and however many exchanges connections carry. Since a connection is observed with all of its
//! exchanges or with none, the uncertainty is that of connections: each pair of exchanges of one adds to it.

use crate::judged::counts::LeftOut;

/// All connections, as a share in 65 536ths.
pub(super) const ALL: u32 = 1 << 16;

/// The lot of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    lot: u32,
    /// The smallest share that it has been in, in 65 536ths: its chance to be still observed.
    keep: u32,
    /// What the exchanges so far stand for beside themselves.
    beyond: u64,
}

impl Draw {
    /// A connection that was first seen when the share `keep`, in 65 536ths, was observed.
    #[must_use]
    pub fn new(lot: u16, keep: u32) -> Self {
        Self {
            lot: lot.into(),
            keep: keep.clamp(1, ALL),
            beyond: 0,
        }
    }

    /// Whether it is among those that are observed, now that the share `keep` of connections is.
    pub(super) fn is_among(&mut self, keep: u32) -> bool {
        self.keep = self.keep.min(keep.max(1));
        self.lot < keep
    }

    /// One more exchange begins on it: what that stands for.
    pub(super) fn exchange(&mut self) -> LeftOut {
        let weight = u64::from((ALL + self.keep / 2) / self.keep);
        let count = weight - 1;
        // The covariance with an earlier exchange, which was observed with probability q >= p, is estimated by
        // (1/q - 1)/p; that with itself by (1/p - 1)/p.
        let others = self.beyond.saturating_mul(2);
        let variance = count.saturating_add(others).saturating_mul(weight);
        self.beyond = self.beyond.saturating_add(count);
        LeftOut { count, variance }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares of powers of two are sums of this many lots that are as likely as each other.
    const LOTS: u16 = 1_024;

    /// What connection number `lot` is counted for, when exchanges come under these shares.
    fn told(lot: u16, shares: &[u32]) -> (u64, LeftOut) {
        let mut draw = Draw::new(
            lot * (u16::MAX / LOTS + 1),
            shares.first().copied().unwrap_or(ALL),
        );
        let (mut n, mut sum) = (0, LeftOut::default());
        for share in shares {
            if !draw.is_among(*share) {
                break;
            }
            n += 1;
            sum.add(draw.exchange());
        }
        (n, sum)
    }

    #[test]
    fn what_is_all_observed_stands_for_itself() {
        let mut draw = Draw::new(u16::MAX, ALL);
        assert!(draw.is_among(ALL));
        assert_eq!(draw.exchange(), LeftOut::default());
        assert!(Draw::new(0, 1).is_among(1), "lot 0 is in every share");
    }

    proptest! {
        /// On average over all lots the estimate is the truth, and the estimate of its variance is its variance.
        #[test]
        fn estimates_are_right_on_average(shares in prop::collection::vec((0_u32..=10).prop_map(|half| ALL >> half), 0..12)) {
            let truth = shares.len() as u128;
            let (mut sum, mut squares, mut variances) = (0_u128, 0_u128, 0_u128);
            for lot in 0..LOTS {
                let (n, left_out) = told(lot, &shares);
                let estimate = u128::from(n + left_out.count);
                sum += estimate;
                squares += estimate * estimate;
                variances += u128::from(left_out.variance);
            }
            let lots = u128::from(LOTS);
            prop_assert_eq!(sum, lots * truth);
            prop_assert_eq!(variances, squares - lots * truth * truth);
        }
    }
}
