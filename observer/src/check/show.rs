//! What a check found, for people.

use super::gate::{Outcome, State, Verdict, What};
use crate::cli::check::Limits;
use crate::sink::Canvas;
use crate::sink::rows::{Row, Tone};
use crate::sink::text::words;

/// What is not as asked for, and the result.
pub(super) fn text(outcome: &Outcome, limits: &Limits, canvas: Canvas) -> String {
    let mut rows = Vec::new();
    for verdict in outcome.verdicts.iter().filter(|v| v.state != State::Clean) {
        self::verdict(verdict, &mut rows);
    }
    let clean = outcome
        .verdicts
        .iter()
        .filter(|v| v.state == State::Clean)
        .count();
    let asked = format!(
        "at most {} % of an edge's calls may lose context, {} % of a service's log events their id",
        words::percent(limits.drops),
        words::percent(limits.unlinked)
    );
    let (word, tone) = match outcome.state() {
        State::Clean => ("check: clean", Tone::Good),
        State::Broken => ("check: broken", Tone::Bad),
        State::Inconclusive => ("check: inconclusive", Tone::Odd),
    };
    let counts = format!("{clean} of {} as asked for", outcome.verdicts.len());
    rows.push(
        Row::new(word, tone)
            .then(&counts, Tone::Plain)
            .then(&asked, Tone::Faint)
            .wrapped(2),
    );
    let mut out = String::new();
    for row in rows {
        row.print(canvas, &mut out);
    }
    out
}

/// What a verdict is about, in words.
pub(super) fn subject(verdict: &Verdict) -> String {
    match &verdict.what {
        What::Calls(peer) => format!("{} → {peer}", verdict.service),
        What::Lines => format!("log of {}", verdict.service),
        What::Enough => verdict.service.clone(),
    }
}

fn verdict(verdict: &Verdict, rows: &mut Vec<Row>) {
    let (sign, tone) = match verdict.state {
        State::Broken => ("✗ ", Tone::Bad),
        _ => ("? ", Tone::Odd),
    };
    rows.push(
        Row::new(sign, tone)
            .and(&subject(verdict), Tone::Strong)
            .then(&verdict.says, tone)
            .wrapped(4),
    );
    for why in &verdict.why {
        for (label, text) in [("why", &why.why), ("fix", &why.fix)] {
            let row = Row::new("    ", Tone::Plain).and(label, Tone::Strong);
            rows.push(row.then(text, Tone::Plain).wrapped(9));
        }
    }
}
