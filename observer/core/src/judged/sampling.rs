//! Which share of connections was observed.

use serde::Serialize;

use super::WallTime;

/// All connections, as a share in 65 536ths.
const ALL: u32 = 1 << 16;

/// Another share of connections is observed than before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sampling {
    /// From then on.
    pub time: WallTime,
    /// The share, above 0 and at most 1.
    pub share: f64,
}

/// The shares of connections that were observed, where that were not all all the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// The smallest.
    pub lowest: f64,
    /// The last.
    pub last: f64,
    /// Writes to logs that were left out with the connections that their threads served.
    pub log_writes_left_out: u64,
}

impl Shares {
    /// With one more share, which is in force now.
    #[must_use]
    pub fn with(before: Option<Self>, share: f64) -> Self {
        Self {
            lowest: before.map_or(share, |shares| shares.lowest.min(share)),
            last: share,
            log_writes_left_out: 0,
        }
    }
}

/// A share that is given in 65 536ths.
#[must_use]
pub fn share(keep: u32) -> f64 {
    f64::from(keep.clamp(1, ALL)) / f64::from(ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_share_and_the_last_one_are_kept() {
        let shares = [ALL / 2, ALL / 8, ALL / 4].map(share);
        let kept = shares
            .into_iter()
            .fold(None, |kept, share| Some(Shares::with(kept, share)));
        assert_eq!(
            kept,
            Some(Shares {
                lowest: 0.125,
                last: 0.25,
                log_writes_left_out: 0,
            })
        );
    }
}
