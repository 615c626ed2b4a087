//! Wall-clock time of events.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};

use crate::ids::KernelNanos;
use crate::text::serialize_shown;

/// Nanoseconds since 1970-01-01 UTC; printed as RFC 3339 with nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub u64);

/// Ties the kernel's monotonic clock to the wall clock; taken once, when capturing starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// `CLOCK_MONOTONIC` at the anchor.
    pub monotonic: KernelNanos,
    /// Nanoseconds since 1970-01-01 UTC at the same moment.
    pub wall: u64,
}

impl ClockAnchor {
    /// Wall-clock time of `at`.
    #[must_use]
    pub fn wall(self, at: KernelNanos) -> WallTime {
        WallTime(
            self.wall
                .saturating_add(at.0)
                .saturating_sub(self.monotonic.0),
        )
    }
}

/// The last moment of the year 9999, which RFC 3339 can still say.
const LAST: u64 = 253_402_300_799_u64;

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.min(LAST.saturating_mul(1_000_000_000));
        humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanos)).fmt(f)
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}
