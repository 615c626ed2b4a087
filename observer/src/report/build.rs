//! The report of a tally.

use std::collections::{BTreeMap, BTreeSet};

use observer_core::facts::Runtime;
use observer_core::judged::counts::{Name, Sample};
use observer_core::judged::{
    Cause, Counts, EdgeSummary, LogVerdict, ServiceSummary, Verdict, WallTime,
};
use observer_core::summary::{Tally, rate, verdicts_of};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::index::index;
use super::model::{
    Edge, Example, Fleet, LineWhy, Lost, Report, Service, SourceLine, Unobserved, Unreadable,
    VERSION, Why,
};
use super::peers::joined;
use super::rules::rules;
use super::source::Gathered;

/// Examples of one cause that are told.
const EXAMPLES: usize = 3;

/// The report of what was gathered. `made` is now; `trace_url` a template with `{trace_id}`.
pub(super) fn report(gathered: Gathered, made: WallTime, trace_url: Option<&str>) -> Report {
    let tally = joined(gathered.tally);
    let links = Links(trace_url);
    let summaries = tally.services();
    let names: BTreeSet<Name> = summaries.iter().map(name).collect();
    let mut edges: Vec<Edge> = Vec::new();
    for service in &summaries {
        let of = |edge| self::edge(service, edge, &names, &tally, &links);
        edges.extend(service.edges.iter().map(of));
    }
    edges.sort_by(worst_first);
    let services = services(&summaries, &tally, &links);
    let sources = gathered.sources;
    Report {
        kind: "observer-report".to_owned(),
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made,
        since: sources.iter().filter_map(|s: &SourceLine| s.since).min(),
        until: sources.iter().filter_map(|s| s.until).max(),
        fleet: fleet(&services, &edges, &tally),
        warnings: gathered.warnings,
        edges,
        services,
        losses: lost(&tally, None),
        records: tally.records(),
        sources,
        comparison: None,
    }
}

/// More lost calls first, then higher rates, then names.
fn worst_first(a: &Edge, b: &Edge) -> std::cmp::Ordering {
    let hits = b.loss.hits.cmp(&a.loss.hits);
    let rates = || b.loss.rate.total_cmp(&a.loss.rate);
    let calls = || b.calls.cmp(&a.calls);
    let names = || (&a.service, &a.peer).cmp(&(&b.service, &b.peer));
    hits.then_with(rates).then_with(calls).then_with(names)
}

fn name(service: &ServiceSummary) -> Name {
    Name {
        namespace: service.namespace.clone(),
        name: service.service.clone().into(),
    }
}

fn edge(
    service: &ServiceSummary,
    edge: &EdgeSummary,
    names: &BTreeSet<Name>,
    tally: &Tally,
    links: &Links<'_>,
) -> Edge {
    let peer = Name {
        namespace: edge.peer_namespace.clone(),
        name: edge.peer.clone().into(),
    };
    let service = name(service);
    let why = edge.why.iter().map(|why| Why {
        cause: why.cause,
        loss: is_loss(why.cause),
        count: why.count,
        explanation: why.explanation.to_owned(),
        fix: why.fix.to_owned(),
        routes: why.routes.clone(),
        examples: links.examples(tally.samples(&service, &peer).filter(|sample| {
            let verdicts = verdicts_of(why.cause);
            verdicts.iter().any(|v| v.name() == sample.verdict)
        })),
    });
    let why = why.collect();
    Edge {
        observed: names.contains(&peer),
        service,
        peer,
        calls: edge.calls,
        calls_estimated: edge.calls_estimated,
        calls_not_estimated: edge.calls_not_estimated,
        verdicts: edge.verdicts.clone(),
        loss: edge.loss,
        why,
    }
}

/// Whether calls that a cause explains lost context.
fn is_loss(cause: Cause) -> bool {
    verdicts_of(cause).iter().any(|verdict| verdict.is_loss())
}

/// What of a service was not seen.
#[derive(Default)]
struct Unseen {
    connections: Vec<Unobserved>,
    messages: Vec<Unreadable>,
}

fn unseen(tally: &Tally) -> BTreeMap<Name, Unseen> {
    let mut unseen: BTreeMap<Name, Unseen> = BTreeMap::new();
    for row in tally.unobserved() {
        let (name, namespace) = (row.service.into(), row.namespace);
        let of = unseen.entry(Name { namespace, name }).or_default();
        of.connections.push(Unobserved {
            protocol: row.protocol,
            connections: row.connections,
        });
    }
    for row in tally.unreadable() {
        let (name, namespace) = (row.service.into(), row.namespace);
        let of = unseen.entry(Name { namespace, name }).or_default();
        of.messages.push(Unreadable {
            role: row.role,
            peer: row.peer.to_string(),
            message: row.message,
            flaw: row.flaw,
            explanation: row.explanation.to_owned(),
            count: row.count,
        });
    }
    unseen
}

fn services(summaries: &[ServiceSummary], tally: &Tally, links: &Links<'_>) -> Vec<Service> {
    let mut unseen = unseen(tally);
    let mut services: Vec<Service> = summaries
        .iter()
        .map(|summary| service(summary, &mut unseen, tally, links))
        .collect();
    // Services of which nothing was seen but that there is something unseen.
    let rest = unseen.into_iter().map(|(name, unseen)| Service {
        losses: lost(tally, Some(&name)),
        unobserved: unseen.connections,
        unreadable: unseen.messages,
        ..blank(name)
    });
    services.extend(rest);
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

fn blank(name: Name) -> Service {
    Service {
        name,
        runtime: None,
        requests: 0,
        requests_estimated: None,
        requests_not_estimated: None,
        requests_with_context: 0,
        requests_with_invalid_context: 0,
        calls: 0,
        calls_estimated: None,
        calls_not_estimated: None,
        call_verdicts: Counts::default(),
        call_loss: rate(0, 0),
        lines: 0,
        line_verdicts: Counts::default(),
        line_loss: rate(0, 0),
        line_why: Vec::new(),
        line_examples: Vec::new(),
        index: None,
        rules: Vec::new(),
        inconclusive: Vec::new(),
        unobserved: Vec::new(),
        unreadable: Vec::new(),
        losses: Vec::new(),
    }
}

fn service(
    summary: &ServiceSummary,
    unseen: &mut BTreeMap<Name, Unseen>,
    tally: &Tally,
    links: &Links<'_>,
) -> Service {
    let name = name(summary);
    let unseen = unseen.remove(&name).unwrap_or_default();
    let mut verdicts = Counts::default();
    for edge in &summary.edges {
        add(&mut verdicts, &edge.verdicts);
    }
    Service {
        runtime: summary.runtime,
        requests: summary.served,
        requests_estimated: summary.served_estimated,
        requests_not_estimated: summary.served_not_estimated,
        requests_with_context: summary.served_with_context,
        requests_with_invalid_context: tally.invalid_requests(&name),
        calls: verdicts.of(|_| true),
        calls_estimated: summary.calls_estimated,
        calls_not_estimated: summary.calls_not_estimated,
        call_loss: summary.loss,
        lines: summary.logs.lines,
        line_verdicts: summary.logs.verdicts.clone(),
        line_loss: summary.logs.loss,
        line_why: line_why(&summary.logs.verdicts, summary.runtime),
        line_examples: links.examples(tally.line_samples(&name)),
        index: index(&verdicts, &summary.logs.verdicts),
        rules: rules(&verdicts, summary),
        inconclusive: summary.inconclusive.clone(),
        unobserved: unseen.connections,
        unreadable: unseen.messages,
        losses: lost(tally, Some(&name)),
        call_verdicts: verdicts,
        ..blank(name)
    }
}

/// What is wrong with logged events, most frequent first.
fn line_why(verdicts: &Counts<LogVerdict>, runtime: Option<Runtime>) -> Vec<LineWhy> {
    let mut why: Vec<LineWhy> = LogVerdict::ALL
        .into_iter()
        .filter_map(|verdict| {
            Some(LineWhy {
                verdict,
                count: verdicts.of(|v| v == verdict),
                explanation: verdict.explanation()?.to_owned(),
                fix: verdict.fix(runtime)?.to_owned(),
            })
        })
        .filter(|why| why.count > 0)
        .collect();
    why.sort_by_key(|why| std::cmp::Reverse(why.count));
    why
}

fn add<K: Ord + Copy>(sum: &mut Counts<K>, more: &Counts<K>) {
    for (key, n) in &more.0 {
        sum.add_many(*key, *n);
    }
}

fn lost(tally: &Tally, service: Option<&Name>) -> Vec<Lost> {
    let of = tally
        .losses()
        .filter(|(whom, _, n)| *whom == service && *n > 0);
    of.map(|(_, what, count)| Lost { what, count }).collect()
}

fn fleet(services: &[Service], edges: &[Edge], tally: &Tally) -> Fleet {
    let totals = tally.totals();
    let (requests_estimated, requests_not_estimated) = totals.requests_extent.told();
    let (calls_estimated, calls_not_estimated) = totals.calls_extent.told();
    let sum = |of: fn(&Service) -> u64| services.iter().map(of).fold(0, u64::saturating_add);
    Fleet {
        services: services.len() as u64,
        edges: edges.len() as u64,
        requests: sum(|s| s.requests),
        requests_estimated,
        requests_not_estimated,
        calls_estimated,
        calls_not_estimated,
        requests_with_context: sum(|s| s.requests_with_context),
        call_loss: rate(
            totals.calls.of(Verdict::is_loss),
            totals.calls.of(Verdict::is_judged),
        ),
        line_loss: rate(
            totals.lines.of(LogVerdict::is_loss),
            totals.lines.of(LogVerdict::is_judged),
        ),
        index: index(&totals.calls, &totals.lines),
        calls: totals.calls,
        lines: totals.lines,
    }
}

/// Makes links to traces.
struct Links<'a>(Option<&'a str>);

impl Links<'_> {
    /// The latest examples, newest first.
    fn examples<'s>(&self, samples: impl Iterator<Item = &'s Sample>) -> Vec<Example> {
        let mut samples: Vec<&Sample> = samples.collect();
        samples.sort_by(|a, b| b.cmp(a));
        let examples = samples.into_iter().take(EXAMPLES).map(|sample| Example {
            sample: sample.clone(),
            link: self.link(sample),
        });
        examples.collect()
    }

    fn link(&self, sample: &Sample) -> Option<String> {
        let trace = utf8_percent_encode(sample.trace_id.as_ref()?, NON_ALPHANUMERIC);
        Some(self.0?.replace("{trace_id}", &trace.to_string()))
    }
}
