//! Counts as OpenMetrics text (OpenMetrics 1.0, "Text Format").

use std::fmt::Write as _;

use crate::judged::counts::{Counted, FAMILIES, Sample, Series};

/// The families of counts as OpenMetrics text, without the `# EOF` that ends a page. The latest example of a
/// verdict goes with its series as an exemplar.
#[must_use]
pub fn openmetrics(counted: &Counted) -> String {
    let mut out = String::new();
    for family in FAMILIES {
        let of_family = || counted.series.iter().filter(|s| s.metric == family.name);
        if of_family().next().is_none() {
            continue;
        }
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        // Writing to a string does not fail.
        let _ = writeln!(out, "# TYPE {name} counter\n# HELP {name} {}", family.help);
        for series in of_family() {
            row(series, exemplar(series, &counted.samples), &mut out);
        }
    }
    out
}

fn row(series: &Series, example: Option<&Sample>, out: &mut String) {
    out.push_str(&series.metric);
    for (n, (label, value)) in series.labels.iter().enumerate() {
        out.push(if n == 0 { '{' } else { ',' });
        let _ = write!(out, "{label}=\"");
        escape(value, out);
        out.push('"');
    }
    if !series.labels.is_empty() {
        out.push('}');
    }
    let _ = write!(out, " {}", series.count);
    if let Some(sample) = example
        && let Some(trace) = &sample.trace_id
    {
        out.push_str(" # {trace_id=\"");
        escape(trace, out);
        let (seconds, millis) = (
            sample.time.0 / 1_000_000_000,
            sample.time.0 / 1_000_000 % 1_000,
        );
        let _ = write!(out, "\"}} 1 {seconds}.{millis:03}");
    }
    out.push('\n');
}

/// Characters that the labels of an exemplar may have together (OpenMetrics 1.0, "Exemplars").
const EXEMPLAR: usize = 128 - "trace_id".len();

/// The latest example of what a series counts.
fn exemplar<'a>(series: &Series, samples: &'a [Sample]) -> Option<&'a Sample> {
    let verdict = series.labels.get("verdict")?;
    let label = |name: &str| series.labels.get(name).map_or("", |v| v.as_str());
    let of = |s: &&Sample| {
        let peer = s.peer.as_ref();
        s.verdict == *verdict
            && s.service.name == label("service_name")
            && s.service.namespace == label("service_namespace")
            && peer.map_or("", |p| p.name.as_str()) == label("peer_name")
            && peer.map_or("", |p| p.namespace.as_str()) == label("peer_namespace")
    };
    let known = |s: &&Sample| {
        let trace = s.trace_id.as_ref();
        trace.is_some_and(|t| t.chars().count() <= EXEMPLAR)
    };
    samples.iter().filter(of).filter(known).max()
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str(r"\n"),
            c => out.push(c),
        }
    }
}
