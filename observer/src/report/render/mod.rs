//! Forms of a report.

mod csv;
mod graph;
mod html;
mod markdown;
mod terminal;

pub(super) use csv::csv;
pub(super) use html::html;
pub(super) use markdown::markdown;
pub(super) use terminal::terminal;

use observer_core::judged::{LogVerdict, Verdict};

use super::compare::{Change, Subject, Way};
use super::model::{Index, SourceKind, State};
use crate::sink::text::words;

/// `82 of 100 (79–85)`.
fn index(index: Option<&Index>) -> String {
    index.map_or_else(
        || "not known".to_owned(),
        |i| format!("{:.0} of 100 ({:.0}–{:.0})", i.value, i.low, i.high),
    )
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Worse => "worse",
        Way::New => "new",
        Way::Better => "better",
        Way::Gone => "gone",
    }
}

fn subject(change: &Change) -> String {
    match &change.subject {
        Subject::Calls { service, peer } => format!("{service} → {peer}"),
        Subject::Lines { service } => format!("log of {service}"),
    }
}

/// `12 % → 25 % (13 points more, 5–20)`.
fn changed(change: &Change) -> String {
    // What was not judged is not the same as what lost nothing.
    let rate = |rate: Option<observer_core::judged::Rate>| {
        rate.map_or_else(
            || "not known".to_owned(),
            |r| format!("{} % of {}", words::percent(r.rate), words::number(r.n)),
        )
    };
    let mut text = format!("lost {} → {}", rate(change.before), rate(change.now));
    if let Some(d) = change.difference {
        let points = |share: f64| format!("{:+.1}", share * 100.0);
        text.push_str(&format!(
            " ({} points, interval {} to {})",
            points(d.value),
            points(d.low),
            points(d.high)
        ));
    }
    text
}

fn source_kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Recording => "recording",
        SourceKind::Output => "JSON output",
        SourceKind::Agent => "agent",
        SourceKind::Prometheus => "Prometheus",
        SourceKind::Watch => "watch",
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Complete => "complete",
        State::Partial => "partial",
        State::Unreachable => "not read",
    }
}

/// Verdicts that were told, with sign and count.
fn call_marks(counts: &observer_core::judged::Counts<Verdict>) -> Vec<(char, &'static str, u64)> {
    let mark = |(v, n): (&Verdict, &u64)| {
        let mark = crate::sink::text::marks::call(*v);
        (mark.sign, mark.word, *n)
    };
    counts.0.iter().filter(|(_, n)| **n > 0).map(mark).collect()
}

/// The same of logged events.
fn line_marks(
    counts: &observer_core::judged::Counts<LogVerdict>,
) -> Vec<(char, &'static str, u64)> {
    let mark = |(v, n): (&LogVerdict, &u64)| {
        let mark = crate::sink::text::marks::line(*v);
        (mark.sign, mark.word, *n)
    };
    counts.0.iter().filter(|(_, n)| **n > 0).map(mark).collect()
}
