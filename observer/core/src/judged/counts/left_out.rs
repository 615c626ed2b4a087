//! What stands for connections that were not observed.

/// Calls or requests that are estimated to have been on connections which were left out by sampling, beside those
/// that were observed. Sums of it are estimates, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The estimated variance of that number.
    pub variance: u64,
}

impl LeftOut {
    /// Adds another one, of other calls or requests.
    pub fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.variance = self.variance.saturating_add(more.variance);
    }
}

/// Which number of a [`LeftOut`] something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// [`LeftOut::count`].
    Count,
    /// [`LeftOut::variance`].
    Variance,
}

impl Measure {
    /// A [`LeftOut`] of which only this number is known.
    #[must_use]
    pub fn of(self, n: u64) -> LeftOut {
        match self {
            Self::Count => LeftOut {
                count: n,
                variance: 0,
            },
            Self::Variance => LeftOut {
                count: 0,
                variance: n,
            },
        }
    }
}
