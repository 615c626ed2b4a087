//! Numbers of which only a part was observed.

use crate::judged::Estimate;
use crate::judged::counts::LeftOut;
use crate::judged::wilson::Z;

/// All of what `observed` are a part of, with a 95 % interval (a normal approximation: the sum of many
/// connections); nothing where sampling left out none.
///
/// Connections that were observed tell of those that were not, so the interval is too narrow where very few were,
/// and nothing is known where none was.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates need no more than 53 bits"
)]
pub fn estimate(observed: u64, left_out: LeftOut) -> Option<Estimate> {
    if left_out.count == 0 {
        return None;
    }
    let n = observed.saturating_add(left_out.count);
    let spread = (Z * (left_out.variance as f64).sqrt()).round() as u64;
    Some(Estimate {
        n,
        low: n.saturating_sub(spread).max(observed),
        high: n.saturating_add(spread),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_observed_is_the_least_that_there_was() {
        assert_eq!(estimate(7, LeftOut::default()), None);
        // Each of 100 connections with one call had a chance of one half.
        let half = LeftOut {
            count: 100,
            variance: 200,
        };
        let estimated = estimate(100, half).unwrap();
        assert_eq!(
            (estimated.n, estimated.low, estimated.high),
            (200, 172, 228)
        );
        // One connection with 10 calls says little.
        let one = LeftOut {
            count: 30,
            variance: 1_200,
        };
        let estimated = estimate(10, one).unwrap();
        assert_eq!((estimated.n, estimated.low, estimated.high), (40, 10, 108));
    }
}
