//! Shares, sizes and times, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A share: above 0; `0.25` or `25%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// The whole.
    pub const ALL: Self = Self(1.0);

    /// A share that is known to be above 0; what is not is the whole.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self(if share > 0.0 && share.is_finite() {
            share
        } else {
            1.0
        })
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = match text.trim().strip_suffix('%') {
            Some(digits) => (digits, 100.0),
            None => (text.trim(), 1.0),
        };
        match digits.trim().parse::<f64>() {
            Ok(share) if share > 0.0 && share.is_finite() => Ok(Self(share / unit)),
            _ => Err(format!("`{text}` is no share above 0, like 0.5 or 50%")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1_000.0).round() / 10.0)
    }
}

/// A size in bytes: `512Mi`, `512MiB`, `1G`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units as Kubernetes' quantities have them, longest first.
const UNITS: [(&str, u64); 6] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim();
        let bare = bare.strip_suffix('B').unwrap_or(bare);
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((bare.strip_suffix(name)?, *unit)))
            .unwrap_or((bare, 1));
        let number: Option<u64> = digits.trim().parse().ok();
        match number.and_then(|n| n.checked_mul(unit)) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(format!("`{text}` is no size, like 512Mi or 1G")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 >> 20)
    }
}

/// `30s`, `5m`, `1h 30m`; a plain number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|e| e.to_string()),
    }?;
    if parsed.is_zero() {
        return Err("must be longer than nothing".into());
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_sizes_are_read_as_people_write_them() {
        assert_eq!("25%".parse::<Share>().unwrap().get(), 0.25);
        assert_eq!("0.5".parse::<Share>().unwrap().get(), 0.5);
        assert_eq!("512Mi".parse(), Ok(Size(512 << 20)));
        assert_eq!("512MiB".parse(), Ok(Size(512 << 20)));
        assert_eq!("1G".parse(), Ok(Size(1_000_000_000)));
        assert_eq!("77".parse(), Ok(Size(77)));
        for wrong in ["", "0", "-1", "x", "1e999", "NaN", "99999999999Gi"] {
            assert!(wrong.parse::<Share>().is_err() || wrong == "99999999999Gi");
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
