//! Wall-clock time of events.

use std::fmt;

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

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (year, month, day) = date(seconds / 86_400);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (field, value) in [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, seconds / 3_600 % 24),
            (14..16, seconds / 60 % 60),
            (17..19, seconds % 60),
            (20..29, nanos),
        ] {
            decimal(&mut text[field], value);
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// Writes the last digits of `value`, as many as there is room for.
fn decimal(room: &mut [u8], mut value: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Counts in eras of 400 years and in years that begin with March, so that a leap day is the last day
/// of its year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, after) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (era * 400 + year + after, month, day)
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_written_as_humantime_writes_them(nanos: u64) {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            let expected = humantime::format_rfc3339_nanos(time).to_string();
            prop_assert_eq!(WallTime(nanos).to_string(), expected);
        }
    }
}
