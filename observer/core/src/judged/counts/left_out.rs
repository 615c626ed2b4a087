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

/// System calls that move bytes on connections, while only a share of these was observed. Unlike requests, they are seen on connections that are
/// left out, too; so they tell whether what is observed is like what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reckoned {
    /// Those on connections that were left out.
    pub counted: u64,
    /// How many of these are estimated in the way of [`LeftOut::count`], by the calls on observed connections.
    pub expected: u64,
}

impl Reckoned {
    /// Adds another one, of other calls.
    pub fn add(&mut self, more: Self) {
        self.counted = self.counted.saturating_add(more.counted);
        self.expected = self.expected.saturating_add(more.expected);
    }
}

/// Which number of a [`Reckoned`] something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reckoning {
    /// [`Reckoned::counted`].
    Counted,
    /// [`Reckoned::expected`].
    Expected,
}

impl Reckoning {
    /// A [`Reckoned`] of which only this number is known.
    #[must_use]
    pub fn of(self, n: u64) -> Reckoned {
        match self {
            Self::Counted => Reckoned {
                counted: n,
                expected: 0,
            },
            Self::Expected => Reckoned {
                counted: 0,
                expected: n,
            },
        }
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
