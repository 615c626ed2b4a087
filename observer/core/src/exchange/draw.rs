//! Whether a connection is in the share that is observed, and what its exchanges stand for.
//!
//! An exchange on a connection that is observed with probability *p* stands for 1/*p* exchanges (the estimator of
//! Horvitz and Thompson, 1952): summed up over what is observed, that is right on average, whatever
//! the shares were and however many exchanges connections carry. Since a connection is observed with all of its
//! exchanges or with none, the uncertainty is that of connections: each pair of exchanges of one adds to it. Lots are drawn anew
//! in each window of time, so a connection that lasts for several counts as several.

use crate::judged::counts::LeftOut;

/// All connections, as a share in 65 536ths.
pub(crate) const ALL: u32 = 1 << 16;

/// The lot of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    lot: u16,
    /// The smallest share that the lot has been in, in 65 536ths: its chance to be still observed.
    keep: u32,
    /// What the exchanges so far stand for beside themselves.
    beyond: u64,
}

impl Draw {
    /// A connection with this lot that is observed while the share `keep`, in 65 536ths, is.
    #[must_use]
    pub fn new(lot: u16, keep: u32) -> Self {
        Self {
            lot,
            keep: keep.clamp(1, ALL),
            beyond: 0,
        }
    }

    /// It is still observed by what was decided `now`. The same lot means the same window, in which the share only falls;
    /// another one has nothing to do with what was before.
    pub(super) fn renew(&mut self, now: Self) {
        if now.lot == self.lot {
            self.keep = self.keep.min(now.keep);
        } else {
            *self = now;
        }
    }

    /// One more exchange begins on it: what that stands for.
    pub(crate) fn exchange(&mut self) -> LeftOut {
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
            if u32::from(lot * (u16::MAX / LOTS + 1)) >= *share {
                break;
            }
            draw.renew(Draw::new(lot * (u16::MAX / LOTS + 1), *share));
            n += 1;
            sum.add(draw.exchange());
        }
        (n, sum)
    }

    #[test]
    fn what_is_all_observed_stands_for_itself() {
        let mut draw = Draw::new(u16::MAX, ALL);
        assert_eq!(draw.exchange(), LeftOut::default());
    }

    #[test]
    fn what_another_window_decides_has_nothing_to_do_with_what_was_before() {
        let mut draw = Draw::new(3, ALL / 4);
        draw.exchange();
        draw.renew(Draw::new(9, ALL / 2));
        let one = LeftOut {
            count: 1,
            variance: 2,
        };
        assert_eq!(draw.exchange(), one);
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
