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
use super::model::{Index, SourceKind, State, Unreadable};
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

/// Which messages of a service could not be read, and why: `3 requests from 10.0.0.7: a head of more than 64 KiB`.
fn unreadable(unreadable: &Unreadable) -> String {
    let way = match words::came_in(unreadable.role, unreadable.message) {
        true => "from",
        false => "to",
    };
    let messages = words::unread(unreadable.count, unreadable.message);
    format!(
        "{messages} {way} {}: {}",
        unreadable.peer, unreadable.explanation
    )
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

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::sink::Canvas;

    #[test]
    fn what_could_not_be_read_is_in_every_form() {
        let report = samples::report();
        let forms = [
            terminal(&report, Canvas::default()),
            markdown(&report).unwrap().replace('\\', ""),
            html(&report).unwrap(),
        ];
        for form in forms {
            for said in ["3 requests from 10.0.7.9: ", "3 responses from 10.0.7.9: "] {
                assert!(
                    form.contains(&format!("could not be read: {said}")),
                    "{form}"
                );
            }
        }
    }
}
