//! The report for people.

use super::{Report, State};
use crate::sink::Canvas;
use crate::sink::rows::{Row, Tone};

/// Where what was found begins.
const COLUMN: usize = 20;

pub(super) fn text(report: &Report, canvas: Canvas) -> String {
    let mut out = String::new();
    for check in &report.checks {
        let (sign, tone) = match check.state {
            State::Ok => ('✓', Tone::Good),
            State::Note => ('·', Tone::Plain),
            State::Degraded => ('!', Tone::Odd),
            State::Missing => ('✗', Tone::Bad),
        };
        let name = format!("{sign} {:<width$}", check.name, width = COLUMN - 2);
        Row::new(&name, tone)
            .and(&check.found, Tone::Plain)
            .wrapped(COLUMN)
            .print(canvas, &mut out);
        if let Some(advice) = &check.advice {
            Row::new(&" ".repeat(COLUMN), Tone::Plain)
                .and(&format!("→ {advice}"), Tone::Strong)
                .wrapped(COLUMN + 2)
                .print(canvas, &mut out);
        }
    }
    let (words, tone) = match report.result {
        State::Ok | State::Note => ("This host can watch. Try `observer demo`.", Tone::Good),
        State::Degraded => (
            "This host can watch, but not everything; see the lines marked with !.",
            Tone::Odd,
        ),
        State::Missing => (
            "This host can't watch yet; see the lines marked with ✗.",
            Tone::Bad,
        ),
    };
    out.push('\n');
    Row::new("", Tone::Plain)
        .and(words, tone)
        .wrapped(0)
        .print(canvas, &mut out);
    out
}
