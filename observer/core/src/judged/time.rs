//! Wall-clock time of events.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::KernelNanos;
use crate::text::{Text, serialize_shown};

/// Nanoseconds since 1970-01-01 UTC; printed as RFC 3339 with nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(de::Error::custom)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(de::Error::custom)?;
        let nanos = u64::try_from(since.as_nanos()).map_err(de::Error::custom)?;
        Ok(Self(nanos))
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::WallTime;

    #[test]
    fn what_is_written_is_read() {
        let time = WallTime(1_795_234_595_123_456_789);
        let json = serde_json::to_string(&time).unwrap_or_default();
        assert_eq!(json, "\"2026-11-21T04:16:35.123456789Z\"");
        assert_eq!(serde_json::from_str::<WallTime>(&json).ok(), Some(time));
        for wrong in ["\"tomorrow\"", "5", "\"1869-01-01T00:00:00Z\""] {
            assert!(serde_json::from_str::<WallTime>(wrong).is_err(), "{wrong}");
        }
    }
}
