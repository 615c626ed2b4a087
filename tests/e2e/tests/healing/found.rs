//! What arrived at the collector, and what observers told, request by request.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use observer_e2e::otlp::Span;
use observer_e2e::process::Ended;

use super::{CLIENT, SERVER};

/// The request that a span was made for: by its path, or its URL, in old and new conventions.
pub(super) fn request_of(span: &Span) -> Option<String> {
    let names = ["url.path", "url.full", "http.target", "http.url"];
    let value = names.iter().map(|n| span.text(n)).find(|v| !v.is_empty())?;
    let last = value.rsplit('/').next()?;
    let id = last.split('?').next()?;
    id.starts_with('r').then(|| id.to_owned())
}

/// Ids of the spans that an observer told of.
pub(super) fn ids(told: &Ended) -> Result<BTreeSet<String>> {
    let spans = spans_told(&told.out)?;
    let ids = spans.iter().filter_map(|s| s["span_id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// `span` objects of the JSON output, as they are.
pub(super) fn spans_told(out: &[String]) -> Result<Vec<serde_json::Value>> {
    let spans = out
        .iter()
        .filter(|line| line.starts_with(r#"{"kind":"span""#));
    spans.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Spans by request, none of them twice.
pub(super) fn by_request(spans: &[Span]) -> Result<HashMap<String, Vec<&Span>>> {
    let mut seen = HashSet::new();
    let mut found: HashMap<String, Vec<&Span>> = HashMap::new();
    for span in spans {
        ensure!(seen.insert((&span.trace, &span.id)), "twice: {span:?}");
        let request = request_of(span).with_context(|| format!("whose? {span:?}"))?;
        found.entry(request).or_default().push(span);
    }
    Ok(found)
}

pub(super) fn find<'a>(
    spans: &[&'a Span],
    service: &str,
    kind: u64,
    synthetic: bool,
) -> Result<&'a Span> {
    let mut matching = spans
        .iter()
        .filter(|s| s.service() == service && s.kind == kind && s.synthetic() == synthetic);
    let one = matching.next();
    ensure!(
        matching.next().is_none(),
        "two of {service} {kind}: {spans:#?}"
    );
    one.copied()
        .with_context(|| format!("none of {service} {kind} synthetic {synthetic}: {spans:#?}"))
}

/// One connected tree from gateway's root to ledger's entry, and a link to where ledger goes on.
pub(super) fn check_request(spans: &[&Span]) -> Result<()> {
    let root = find(spans, "gateway", SERVER, false)?;
    let mut above = find(spans, "gateway", CLIENT, false)?;
    ensure!(above.parent == root.id && root.parent.is_empty());
    for (service, kind) in [
        ("orders", SERVER),
        ("orders", CLIENT),
        ("billing", SERVER),
        ("billing", CLIENT),
        ("ledger", SERVER),
    ] {
        let span = find(spans, service, kind, true)?;
        ensure!(span.trace == root.trace, "another trace: {span:?}");
        ensure!(span.parent == above.id, "not below {above:?}: {span:?}");
        ensure!(span.times.0 >= above.times.0, "before its parent: {span:?}");
        above = span;
    }
    let own = find(spans, "ledger", CLIENT, false)?;
    ensure!(own.trace != root.trace);
    ensure!(
        above.links == [(own.trace.clone(), own.id.clone())],
        "not linked to {own:?}: {above:?}"
    );
    ensure!(spans.len() == 9, "{} spans: {spans:#?}", spans.len());
    Ok(())
}

/// Whether a span begins so close to a border of the coarse time in its id (docs/healing.md) that two observers, whose
/// probes run one after the other, may place it on different sides.
pub(super) fn at_a_border(span: &Span) -> bool {
    const COARSE: u64 = 1 << 30;
    const APART: u64 = 5_000_000;
    (span.times.0 + APART) % COARSE < 2 * APART
}
