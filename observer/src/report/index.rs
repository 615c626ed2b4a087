//! The propagation index (docs/report.md).

use observer_core::judged::{Counts, LogVerdict, Rate, Verdict};
use observer_core::summary::rate;

use super::model::Index;

/// What calls weigh against lines: a lost call breaks the trace for everything behind it, a lost line
/// is lost alone.
const CALLS: f64 = 3.0;
const LINES: f64 = 1.0;

/// `100 × (3 C + L) / 4`, where C is the share of judged calls that carry the context on and L that of judged lines
/// that carry their request's id; where only one of them could be judged, that one. Nothing if neither could.
pub(super) fn index(calls: &Counts<Verdict>, lines: &Counts<LogVerdict>) -> Option<Index> {
    let c = rate(calls.of(Verdict::is_loss), calls.of(Verdict::is_judged));
    let l = rate(
        lines.of(LogVerdict::is_loss),
        lines.of(LogVerdict::is_judged),
    );
    let parts: Vec<(f64, Rate)> = [(CALLS, c), (LINES, l)]
        .into_iter()
        .filter(|(_, rate)| rate.n > 0)
        .collect();
    let weights: f64 = parts.iter().map(|(weight, _)| weight).sum();
    let mean = |of: fn(&Rate) -> f64| {
        let kept = parts.iter().map(|(weight, rate)| weight * (1.0 - of(rate)));
        100.0 * kept.sum::<f64>() / weights
    };
    let doubtful = calls
        .of(|v| v == Verdict::Inconclusive)
        .saturating_add(lines.of(|v| v == LogVerdict::Inconclusive));
    let judged = c.n.saturating_add(l.n);
    (!parts.is_empty()).then(|| Index {
        value: mean(|r| r.rate),
        low: mean(|r| r.high),
        high: mean(|r| r.low),
        judged: rate(judged, judged.saturating_add(doubtful)).rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(counts: &[(Verdict, u64)]) -> Counts<Verdict> {
        Counts(counts.iter().copied().collect())
    }

    fn lines(counts: &[(LogVerdict, u64)]) -> Counts<LogVerdict> {
        Counts(counts.iter().copied().collect())
    }

    #[test]
    fn calls_weigh_three_times_what_lines_do() {
        let calls = calls(&[
            (Verdict::Propagated, 60),
            (Verdict::Dropped, 20),
            (Verdict::Originated, 99),
            (Verdict::Inconclusive, 100),
        ]);
        let lines = lines(&[(LogVerdict::Linked, 50), (LogVerdict::Missing, 50)]);
        let told = index(&calls, &lines).unwrap();
        assert!((told.value - (3.0 * 75.0 + 50.0) / 4.0).abs() < 1e-9);
        assert!(told.low < told.value && told.value < told.high);
        assert!((told.judged - 180.0 / 280.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_not_judged_has_no_part_in_it() {
        let lost = lines(&[(LogVerdict::Missing, 1)]);
        assert!(index(&calls(&[]), &lost).unwrap().value.abs() < 1e-9);
        let unknown = calls(&[(Verdict::Inconclusive, 9), (Verdict::Absent, 9)]);
        assert!(index(&unknown, &lines(&[])).is_none());
    }
}
