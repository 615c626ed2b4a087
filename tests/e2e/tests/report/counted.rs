//! Agents that have counted what they are told to, and reports of what they say.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use observer_core::judged::WallTime;
use observer_core::judged::counts::Counted;
use observer_core::summary::{Page, Tally, VERSION, openmetrics};
use observer_e2e::app::root;
use observer_e2e::observer::command;
use observer_e2e::process::{Ended, Process};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// An agent that has counted what it is told to.
#[derive(Clone)]
pub struct Agent {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it says of itself.
#[derive(Clone)]
pub struct State {
    pub name: &'static str,
    pub version: &'static str,
    /// When it began, by the right clock, seconds since 1970.
    pub start: f64,
    /// Seconds by which its clock is ahead.
    pub skew: f64,
    /// Whether it does not answer.
    pub away: bool,
    pub counted: Counted,
}

impl Agent {
    pub fn start(counted: Counted) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = State {
            name: "node-1",
            version: env!("CARGO_PKG_VERSION"),
            start: now(),
            skew: 0.0,
            away: false,
            counted,
        };
        let agent = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new(state)),
        };
        let serving = agent.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A scraper that goes away is no concern of the others.
                let _ = serving.serve(stream);
            }
        });
        Ok(agent)
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().context("no request")??;
        for line in lines {
            if line?.is_empty() {
                break;
            }
        }
        let state = self.state.lock().expect("not poisoned").clone();
        ensure!(!state.away, "it does not answer");
        let (kind, body) = match first.split(' ').nth(1) {
            Some("/api/v1/counts") => ("application/json", state.page()?),
            _ => (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                state.metrics(),
            ),
        };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        Ok(())
    }

    /// Changes what it says.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("not poisoned"));
    }

    /// It has counted this; `start` is given if it began anew.
    pub fn count(&self, start: Option<f64>, counted: Counted) {
        self.change(|state| {
            state.start = start.unwrap_or(state.start);
            state.counted = counted;
        });
    }
}

impl State {
    fn page(self) -> Result<String> {
        Ok(serde_json::to_string(&Page {
            version: VERSION,
            program: self.version.into(),
            agent: self.name.into(),
            since: wall(self.start + self.skew),
            now: wall(now() + self.skew),
            counted: self.counted,
        })?)
    }

    fn metrics(self) -> String {
        format!(
            "{}# TYPE observer_agent info\nobserver_agent_info{{agent=\"{}\",version=\"{}\"}} 1\n\
             # TYPE observer_agent_start_time_seconds gauge\nobserver_agent_start_time_seconds {}\n\
             # TYPE observer_agent_clock_seconds gauge\nobserver_agent_clock_seconds {}\n# EOF\n",
            openmetrics(&self.counted),
            self.name,
            self.version,
            self.start + self.skew,
            now() + self.skew
        )
    }
}

pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn wall(seconds: f64) -> WallTime {
    WallTime((seconds * 1e9) as u64)
}

/// What a recording counts.
pub fn recorded(name: &str) -> Result<(PathBuf, Counted)> {
    let path = root()
        .join("tests/recordings")
        .join(name)
        .with_extension("rec");
    let ended = run(&["replay", &path.to_string_lossy(), "-o", "json", "--quiet"])?;
    let counted = serde_json::from_str(ended.out.last().context("no summary")?)?;
    Ok((path, counted))
}

pub fn run(args: &[&str]) -> Result<Ended> {
    Process::start("observer", command(args)?)?.ended(SOON)
}

pub fn report(args: &[&str]) -> Result<Value> {
    let args = [&["report", "--format", "json"], args].concat();
    let ended = run(&args)?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    Ok(serde_json::from_str(&ended.out.join("\n"))?)
}

/// What must be the same from every source: all but where it came from, and examples.
pub fn numbers(report: &Value) -> Value {
    let mut edges = report["edges"].clone();
    for edge in edges.as_array_mut().into_iter().flatten() {
        for why in edge["why"].as_array_mut().into_iter().flatten() {
            why["examples"].take();
        }
    }
    let mut services = report["services"].clone();
    for service in services.as_array_mut().into_iter().flatten() {
        service["line_examples"].take();
    }
    json!([
        report["fleet"],
        edges,
        services,
        report["losses"],
        report["records"]
    ])
}

/// Records taken in, which tell that a page was scraped.
#[allow(clippy::cast_precision_loss)]
pub fn records(counted: &Counted) -> f64 {
    let series = counted
        .series
        .iter()
        .find(|s| s.metric == "observer_records_total");
    series.map_or(0.0, |s| s.count as f64)
}

/// Counts of several, put together.
pub fn sum(parts: &[&Counted]) -> Counted {
    let mut tally = Tally::default();
    for part in parts {
        tally.merge((*part).clone());
    }
    tally.counted()
}

/// A fleet of hostile names, and as many services and edges as asked for.
pub fn fleet(services: usize, edges: usize) -> Value {
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onload='alert(1)",
    ];
    let name = |n: usize| match hostile.get(n) {
        Some(name) => (*name).to_owned(),
        None => format!("service-{n}"),
    };
    let count = |metric: &str, labels: Value, count: usize| json!({"metric": metric, "labels": labels, "count": count});
    let mut counts = Vec::new();
    for n in 0..services {
        counts.push(count(
            "observer_requests_total",
            json!({"service_name": name(n), "context": "valid"}),
            1_000,
        ));
    }
    for n in 0..edges {
        let (from, to) = (n % services, (n * 7 + n / services + 1) % services);
        for (verdict, calls) in [("propagated", 500), ("dropped", n % 11 * 5 + 1)] {
            let labels = json!({"service_name": name(from), "peer_name": name(to), "verdict": verdict, "execution": "same"});
            counts.push(count("observer_calls_total", labels, calls));
        }
    }
    json!({
        "version": VERSION, "program": env!("CARGO_PKG_VERSION"), "agent": "node-1",
        "since": "2026-11-20T00:00:00.000000000Z", "now": "2026-11-21T00:00:00.000000000Z",
        "counts": counts, "samples": [],
    })
}
