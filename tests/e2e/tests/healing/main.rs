//! Healing against a real collector: what the services broke arrives there as connected traces.

mod chain;
mod conventions;
mod found;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::observer::command;
use observer_e2e::otlp::{Collector, Log, Span};
use observer_e2e::process::Process;
use observer_e2e::run::turn;

use chain::{Run, can_run, run};
use conventions::{conventions, registered};
use found::{at_a_border, by_request, check_request, find, ids, request_of, spans_told};

const REQUESTS: usize = 1_000;
/// As many where it is the way to the collector that matters, not what the services do.
const FEW: usize = 200;
const SERVICES: [&str; 4] = ["gateway", "orders", "billing", "ledger"];

/// How long the collector and the SDKs may take to write what they have.
const WRITING: Duration = Duration::from_secs(60);

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

const BROKEN: [&str; 4] = ["otel", "none", "none", "otel"];

#[test]
fn a_broken_chain_arrives_connected_and_a_replay_makes_the_same() -> Result<()> {
    let _turn = turn();
    if !can_run("healing a broken chain") {
        return Ok(());
    }
    let Run {
        spans,
        told,
        second,
        collector,
        recording,
    } = run("chain", BROKEN, REQUESTS, "http/protobuf")?;
    let requests = by_request(&spans)?;
    ensure!(requests.len() == REQUESTS, "{} requests", requests.len());
    for (request, spans) in &requests {
        check_request(spans).with_context(|| format!("request {request}"))?;
    }
    check_logs(&collector, &spans)?;
    check_metrics(&collector)?;
    for span in spans.iter().filter(|s| s.synthetic()) {
        conventions(span)?;
    }
    registered(&spans, &collector.logs()?)?;
    let synthetic = spans.iter().filter(|s| s.synthetic());
    let exported: BTreeSet<String> = synthetic.clone().map(|s| s.id.clone()).collect();
    ensure!(ids(&told)? == exported, "told and exported differ");
    let second = ids(&second)?;
    ensure!(
        second.len() == exported.len()
            && synthetic
                .clone()
                .all(|s| second.contains(&s.id) || at_a_border(s)),
        "a second observer makes other spans of the same exchanges"
    );
    replayed(&recording, &spans_told(&told.out)?)
}

/// Two lines of each request lacked its id; all of them are found by it.
fn check_logs(collector: &Collector, spans: &[Span]) -> Result<()> {
    let mut traces: BTreeMap<String, (String, String)> = BTreeMap::new();
    for span in spans.iter().filter(|s| s.synthetic() && s.kind == SERVER) {
        let request = request_of(span).unwrap_or_default();
        let key = format!("{} works on {request}", span.service());
        traces.insert(key, (span.trace.clone(), span.id.clone()));
    }
    let logs = collector.logs()?;
    let mut found = 0;
    for log in &logs {
        if let Some((trace, span)) = traces.get(&log.body) {
            ensure!(
                (&log.trace, &log.span) == (trace, span),
                "elsewhere: {log:?}"
            );
            found += 1;
        }
    }
    ensure!(found == 3 * REQUESTS, "{found} lines of {}", logs.len());
    Ok(())
}

/// The counts say what happened.
fn check_metrics(collector: &Collector) -> Result<()> {
    let points = collector.points()?;
    let dropped: i64 = points
        .iter()
        .filter(|(name, point)| {
            name == "observer.exchanges" && point.to_string().contains(r#""dropped""#)
        })
        .filter_map(|(_, point)| point["asInt"].as_str()?.parse::<i64>().ok())
        .max()
        .unwrap_or(0);
    ensure!(dropped == i64::try_from(REQUESTS)?, "{dropped} dropped");
    let durations = |(name, point): &&(String, serde_json::Value)| {
        name == "observer.exchange.duration" && !point["exemplars"].is_null()
    };
    ensure!(points.iter().any(|p| durations(&p)), "no exemplars");
    Ok(())
}

/// What a replay makes is what the live run made, to the byte.
fn replayed(recording: &std::path::Path, live: &[serde_json::Value]) -> Result<()> {
    let mut replay = command(["replay", "--output", "json", "--redact", "off"])?;
    replay.arg("--spans").arg("bridge").arg(recording);
    let replay = Process::start("replay", replay)?.ended(WRITING)?;
    let again = spans_told(&replay.out)?;
    ensure!(
        again.len() == live.len(),
        "{} and {}",
        again.len(),
        live.len()
    );
    ensure!(again == live, "a replay makes other spans");
    std::fs::remove_file(recording)?;
    Ok(())
}

#[test]
fn a_whole_chain_gets_no_span() -> Result<()> {
    let _turn = turn();
    if !can_run("healing a whole chain") {
        return Ok(());
    }
    let Run {
        spans, recording, ..
    } = run("whole", ["otel"; 4], REQUESTS, "grpc")?;
    std::fs::remove_file(recording)?;
    let synthetic: Vec<_> = spans.iter().filter(|s| s.synthetic()).collect();
    ensure!(synthetic.is_empty(), "{synthetic:#?}");
    Ok(())
}

#[test]
fn over_grpc_arrives_the_same() -> Result<()> {
    let _turn = turn();
    if !can_run("healing over gRPC") {
        return Ok(());
    }
    let Run {
        spans, recording, ..
    } = run("grpc", BROKEN, FEW, "grpc")?;
    std::fs::remove_file(recording)?;
    let requests = by_request(&spans)?;
    ensure!(requests.len() == FEW, "{} requests", requests.len());
    for (request, spans) in &requests {
        check_request(spans).with_context(|| format!("request {request}"))?;
    }
    Ok(())
}

/// No tracing anywhere: each request is one trace with a span for each side of each exchange.
#[test]
fn without_any_tracing_each_request_becomes_one_trace() -> Result<()> {
    let _turn = turn();
    if !can_run("healing without any tracing") {
        return Ok(());
    }
    let Run {
        spans,
        collector,
        recording,
        ..
    } = run("wall", ["none"; 4], REQUESTS, "http/protobuf")?;
    std::fs::remove_file(recording)?;
    let requests = by_request(&spans)?;
    ensure!(requests.len() == REQUESTS, "{} requests", requests.len());
    let mut traces = HashSet::new();
    for (request, spans) in &requests {
        let chain = || -> Result<()> {
            let mut above = "";
            for service in SERVICES {
                for kind in [SERVER, CLIENT] {
                    let span = find(spans, service, kind, true)?;
                    ensure!(span.parent == above, "not below {above}: {span:?}");
                    ensure!(span.trace == spans[0].trace, "another trace: {span:?}");
                    above = &span.id;
                }
            }
            ensure!(spans.len() == 8, "{spans:#?}");
            Ok(())
        };
        chain().with_context(|| format!("request {request}"))?;
        ensure!(traces.insert(&spans[0].trace), "two requests in one trace");
    }
    let logs = collector.logs()?;
    let lines: HashSet<_> = logs.iter().filter(|l| !l.trace.is_empty()).collect_bodies();
    ensure!(
        lines.len() == 4 * REQUESTS,
        "{} lines in a trace",
        lines.len()
    );
    Ok(())
}

trait Bodies {
    fn collect_bodies(self) -> HashSet<(String, String)>;
}

impl<'a, I: Iterator<Item = &'a Log>> Bodies for I {
    /// Texts with the trace that they are in.
    fn collect_bodies(self) -> HashSet<(String, String)> {
        self.map(|log| (log.body.clone(), log.trace.clone()))
            .collect()
    }
}
