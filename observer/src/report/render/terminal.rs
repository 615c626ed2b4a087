//! For people, in a terminal.

use observer_core::judged::{Counts, LogVerdict, Rate, Verdict};

use super::super::compare::{Comparison, Way};
use super::super::model::{Edge, Report, Service, State, Why};
use super::{changed, index, source_kind, state, subject, unreadable, way};
use crate::sink::Canvas;
use crate::sink::rows::{Row, Tone};
use crate::sink::text::{marks, words};

/// The report as text.
pub(in crate::report) fn terminal(report: &Report, canvas: Canvas) -> String {
    let mut rows = head(report);
    if let Some(comparison) = &report.comparison {
        compared(comparison, &mut rows);
    }
    section("worst edges", &mut rows);
    let lossy = report.edges.iter().filter(|e| e.loss.hits > 0);
    let lossy: Vec<&Edge> = lossy.collect();
    if lossy.is_empty() {
        rows.push(Row::new("no call lost context", Tone::Good));
    }
    for edge in lossy {
        self::edge(edge, &mut rows);
    }
    logs(report, &mut rows);
    section("services", &mut rows);
    for service in &report.services {
        self::service(service, &mut rows);
    }
    section("sources", &mut rows);
    sources(report, &mut rows);
    let mut out = String::new();
    for row in rows {
        row.print(canvas, &mut out);
    }
    out
}

fn section(title: &str, rows: &mut Vec<Row>) {
    rows.push(Row::default());
    rows.push(Row::new(&format!("── {title}"), Tone::Strong));
}

fn head(report: &Report) -> Vec<Row> {
    let fleet = &report.fleet;
    let time = match (report.since, report.until) {
        (Some(since), Some(until)) => format!(
            "{} to {} UTC",
            words::date_and_clock(since),
            words::date_and_clock(until)
        ),
        _ => String::new(),
    };
    let sums = [
        words::count(fleet.services, "service"),
        words::count(fleet.edges, "edge"),
        words::estimated(
            &words::count(fleet.requests, "request"),
            fleet.requests_estimated,
            fleet.requests_not_estimated,
        ),
    ];
    let mut rows = vec![
        Row::new("── propagation report", Tone::Strong).then(&time, Tone::Plain),
        Row::new("propagation index ", Tone::Plain)
            .and(&index(fleet.index.as_ref()), Tone::Strong)
            .then(&sums.join(", "), Tone::Plain),
        rate("context lost on", "calls", fleet.call_loss),
        rate("request's id lost on", "logged events", fleet.line_loss),
    ];
    for warning in &report.warnings {
        rows.push(Row::new("! ", Tone::Odd).and(warning, Tone::Odd).wrapped(2));
    }
    rows
}

fn rate(what: &str, of: &str, rate: Rate) -> Row {
    let tone = match rate.hits {
        0 => Tone::Good,
        _ => Tone::Bad,
    };
    match rate.n {
        0 => Row::new(&format!("no {of} could be judged"), Tone::Faint),
        _ => Row::new(&format!("{what} {}", words::rate(rate)), tone),
    }
}

fn compared(comparison: &Comparison, rows: &mut Vec<Row>) {
    section("since the baseline", rows);
    if comparison.changes.is_empty() {
        let text = format!(
            "nothing changed beyond chance, of {}",
            words::count(comparison.compared, "rate")
        );
        rows.push(Row::new(&text, Tone::Plain));
    }
    for change in &comparison.changes {
        let tone = match change.way {
            Way::Worse | Way::New => Tone::Bad,
            Way::Better => Tone::Good,
            Way::Gone => Tone::Faint,
        };
        let row = Row::new(&format!("{:<7}", way(change.way)), tone)
            .and(&subject(change), Tone::Strong)
            .then(&changed(change), Tone::Plain);
        rows.push(row.wrapped(7));
    }
}

fn edge(edge: &Edge, rows: &mut Vec<Row>) {
    rows.push(
        Row::new("✗ ", Tone::Bad)
            .and(&format!("{} → {}", edge.service, edge.peer), Tone::Strong)
            .then(&format!("lost on {}", words::rate(edge.loss)), Tone::Bad),
    );
    if edge.calls_estimated.is_some() || edge.calls_not_estimated.is_some() {
        let observed = words::count(edge.calls, "call");
        let text = words::estimated(&observed, edge.calls_estimated, edge.calls_not_estimated);
        rows.push(Row::new(&format!("    sampled: {text}"), Tone::Odd).wrapped(4));
    }
    for why in edge.why.iter().filter(|why| why.loss) {
        self::why(why, rows);
    }
}

fn why(why: &Why, rows: &mut Vec<Row>) {
    let text = words::cause(why.count, &why.explanation, &why.routes);
    let mut lines = vec![("why", text), ("fix", why.fix.clone())];
    for example in &why.examples {
        let sample = &example.sample;
        let trace = sample.trace_id.as_deref().unwrap_or("no trace");
        let place = example.link.as_deref().unwrap_or(trace);
        lines.push(("see", format!("{} {} {}", sample.source, sample.id, place)));
    }
    let lines: Vec<_> = lines.iter().map(|(l, t)| (*l, t.as_str())).collect();
    labelled(&lines, rows);
}

fn logs(report: &Report, rows: &mut Vec<Row>) {
    let mut lossy: Vec<&Service> = report
        .services
        .iter()
        .filter(|s| s.line_loss.hits > 0)
        .collect();
    lossy.sort_by(|a, b| {
        b.line_loss
            .hits
            .cmp(&a.line_loss.hits)
            .then_with(|| a.name.cmp(&b.name))
    });
    if lossy.is_empty() {
        return;
    }
    section("logs without their request's id", rows);
    for service in lossy {
        let lost = format!("{} of their events", words::rate(service.line_loss));
        rows.push(
            Row::new("≡ ", Tone::Plain)
                .and(&service.name.to_string(), Tone::Strong)
                .then(&lost, Tone::Bad),
        );
        for why in &service.line_why {
            let text = words::cause(why.count, &why.explanation, &[]);
            labelled(&[("why", &text), ("fix", &why.fix)], rows);
        }
    }
}

/// Texts below what they are about, each after its label.
fn labelled(lines: &[(&str, &str)], rows: &mut Vec<Row>) {
    for (label, text) in lines {
        rows.push(
            Row::new("    ", Tone::Plain)
                .and(label, Tone::Strong)
                .then(text.trim_start(), Tone::Plain)
                .wrapped(9),
        );
    }
}

fn service(service: &Service, rows: &mut Vec<Row>) {
    let runtime = service.runtime.map_or("", words::runtime);
    let served = format!(
        "served {}, {} with a context",
        words::estimated(
            &words::number(service.requests),
            service.requests_estimated,
            service.requests_not_estimated
        ),
        words::number(service.requests_with_context)
    );
    rows.push(
        Row::new(&service.name.to_string(), Tone::Strong)
            .then(runtime, Tone::Faint)
            .then(
                &format!("index {}", index(service.index.as_ref())),
                Tone::Plain,
            )
            .then(&served, Tone::Plain),
    );
    if service.calls > 0 {
        rows.push(calls(&service.call_verdicts));
        if service.calls_estimated.is_some() || service.calls_not_estimated.is_some() {
            let observed = words::count(service.calls, "call");
            let text = words::estimated(
                &observed,
                service.calls_estimated,
                service.calls_not_estimated,
            );
            rows.push(Row::new(&format!("  → sampled: {text}"), Tone::Odd).wrapped(4));
        }
    }
    if service.lines > 0 {
        rows.push(lines(&service.line_verdicts));
    }
    for reason in &service.inconclusive {
        let text = format!(
            "? {} not judged: {}",
            words::number(reason.count),
            reason.reason
        );
        rows.push(
            Row::new("  ", Tone::Plain)
                .and(&text, Tone::Faint)
                .wrapped(4),
        );
    }
    for other in &service.unobserved {
        let unseen = words::unobserved(other.protocol, other.connections);
        let text = format!("  not observed: {unseen}");
        rows.push(Row::new(&text, Tone::Odd));
    }
    for unreadable in &service.unreadable {
        let text = format!("  could not be read: {}", self::unreadable(unreadable));
        rows.push(Row::new(&text, Tone::Odd).wrapped(4));
    }
}

fn calls(counts: &Counts<Verdict>) -> Row {
    let marks = counts.0.iter().map(|(v, n)| (marks::call(*v), *n));
    counted(Row::new("  → calls", Tone::Plain), marks)
}

fn lines(counts: &Counts<LogVerdict>) -> Row {
    let marks = counts.0.iter().map(|(v, n)| (marks::line(*v), *n));
    counted(Row::new("  ≡ log", Tone::Plain), marks)
}

fn counted(row: Row, marks: impl Iterator<Item = (marks::Mark, u64)>) -> Row {
    marks.filter(|(_, n)| *n > 0).fold(row, |row, (mark, n)| {
        let text = format!("{} {} {}", mark.sign, words::number(n), mark.word);
        row.then(&text, mark.tone)
    })
}

fn sources(report: &Report, rows: &mut Vec<Row>) {
    for source in &report.sources {
        let tone = match source.state {
            State::Complete => Tone::Good,
            State::Partial | State::Unreachable => Tone::Odd,
        };
        rows.push(
            Row::new(&source.name, Tone::Plain)
                .then(source_kind(source.kind), Tone::Faint)
                .then(state(source.state), tone),
        );
        for note in &source.notes {
            rows.push(Row::new("  ", Tone::Plain).and(note, Tone::Odd).wrapped(4));
        }
    }
    for lost in &report.losses {
        let text = format!(
            "lost: {}; nothing is accused on lost data",
            words::lost(lost.what, lost.count)
        );
        rows.push(Row::new(&text, Tone::Odd).wrapped(2));
    }
    let records = format!("{} seen", words::count(report.records, "record"));
    rows.push(Row::new(&records, Tone::Faint));
}
