//! Healing against a real collector: what the services broke arrives there as connected traces.

mod conventions;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::{Service, root};
use observer_e2e::driver::{Clients, finish};
use observer_e2e::observer::{Observer, command, unavailable};
use observer_e2e::otlp::{Collector, Log, Span};
use observer_e2e::process::{Ended, Process};
use observer_e2e::run::turn;
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;

use conventions::{conventions, registered};

const REQUESTS: usize = 1_000;
/// As many where it is the way to the collector that matters, not what the services do.
const FEW: usize = 200;
const CLIENTS: usize = 16;
const SERVICES: [&str; 4] = ["gateway", "orders", "billing", "ledger"];

/// How long the collector and the SDKs may take to write what they have.
const WRITING: Duration = Duration::from_secs(60);

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

fn can_run(test: &str) -> bool {
    let python = root().join("target/e2e/venv/bin/python");
    let python = (!python.exists()).then(|| "the Python services are missing".to_owned());
    let why = unavailable().map(str::to_owned);
    match why.or_else(Collector::missing).or(python) {
        Some(why) => {
            skip(test, &why);
            false
        }
        None => true,
    }
}

/// gateway → orders → billing → ledger → the test's own downstream.
struct Chain {
    services: Vec<Service>,
    // Kept for as long as ledger calls it.
    _downstream: Downstream,
}

impl Chain {
    /// Each service with what it knows of tracing.
    fn start(tracing: [&str; 4], collector: &Collector) -> Result<Self> {
        let downstream = Downstream::start(Delay::NONE)?;
        let mut next = downstream.address();
        let mut services = Vec::new();
        for (name, tracing) in SERVICES.into_iter().zip(tracing).rev() {
            let service = service(name, tracing, next, collector)?;
            next = service.address;
            services.push(service);
        }
        services.reverse();
        Ok(Self {
            services,
            _downstream: downstream,
        })
    }

    fn drive(&self, requests: usize) -> Result<Duration> {
        let gateway = self.services[0].address;
        Clients::new(CLIENTS).send(requests, |agent, i| {
            finish(agent.get(format!("http://{gateway}/{}", id(i))))
        })
    }

    /// `--pid` of each, and of the collector: its own traffic must not come back as spans.
    fn watched(&self, collector: &Collector) -> Vec<String> {
        let services = self.services.iter().map(|s| s.process.pid());
        services
            .chain([collector.process.pid()])
            .flat_map(|pid| ["--pid".to_owned(), pid.to_string()])
            .collect()
    }
}

fn service(name: &str, tracing: &str, next: SocketAddr, to: &Collector) -> Result<Service> {
    let mut command = Command::new(root().join("target/e2e/venv/bin/python"));
    command
        .arg(root().join("tests/apps/python/chain_app.py"))
        .env("OTEL_SERVICE_NAME", name)
        .env("TRACING", tracing)
        .env("NEXT", format!("http://{next}"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", to.endpoint());
    Service::start(name, command)
}

fn id(i: usize) -> String {
    format!("r{i:05}")
}

/// The request that a span was made for: by its path, or its URL, in old and new conventions.
fn request_of(span: &Span) -> Option<String> {
    let names = ["url.path", "url.full", "http.target", "http.url"];
    let value = names.iter().map(|n| span.text(n)).find(|v| !v.is_empty())?;
    let last = value.rsplit('/').next()?;
    let id = last.split('?').next()?;
    id.starts_with('r').then(|| id.to_owned())
}

fn scratch(name: &str) -> Result<PathBuf> {
    let folder = root().join("target/e2e/otlp");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// What a run of the chain left.
struct Run {
    /// What the collector got.
    spans: Vec<Span>,
    /// What the observer told.
    told: Ended,
    /// What a second observer told, which exported nothing.
    second: Ended,
    collector: Collector,
    recording: PathBuf,
}

/// Runs the chain, watched, with everything exported to the collector.
fn run(name: &str, tracing: [&str; 4], requests: usize, protocol: &str) -> Result<Run> {
    // A service with an SDK makes a span for each side.
    let sdk_spans = 2 * requests * tracing.iter().filter(|how| **how == "otel").count();
    let collector = Collector::start(name)?;
    let chain = Chain::start(tracing, &collector)?;
    let recording = scratch(&format!("{name}.rec"))?;
    let mut args = chain.watched(&collector);
    let mut second = args.clone();
    second.extend(["--spans", "bridge"].map(str::to_owned));
    let endpoint = match protocol {
        "grpc" => format!("http://127.0.0.1:{}", collector.grpc),
        _ => collector.endpoint(),
    };
    args.extend(["--record", &recording.to_string_lossy()].map(str::to_owned));
    args.extend(["--otlp", &endpoint, "--otlp-protocol", protocol].map(str::to_owned));
    let observer = Observer::watch(args)?;
    let second = Observer::watch(second)?;
    let took = chain.drive(requests)?;
    eprintln!("{name}: {requests} requests in {took:?}");
    let told = observer.stop()?;
    let second = second.stop()?;
    let made = spans_told(&told.out)?.len();
    let spans = collector.wait(WRITING, |spans| {
        let synthetic = spans.iter().filter(|s| s.synthetic()).count();
        synthetic >= made && spans.len() - synthetic >= sdk_spans
    })?;
    Ok(Run {
        spans,
        told,
        second,
        collector,
        recording,
    })
}

/// Ids of the spans that an observer told of.
fn ids(told: &Ended) -> Result<BTreeSet<String>> {
    let spans = spans_told(&told.out)?;
    let ids = spans.iter().filter_map(|s| s["span_id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// `span` objects of the JSON output, as they are.
fn spans_told(out: &[String]) -> Result<Vec<serde_json::Value>> {
    let spans = out
        .iter()
        .filter(|line| line.starts_with(r#"{"kind":"span""#));
    spans.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Spans by request, none of them twice.
fn by_request(spans: &[Span]) -> Result<HashMap<String, Vec<&Span>>> {
    let mut seen = HashSet::new();
    let mut found: HashMap<String, Vec<&Span>> = HashMap::new();
    for span in spans {
        ensure!(seen.insert((&span.trace, &span.id)), "twice: {span:?}");
        let request = request_of(span).with_context(|| format!("whose? {span:?}"))?;
        found.entry(request).or_default().push(span);
    }
    Ok(found)
}

fn find<'a>(spans: &[&'a Span], service: &str, kind: u64, synthetic: bool) -> Result<&'a Span> {
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
fn check_request(spans: &[&Span]) -> Result<()> {
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
fn at_a_border(span: &Span) -> bool {
    const COARSE: u64 = 1 << 30;
    const APART: u64 = 5_000_000;
    (span.times.0 + APART) % COARSE < 2 * APART
}

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
