//! One page for people, that needs nothing else: no network, no other files.
//!
//! Whatever was observed is put in by the template engine, which escapes it. The page's policy lets only this
//! style and this script work, known by their hashes, so that even what slipped through could do nothing.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use observer_core::judged::{Rate, ReasonCount};
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::super::compare::{Change, Way};
use super::super::model::{Edge, Example, Index, Report, Rule, Service, State};
use super::{call_marks, changed, graph, line_marks, source_kind, state, subject, unreadable, way};
use crate::sink::text::words;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Edges in the table of the worst that are shown at once; the others unfold.
const WORST: usize = 50;

/// Edges up to which the graph shows those without loss at first.
const CALM: usize = 120;

/// The page.
pub(in crate::report) fn html(report: &Report) -> Result<String> {
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    engine.set_syntax(syntax);
    engine.add_template("page", PAGE)?;
    let page = Value::from(Serde(Page::new(report)));
    Ok(engine.get_template("page")?.render(page)?)
}

/// All that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    style_hash: String,
    script_hash: String,
    made: String,
    since: Option<String>,
    until: Option<String>,
    program: &'a str,
    fleet: FleetView,
    warnings: &'a [String],
    changes: Option<ChangesView>,
    graph: graph::Graph,
    graph_all: bool,
    worst: Vec<EdgeRow<'a>>,
    further: Vec<EdgeRow<'a>>,
    services: Vec<Card<'a>>,
    sources: Vec<SourceRow<'a>>,
    losses: Vec<String>,
    records: String,
}

impl<'a> Page<'a> {
    fn new(report: &'a Report) -> Self {
        let lossy = report.edges.iter().filter(|e| e.loss.hits > 0);
        let mut worst: Vec<EdgeRow<'_>> = lossy.map(|edge| EdgeRow::new(edge, report)).collect();
        let further = worst.split_off(worst.len().min(WORST));
        let losses = report.losses.iter();
        Self {
            style: STYLE,
            script: SCRIPT,
            style_hash: hash(STYLE),
            script_hash: hash(SCRIPT),
            made: words::date_and_clock(report.made),
            since: report.since.map(words::date_and_clock),
            until: report.until.map(words::date_and_clock),
            program: &report.program,
            fleet: FleetView::new(report),
            warnings: &report.warnings,
            changes: changes(report),
            graph: graph::graph(report),
            graph_all: report.edges.len() <= CALM,
            worst,
            further,
            services: cards(report),
            sources: sources(report),
            losses: losses.map(|l| words::lost(l.what, l.count)).collect(),
            records: words::count(report.records, "record"),
        }
    }
}

/// As a Content Security Policy names what it allows.
fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    )
}

/// A rate, in words and as places on a scale of 100.
#[derive(Serialize)]
struct RateView {
    words: String,
    percent: String,
    class: &'static str,
    at: String,
    low: String,
    width: String,
}

impl RateView {
    fn new(rate: Rate) -> Option<Self> {
        let place = |share: f64| format!("{:.2}", share * 100.0);
        (rate.n > 0).then(|| Self {
            words: words::rate(rate),
            percent: format!("{} %", words::percent(rate.rate)),
            class: graph::class(rate),
            at: place(rate.rate),
            low: place(rate.low),
            width: place((rate.high - rate.low).max(0.004)),
        })
    }
}

#[derive(Serialize)]
struct IndexView {
    value: String,
    interval: String,
    judged: String,
    class: &'static str,
}

impl IndexView {
    fn new(index: &Index) -> Self {
        Self {
            value: format!("{:.0}", index.value),
            interval: format!("{:.0}–{:.0}", index.low, index.high),
            judged: format!("{} %", words::percent(index.judged)),
            class: match index.value {
                v if v >= 99.0 => "none",
                v if v >= 90.0 => "some",
                _ => "many",
            },
        }
    }
}

#[derive(Serialize)]
struct FleetView {
    index: Option<IndexView>,
    services: String,
    edges: String,
    requests: String,
    with_context: String,
    calls: Option<RateView>,
    lines: Option<RateView>,
    lossy: usize,
}

impl FleetView {
    fn new(report: &Report) -> Self {
        let fleet = &report.fleet;
        Self {
            index: fleet.index.as_ref().map(IndexView::new),
            services: words::number(fleet.services),
            edges: words::number(fleet.edges),
            requests: words::estimated(
                &words::count(fleet.requests, "request"),
                fleet.requests_estimated,
                fleet.requests_not_estimated,
            ),
            with_context: words::number(fleet.requests_with_context),
            calls: RateView::new(fleet.call_loss),
            lines: RateView::new(fleet.line_loss),
            lossy: report.edges.iter().filter(|e| e.loss.hits > 0).count(),
        }
    }
}

type Marks = Vec<(char, &'static str, String)>;

fn marks(marks: Vec<(char, &'static str, u64)>) -> Marks {
    let mark = |(sign, word, n)| (sign, word, words::number(n));
    marks.into_iter().map(mark).collect()
}

#[derive(Serialize)]
struct WhyView<'a> {
    count: String,
    explanation: &'a str,
    fix: &'a str,
    routes: &'a [String],
    examples: Vec<ExampleView<'a>>,
    loss: bool,
}

#[derive(Serialize)]
struct ExampleView<'a> {
    id: &'a str,
    source: &'a str,
    what: &'a str,
    time: String,
    trace: Option<&'a str>,
    sent: Option<&'a str>,
    link: Option<&'a str>,
}

impl<'a> ExampleView<'a> {
    fn new(example: &'a Example) -> Self {
        let sample = &example.sample;
        Self {
            id: &sample.id,
            source: &sample.source,
            what: &sample.what,
            time: words::date_and_clock(sample.time),
            trace: sample.trace_id.as_deref(),
            sent: sample.sent_trace_id.as_deref(),
            link: example.link.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct EdgeRow<'a> {
    service: String,
    peer: String,
    service_card: Option<usize>,
    peer_card: Option<usize>,
    calls: String,
    loss: Option<RateView>,
    marks: Marks,
    why: Vec<WhyView<'a>>,
}

impl<'a> EdgeRow<'a> {
    fn new(edge: &'a Edge, report: &Report) -> Self {
        let card = |name| report.services.binary_search_by(|s| s.name.cmp(name)).ok();
        let why = edge.why.iter().map(|why| WhyView {
            count: words::number(why.count),
            explanation: &why.explanation,
            fix: &why.fix,
            routes: &why.routes,
            examples: why.examples.iter().map(ExampleView::new).collect(),
            loss: why.loss,
        });
        Self {
            service: edge.service.to_string(),
            peer: edge.peer.to_string(),
            service_card: card(&edge.service),
            peer_card: card(&edge.peer),
            calls: words::estimated(
                &words::count(edge.calls, "call"),
                edge.calls_estimated,
                edge.calls_not_estimated,
            ),
            loss: RateView::new(edge.loss),
            marks: marks(call_marks(&edge.verdicts)),
            why: why.collect(),
        }
    }
}

#[derive(Serialize)]
struct Card<'a> {
    name: String,
    runtime: &'static str,
    index: Option<IndexView>,
    requests: String,
    with_context: String,
    invalid: Option<String>,
    loss: Option<RateView>,
    edges: Vec<EdgeRow<'a>>,
    lines: Option<String>,
    line_marks: Marks,
    line_loss: Option<RateView>,
    line_why: Vec<LineWhyView<'a>>,
    line_examples: Vec<ExampleView<'a>>,
    unjudged: Vec<(String, &'a str)>,
    unseen: Vec<String>,
    rules: Vec<RuleView<'a>>,
}

#[derive(Serialize)]
struct LineWhyView<'a> {
    count: String,
    explanation: &'a str,
    fix: &'a str,
}

#[derive(Serialize)]
struct RuleView<'a> {
    #[serde(flatten)]
    rule: &'a Rule,
    measured: Option<RateView>,
}

fn cards(report: &Report) -> Vec<Card<'_>> {
    report.services.iter().map(|s| card(s, report)).collect()
}

fn card<'a>(service: &'a Service, report: &'a Report) -> Card<'a> {
    let edges = report.edges.iter().filter(|e| e.service == service.name);
    let unjudged = |r: &'a ReasonCount| (words::number(r.count), r.reason.as_str());
    let unobserved = service.unobserved.iter();
    let unobserved = unobserved
        .map(|u| words::unobserved(u.protocol, u.connections))
        .map(|unseen| format!("not observed: {unseen}"));
    let lost = service
        .losses
        .iter()
        .map(|l| format!("lost: {}", words::lost(l.what, l.count)));
    let unread = service.unreadable.iter();
    let unread = unread.map(|u| format!("could not be read: {}", unreadable(u)));
    let invalid = service.requests_with_invalid_context;
    Card {
        name: service.name.to_string(),
        runtime: service.runtime.map_or("", words::runtime),
        index: service.index.as_ref().map(IndexView::new),
        requests: words::estimated(
            &words::count(service.requests, "request"),
            service.requests_estimated,
            service.requests_not_estimated,
        ),
        with_context: words::number(service.requests_with_context),
        invalid: (invalid > 0).then(|| words::number(invalid)),
        loss: RateView::new(service.call_loss),
        edges: edges.map(|edge| EdgeRow::new(edge, report)).collect(),
        lines: (service.lines > 0).then(|| words::count(service.lines, "logged event")),
        line_marks: marks(line_marks(&service.line_verdicts)),
        line_loss: RateView::new(service.line_loss),
        line_why: service
            .line_why
            .iter()
            .map(|why| LineWhyView {
                count: words::number(why.count),
                explanation: &why.explanation,
                fix: &why.fix,
            })
            .collect(),
        line_examples: service.line_examples.iter().map(ExampleView::new).collect(),
        unjudged: service.inconclusive.iter().map(unjudged).collect(),
        unseen: unobserved.chain(unread).chain(lost).collect(),
        rules: service
            .rules
            .iter()
            .map(|rule| RuleView {
                rule,
                measured: rule.against.and_then(RateView::new),
            })
            .collect(),
    }
}

#[derive(Serialize)]
struct ChangesView {
    baseline: String,
    compared: String,
    rows: Vec<ChangeRow>,
}

#[derive(Serialize)]
struct ChangeRow {
    way: &'static str,
    class: &'static str,
    subject: String,
    words: String,
}

fn changes(report: &Report) -> Option<ChangesView> {
    let comparison = report.comparison.as_ref()?;
    let row = |change: &Change| ChangeRow {
        way: way(change.way),
        class: match change.way {
            Way::Worse | Way::New => "many",
            Way::Better => "none",
            Way::Gone => "unknown",
        },
        subject: subject(change),
        words: changed(change),
    };
    Some(ChangesView {
        baseline: words::date_and_clock(comparison.baseline),
        compared: words::count(comparison.compared, "rate"),
        rows: comparison.changes.iter().map(row).collect(),
    })
}

#[derive(Serialize)]
struct SourceRow<'a> {
    name: &'a str,
    kind: &'static str,
    state: &'static str,
    whole: bool,
    agents: Vec<String>,
    notes: &'a [String],
}

fn sources(report: &Report) -> Vec<SourceRow<'_>> {
    let rows = report.sources.iter().map(|source| {
        let agents = source
            .agents
            .iter()
            .map(|a| format!("{} ({})", a.agent, a.version));
        SourceRow {
            name: &source.name,
            kind: source_kind(source.kind),
            state: state(source.state),
            whole: source.state == State::Complete,
            agents: agents.collect(),
            notes: &source.notes,
        }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn hostile_names_are_text() {
        let page = html(&samples::report()).unwrap();
        for hostile in [
            "<script>alert",
            "<img src=x",
            "\"onload=",
            "href=\"javascript",
        ] {
            assert!(!page.contains(hostile), "{hostile}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"));
    }

    #[test]
    fn nothing_is_fetched() {
        let page = html(&samples::report()).unwrap();
        for outside in ["<img", "@import", "url(\"", "url(h", "<link", "<iframe"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn style_and_script_are_what_the_policy_allows() {
        // An end tag within would end them early, and the hashes would be those of something else.
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</"));
        }
        let page = html(&samples::report()).unwrap();
        assert!(page.contains(&hash(SCRIPT)) && page.contains(&hash(STYLE)));
        assert!(page.contains(STYLE) && page.contains(SCRIPT));
    }
}
