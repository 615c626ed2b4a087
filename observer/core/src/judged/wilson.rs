//! Rates with intervals.

use super::Rate;

/// 97.5 % quantile of the standard normal distribution, for a two-sided 95 % interval.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// `hits` of `n` with its Wilson score interval (Wilson 1927, without continuity correction).
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 do not occur"
)]
pub fn rate(hits: u64, n: u64) -> Rate {
    if n == 0 {
        return Rate {
            hits,
            n,
            rate: 0.0,
            low: 0.0,
            high: 1.0,
        };
    }
    let (count, p) = (n as f64, hits as f64 / n as f64);
    let denominator = 1.0 + Z * Z / count;
    let center = (p + Z * Z / (2.0 * count)) / denominator;
    let spread = Z * (p * (1.0 - p) / count + Z * Z / (4.0 * count * count)).sqrt() / denominator;
    Rate {
        hits,
        n,
        rate: p,
        // Where all or none were counted, an end is the rate itself, but for the last bits of a float.
        low: (center - spread).clamp(0.0, p),
        high: (center + spread).clamp(p, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn published_values() {
        // Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, and 0 of 20.
        let r = rate(81, 263);
        assert!(
            (r.low - 0.2553).abs() < 1e-4 && (r.high - 0.3662).abs() < 1e-4,
            "{r:?}"
        );
        let r = rate(0, 20);
        assert!(
            r.low.abs() < 1e-12 && (r.high - 0.1611).abs() < 1e-4,
            "{r:?}"
        );
    }

    #[test]
    fn the_rate_is_in_its_interval() {
        for n in 1..400 {
            for hits in [0, 1, n / 2, n - 1, n] {
                let r = rate(hits, n);
                assert!((r.low..=r.high).contains(&r.rate), "{r:?}");
            }
            assert_eq!((rate(0, n).low, rate(n, n).high), (0.0, 1.0));
        }
    }

    #[test]
    fn nothing_counted_says_nothing() {
        let r = rate(0, 0);
        assert_eq!((r.low, r.high), (0.0, 1.0));
    }
}
