//! For issues and chats.

use std::fmt::{self, Write as _};

use super::super::model::{Edge, Report, Service};
use super::{changed, index, source_kind, state, subject, unreadable, way};
use crate::sink::text::words;

/// Edges that are described; the table of a large fleet is for JSON and CSV.
const EDGES: usize = 50;

/// The report as Markdown (CommonMark with tables).
pub(in crate::report) fn markdown(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::from("# Propagation report\n\n");
    let fleet = &report.fleet;
    if let (Some(since), Some(until)) = (report.since, report.until) {
        let (since, until) = (words::date_and_clock(since), words::date_and_clock(until));
        writeln!(out, "{since} to {until} UTC.\n")?;
    }
    writeln!(
        out,
        "**Propagation index {}**\n",
        index(fleet.index.as_ref())
    )?;
    writeln!(
        out,
        "{}, {}. Context lost on {}. Request's id lost in logs on {}.\n",
        words::count(fleet.services, "service"),
        words::count(fleet.edges, "edge"),
        words::rate(fleet.call_loss),
        words::rate(fleet.line_loss)
    )?;
    let estimated = fleet.requests_estimated.is_some() || fleet.calls_estimated.is_some();
    let unknown = fleet.requests_not_estimated.is_some() || fleet.calls_not_estimated.is_some();
    if estimated || unknown {
        let calls = words::count(fleet.calls.of(|_| true), "call");
        writeln!(
            out,
            "Sampled: {}, {}.\n",
            words::estimated(
                &words::count(fleet.requests, "request"),
                fleet.requests_estimated,
                fleet.requests_not_estimated
            ),
            words::estimated(&calls, fleet.calls_estimated, fleet.calls_not_estimated)
        )?;
    }
    for warning in &report.warnings {
        writeln!(out, "> {}\n", escaped(warning))?;
    }
    comparison(report, &mut out)?;
    edges(report, &mut out)?;
    services(report, &mut out)?;
    sources(report, &mut out)?;
    Ok(out)
}

fn comparison(report: &Report, out: &mut String) -> fmt::Result {
    let Some(comparison) = &report.comparison else {
        return Ok(());
    };
    writeln!(out, "## Since the baseline\n")?;
    if comparison.changes.is_empty() {
        writeln!(out, "Nothing changed beyond chance.\n")?;
    }
    for change in &comparison.changes {
        let (way, subject) = (way(change.way), escaped(&subject(change)));
        writeln!(out, "- **{way}** {subject}: {}", changed(change))?;
    }
    writeln!(out)
}

fn edges(report: &Report, out: &mut String) -> fmt::Result {
    writeln!(out, "## Worst edges\n")?;
    let lossy: Vec<&Edge> = report.edges.iter().filter(|e| e.loss.hits > 0).collect();
    if lossy.is_empty() {
        return writeln!(out, "No call lost context.\n");
    }
    writeln!(out, "| edge | lost | why | fix |\n|---|---|---|---|")?;
    for edge in lossy.iter().take(EDGES) {
        let why = edge.why.iter().find(|why| why.loss);
        let mut cause = why.map_or_else(String::new, |w| escaped(&w.explanation));
        if let Some(why) = why.filter(|w| !w.routes.is_empty()) {
            write!(cause, ": {}", escaped(&why.routes.join(", ")))?;
        }
        writeln!(
            out,
            "| {} → {} | {} | {cause} | {} |",
            escaped(&edge.service.to_string()),
            escaped(&edge.peer.to_string()),
            words::rate(edge.loss),
            why.map_or_else(String::new, |w| escaped(&w.fix)),
        )?;
    }
    if lossy.len() > EDGES {
        writeln!(out, "\n{} more edges lose context.", lossy.len() - EDGES)?;
    }
    writeln!(out)
}

fn services(report: &Report, out: &mut String) -> fmt::Result {
    writeln!(out, "## Services\n")?;
    writeln!(
        out,
        "| service | runtime | index | calls lost | log events lost | not judged |\n|---|---|---|---|---|---|"
    )?;
    for service in &report.services {
        let rate = |rate: observer_core::judged::Rate| match rate.n {
            0 => "–".to_owned(),
            _ => words::rate(rate),
        };
        let doubt = service
            .inconclusive
            .iter()
            .map(|r| r.count)
            .fold(0, u64::saturating_add);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            escaped(&service.name.to_string()),
            service.runtime.map_or("", words::runtime),
            index(service.index.as_ref()),
            rate(service.call_loss),
            rate(service.line_loss),
            words::number(doubt),
        )?;
    }
    writeln!(out)?;
    logs(report, out)?;
    unobserved(report, out)
}

fn logs(report: &Report, out: &mut String) -> fmt::Result {
    if report.services.iter().all(|s| s.line_why.is_empty()) {
        return Ok(());
    }
    writeln!(out, "## Logs without their request's id\n")?;
    writeln!(out, "| service | events | why | fix |\n|---|---|---|---|")?;
    for service in &report.services {
        for why in &service.line_why {
            writeln!(
                out,
                "| {} | {} | {} | {} |",
                escaped(&service.name.to_string()),
                words::number(why.count),
                escaped(&why.explanation),
                escaped(&why.fix),
            )?;
        }
    }
    writeln!(out)
}

fn unobserved(report: &Report, out: &mut String) -> fmt::Result {
    let unseen =
        |service: &Service| !(service.unobserved.is_empty() && service.unreadable.is_empty());
    if !report.services.iter().any(unseen) {
        return Ok(());
    }
    writeln!(out, "## Not observed\n")?;
    for service in &report.services {
        let name = escaped(&service.name.to_string());
        for other in &service.unobserved {
            let unseen = words::unobserved(other.protocol, other.connections);
            writeln!(out, "- {name}: {unseen}")?;
        }
        for messages in &service.unreadable {
            let unseen = escaped(&unreadable(messages));
            writeln!(out, "- {name}: could not be read: {unseen}")?;
        }
    }
    writeln!(out)
}

fn sources(report: &Report, out: &mut String) -> fmt::Result {
    writeln!(out, "## Sources\n")?;
    for source in &report.sources {
        write!(
            out,
            "- {} ({}): {}",
            escaped(&source.name),
            source_kind(source.kind),
            state(source.state)
        )?;
        for note in &source.notes {
            write!(out, "; {}", escaped(note))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Text that Markdown shows as it is: every punctuation character may be escaped (CommonMark 2.4).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '.' | ':' | ';' | '/' | '-' | '%') {
            out.push('\\');
        }
        out.push(c);
    }
    // Bare addresses become links, too.
    out.replace("://", "&#58;//")
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn names_make_neither_markup_nor_columns() {
        assert_eq!(escaped("a|b<img>[x](y)`"), r"a\|b\<img\>\[x\]\(y\)\`");
        let text = markdown(&samples::report()).unwrap();
        let table: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
        let columns = |line: &str| line.replace(r"\|", "").matches('|').count();
        assert!(table.iter().all(|l| [5, 7].contains(&columns(l))), "{text}");
        let begins = |at: usize| text[at + 1..].starts_with(|c: char| !c.is_ascii_digit());
        let mut tags = text.match_indices('<').filter(|(at, _)| begins(*at));
        assert!(tags.all(|(at, _)| text[..at].ends_with('\\')), "{text}");
    }
}
