//! Numbers of which only a part was observed.
//!
//! What stands for the connections that were left out is estimated by those that were observed ([`LeftOut`]), and so is the uncertainty: a few
//! busy connections that were all left out show in neither. But system calls are counted on connections that are left out, too, and
//! there are more of them where there are more requests. So they are the auxiliary variable of a ratio estimate (Cochran, *Sampling
//! Techniques*, 3rd ed. 1977, chapter 6): estimated in the same way by the same connections, they miss their count as the requests miss theirs. The
//! ratio estimate itself is not told, as connections differ in how many calls a request takes, and of those that were all left out
//! nothing says in how many. It is the estimate's check: one that it does not bear out is
//! not told.

use crate::judged::counts::{LeftOut, Reckoned};
use crate::judged::wilson::Z;
use crate::judged::{Estimate, NoEstimate, NotEstimated};

/// How many standard deviations an estimate may be away from what system calls say: chance alone takes it farther once in 370 times.
const PLAUSIBLE: f64 = 3.0;

/// By how much farther than system calls say the interval reaches: a request may take so many times fewer calls on the connections that
/// make the difference than on others. From two calls, a read and a write, to four and a half is usual, which is not all of the difference where some
/// busy connections were drawn and others not.
const REACH: f64 = 3.0;

/// How many of something there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// As many as were observed: sampling left out none.
    #[default]
    Observed,
    /// More, by estimate.
    Estimated(Estimate),
    /// That is not known.
    Unknown(NotEstimated),
}

impl Extent {
    /// The estimate, or why there is none; neither where all were observed.
    #[must_use]
    pub fn told(self) -> (Option<Estimate>, Option<NotEstimated>) {
        match self {
            Self::Observed => (None, None),
            Self::Estimated(estimate) => (Some(estimate), None),
            Self::Unknown(why) => (None, Some(why)),
        }
    }
}

/// All of what `observed` are a part of, with a 95 % interval (a normal approximation: the sum of many connections). The interval reaches to three times
/// what system calls say is missing, or too much; where that is not plausible, nothing is told.
///
/// Without a count of calls, as in recordings before version 4, the estimate is told as it is.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "estimates need no more than 53 bits"
)]
pub fn extent(observed: u64, left_out: LeftOut, reckoned: Reckoned) -> Extent {
    if reckoned.expected == 0 && reckoned.counted > 0 {
        return unknown(NoEstimate::NoneObserved, reckoned);
    }
    if left_out.count == 0 {
        return Extent::Observed;
    }
    let (count, deviation) = (left_out.count as f64, (left_out.variance as f64).sqrt());
    let by_calls = match reckoned.expected {
        0 => count,
        expected => count * (reckoned.counted as f64 / expected as f64),
    };
    let missing = by_calls - count;
    if missing.abs() > PLAUSIBLE * deviation {
        return unknown(NoEstimate::CallsDisagree, reckoned);
    }
    let (low, high) = (count - Z * deviation, count + Z * deviation);
    let all = |left_out: f64| observed.saturating_add(left_out.round() as u64);
    Extent::Estimated(Estimate {
        n: observed.saturating_add(left_out.count),
        low: all(low.min(count + REACH * missing)),
        high: all(high.max(count + REACH * missing)),
    })
}

/// It is not known, for this reason, of what calls came to `reckoned`.
pub(super) fn unknown(reason: NoEstimate, reckoned: Reckoned) -> Extent {
    Extent::Unknown(NotEstimated {
        reason,
        counted: reckoned.counted,
        expected: reckoned.expected,
    })
}

#[cfg(test)]
mod tests;
