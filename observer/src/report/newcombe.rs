//! Intervals of differences of rates.

use observer_core::judged::Rate;
use serde::{Deserialize, Serialize};

/// A difference of two rates, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The later rate less the earlier one.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// `now − before`, with the hybrid score interval of Newcombe (1998, Statistics in Medicine 17:873–890, method 10).
/// `z` is the quantile of the normal distribution for one side of the interval.
pub(super) fn difference(before: Rate, now: Rate, z: f64) -> Difference {
    let (p1, low1, high1) = score(now, z);
    let (p2, low2, high2) = score(before, z);
    let value = p1 - p2;
    Difference {
        value,
        low: value - ((p1 - low1).powi(2) + (high2 - p2).powi(2)).sqrt(),
        high: value + ((high1 - p1).powi(2) + (p2 - low2).powi(2)).sqrt(),
    }
}

/// A rate with its Wilson score interval for any `z`.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 do not occur"
)]
fn score(rate: Rate, z: f64) -> (f64, f64, f64) {
    let n = rate.n.max(1) as f64;
    let p = (rate.hits as f64 / n).clamp(0.0, 1.0);
    let denominator = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / denominator;
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / denominator;
    (p, (center - spread).max(0.0), (center + spread).min(1.0))
}

/// Quantile of the standard normal distribution for `0.5 ≤ p < 1`, to 4.5e-4 (Abramowitz and Stegun, 26.2.23).
pub(super) fn quantile(p: f64) -> f64 {
    let t = (-2.0 * (1.0 - p).ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - top / bottom
}

#[cfg(test)]
mod tests {
    use observer_core::summary::rate;

    use super::*;

    #[test]
    fn published_intervals() {
        // Newcombe 1998, table II, method 10.
        for ((a, m), (b, n), low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            let d = difference(rate(b, n), rate(a, m), 1.959_964);
            assert!(
                (d.low - low).abs() < 1e-4 && (d.high - high).abs() < 1e-4,
                "{d:?}"
            );
        }
    }

    #[test]
    fn published_quantiles() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_964),
            (0.999_5, 3.290_527),
            (0.999_999, 4.753_424),
        ] {
            assert!((quantile(p) - z).abs() < 4.5e-4, "{p}");
        }
    }
}
