//! A chain of services, driven, watched and exported to a collector.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use observer_e2e::app::{Service, root};
use observer_e2e::driver::{Clients, finish};
use observer_e2e::observer::Observer;
use observer_e2e::otlp::{Collector, Span};
use observer_e2e::process::Ended;
use observer_e2e::run::can_watch_unless;
use observer_e2e::server::{Delay, Downstream};

use super::found::spans_told;
use super::{SERVICES, WRITING};

const CLIENTS: usize = 16;

pub(super) fn can_run(test: &str) -> bool {
    let python = root().join("target/e2e/venv/bin/python");
    let python = (!python.exists()).then(|| "the Python services are missing".to_owned());
    can_watch_unless(Collector::missing().or(python), test)
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

fn scratch(name: &str) -> Result<PathBuf> {
    let folder = root().join("target/e2e/otlp");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// What a run of the chain left.
pub(super) struct Run {
    /// What the collector got.
    pub(super) spans: Vec<Span>,
    /// What the observer told.
    pub(super) told: Ended,
    /// What a second observer told, which exported nothing.
    pub(super) second: Ended,
    pub(super) collector: Collector,
    pub(super) recording: PathBuf,
}

/// Runs the chain, watched, with everything exported to the collector.
pub(super) fn run(name: &str, tracing: [&str; 4], requests: usize, protocol: &str) -> Result<Run> {
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
