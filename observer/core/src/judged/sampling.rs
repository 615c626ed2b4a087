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
    /// The part of the time in which they are, above 0 and at most 1; in the rest nothing is observed.
    pub watched: f64,
}

/// The shares of connections that were observed, where that were not all all the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// The smallest.
    pub lowest: f64,
    /// The last.
    pub last: f64,
    /// The smallest part of the time in which anything was.
    pub watched_least: f64,
    /// That part in the end.
    pub watched_last: f64,
    /// For how long nothing was, in all, nanoseconds.
    pub paused_ns: u64,
    /// Writes to logs that were left out with the connections that their threads served.
    pub log_writes_left_out: u64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            lowest: 1.0,
            last: 1.0,
            watched_least: 1.0,
            watched_last: 1.0,
            paused_ns: 0,
            log_writes_left_out: 0,
        }
    }
}

impl Shares {
    /// With one more share, which is in force now.
    #[must_use]
    pub fn with(before: Option<Self>, share: f64) -> Self {
        let before = before.unwrap_or_default();
        Self {
            lowest: before.lowest.min(share),
            last: share,
            ..before
        }
    }

    /// With one more pause of `nanos`, after which observing is for the part `watched` of the time.
    #[must_use]
    pub fn paused(before: Option<Self>, nanos: u64, watched: f64) -> Self {
        let before = before.unwrap_or_default();
        Self {
            watched_least: before.watched_least.min(watched),
            watched_last: watched,
            paused_ns: before.paused_ns.saturating_add(nanos),
            ..before
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
                ..Shares::default()
            })
        );
    }

    #[test]
    fn pauses_add_up() {
        let paused = [(7, 0.5), (8, 0.25), (1, 1.0)];
        let kept = paused.into_iter().fold(None, |kept, (nanos, watched)| {
            Some(Shares::paused(kept, nanos, watched))
        });
        assert_eq!(
            kept,
            Some(Shares {
                watched_least: 0.25,
                paused_ns: 16,
                ..Shares::default()
            })
        );
    }
}
