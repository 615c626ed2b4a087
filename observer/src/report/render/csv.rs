//! For spreadsheets: one row per edge.

use anyhow::Result;
use observer_core::judged::{Estimate, Verdict};

use super::super::model::{Edge, Report};

/// The edges as comma-separated values (RFC 4180), worst first.
pub(in crate::report) fn csv(report: &Report) -> Result<String> {
    let mut table = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let fixed = [
        "service_namespace",
        "service",
        "peer_namespace",
        "peer",
        "calls",
        "judged",
        "lost",
        "rate",
        "low",
        "high",
        "cause",
        "fix",
    ];
    let estimated = ["calls_estimated", "calls_low", "calls_high"];
    let verdicts = Verdict::ALL.map(Verdict::name);
    table.write_record(fixed.into_iter().chain(verdicts).chain(estimated))?;
    for edge in &report.edges {
        table.write_record(row(edge))?;
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

fn row(edge: &Edge) -> Vec<String> {
    let why = edge.why.iter().find(|why| why.loss);
    let mut row = vec![
        harmless(&edge.service.namespace),
        harmless(&edge.service.name),
        harmless(&edge.peer.namespace),
        harmless(&edge.peer.name),
        edge.calls.to_string(),
        edge.loss.n.to_string(),
        edge.loss.hits.to_string(),
        format!("{:.6}", edge.loss.rate),
        format!("{:.6}", edge.loss.low),
        format!("{:.6}", edge.loss.high),
        why.map_or_else(String::new, |why| harmless(&why.explanation)),
        why.map_or_else(String::new, |why| harmless(&why.fix)),
    ];
    let counts = Verdict::ALL.map(|verdict| edge.verdicts.of(|v| v == verdict).to_string());
    row.extend(counts);
    let all = edge.calls_estimated.unwrap_or(Estimate {
        n: edge.calls,
        low: edge.calls,
        high: edge.calls,
    });
    let known = edge.calls_not_estimated.is_none();
    let cell = |n: u64| if known { n.to_string() } else { String::new() };
    row.extend([all.n, all.low, all.high].map(cell));
    row
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn formulas_and_quotes_stay_text() {
        let text = csv(&samples::report()).unwrap();
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let headers = rows.headers().unwrap().clone();
        let service = headers.iter().position(|h| h == "service").unwrap();
        let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), samples::report().edges.len());
        let hostile: Vec<&str> = rows
            .iter()
            .map(|r| &r[service])
            .filter(|s| s.contains("cmd"))
            .collect();
        assert_eq!(hostile, ["'=cmd|'/c calc'!A1,\"\\u{1b}[31m"]);
    }
}
