//! Reports: the same numbers from a recording, an agent and a real Prometheus; the page in a real browser.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use observer_core::judged::WallTime;
use observer_core::judged::counts::{Counted, Series};
use observer_core::summary::{Page, Tally, VERSION, openmetrics};
use observer_e2e::app::root;
use observer_e2e::observer::command;
use observer_e2e::process::{Ended, Process};
use observer_e2e::prometheus::Prometheus;
use observer_e2e::skip::skip;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// An agent that has counted what it is told to.
#[derive(Clone)]
struct Agent {
    address: SocketAddr,
    state: Arc<Mutex<(f64, Counted)>>,
}

impl Agent {
    fn start(counted: Counted) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let agent = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new((now(), counted))),
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
        let (start, counted) = self.state.lock().expect("not poisoned").clone();
        let (kind, body) = match first.split(' ').nth(1) {
            Some("/api/v1/counts") => ("application/json", page(start, counted)?),
            _ => (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                metrics(start, &counted),
            ),
        };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        Ok(())
    }

    fn count(&self, start: Option<f64>, counted: Counted) {
        let mut state = self.state.lock().expect("not poisoned");
        *state = (start.unwrap_or(state.0), counted);
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn wall(seconds: f64) -> WallTime {
    WallTime((seconds * 1e9) as u64)
}

fn page(start: f64, counted: Counted) -> Result<String> {
    Ok(serde_json::to_string(&Page {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").into(),
        agent: "node-1".into(),
        since: wall(start),
        now: wall(now()),
        counted,
    })?)
}

fn metrics(start: f64, counted: &Counted) -> String {
    format!(
        "{}# TYPE observer_agent info\nobserver_agent_info{{agent=\"node-1\",version=\"{}\"}} 1\n\
         # TYPE observer_agent_start_time_seconds gauge\nobserver_agent_start_time_seconds {start}\n\
         # TYPE observer_agent_clock_seconds gauge\nobserver_agent_clock_seconds {}\n# EOF\n",
        openmetrics(counted),
        env!("CARGO_PKG_VERSION"),
        now()
    )
}

/// What a recording counts.
fn recorded(name: &str) -> Result<(PathBuf, Counted)> {
    let path = root()
        .join("tests/recordings")
        .join(name)
        .with_extension("rec");
    let ended = run(&["replay", &path.to_string_lossy(), "-o", "json", "--quiet"])?;
    let counted = serde_json::from_str(ended.out.last().context("no summary")?)?;
    Ok((path, counted))
}

fn run(args: &[&str]) -> Result<Ended> {
    Process::start("observer", command(args)?)?.ended(SOON)
}

fn report(args: &[&str]) -> Result<Value> {
    let args = [&["report", "--format", "json"], args].concat();
    let ended = run(&args)?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    Ok(serde_json::from_str(&ended.out.join("\n"))?)
}

/// What must be the same from every source: all but where it came from, and examples.
fn numbers(report: &Value) -> Value {
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

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Records taken in, which tell that a page was scraped.
#[allow(clippy::cast_precision_loss)]
fn records(counted: &Counted) -> f64 {
    let series = counted
        .series
        .iter()
        .find(|s| s.metric == "observer_records_total");
    series.map_or(0.0, |s| s.count as f64)
}

fn sum(parts: &[&Counted]) -> Counted {
    let mut tally = Tally::default();
    for part in parts {
        tally.merge((*part).clone());
    }
    tally.counted()
}

#[test]
fn a_recording_its_output_an_agent_and_prometheus_tell_the_same() -> Result<()> {
    let test = "the same numbers from every source";
    if let Some(why) = Prometheus::missing() {
        skip(test, why);
        return Ok(());
    }
    let (flask, first) = recorded("flask")?;
    let (go, second) = recorded("go")?;
    let (threads, third) = recorded("threads")?;
    let agent = Agent::start(first.clone())?;
    let prometheus = Prometheus::start("same", &[agent.address])?;
    prometheus.has("observer_records_total", records(&first))?;
    // It goes on counting, then it restarts, and has soon counted more than before.
    let more = sum(&[&first, &second]);
    agent.count(None, more.clone());
    prometheus.has("observer_records_total", records(&more))?;
    agent.count(Some(now()), third.clone());
    prometheus.has("observer_records_total", records(&third))?;

    let [flask, go, threads] = [flask, go, threads].map(|p| p.to_string_lossy().into_owned());
    let recordings = report(&[&flask, &go, &threads])?;
    let server = report(&["--prometheus", &prometheus.url(), "--since", "10m"])?;
    assert_eq!(numbers(&server), numbers(&recordings));
    assert_eq!(server["sources"][0]["agents"][0]["agent"], "node-1");

    let asked = report(&["--agent", &agent.address.to_string()])?;
    let alone = report(&[&threads])?;
    assert_eq!(numbers(&asked), numbers(&alone));
    Ok(())
}

#[test]
fn only_what_was_counted_in_the_time_counts() -> Result<()> {
    let test = "a span of time";
    if let Some(why) = Prometheus::missing() {
        skip(test, why);
        return Ok(());
    }
    let (_, first) = recorded("flask")?;
    let (_, second) = recorded("go")?;
    let agent = Agent::start(first.clone())?;
    let prometheus = Prometheus::start("span", &[agent.address])?;
    prometheus.has("count_over_time(observer_records_total[1m]) > bool 4", 1.0)?;
    let began = Instant::now();
    let more = sum(&[&first, &second]);
    agent.count(None, more.clone());
    prometheus.has("observer_records_total", records(&more))?;
    // From between the last scrape of the old counts and the first of the new ones.
    let since = format!("{}ms", began.elapsed().as_millis());
    let told = report(&["--prometheus", &prometheus.url(), "--since", &since])?;
    let records: u64 = second
        .series
        .iter()
        .filter(|s: &&Series| s.metric == "observer_records_total")
        .map(|s| s.count)
        .sum();
    assert_eq!(told["records"], records);
    let services: Vec<&Value> = told["services"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| &s["name"])
        .collect();
    assert!(services.len() == 1, "{services:?}");
    Ok(())
}

#[test]
fn sources_that_fail_do_so_alone() -> Result<()> {
    let (path, _) = recorded("flask")?;
    let path = path.to_string_lossy();
    // Nobody listens there: the port was given to a listener that is gone.
    let away = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let ended = run(&[
        "report", "--format", "json", &path, "--agent", &away, "/nowhere",
    ])?;
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.err);
    let told: Value = serde_json::from_str(&ended.out.join("\n"))?;
    let states: Vec<&Value> = told["sources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| &s["state"])
        .collect();
    assert_eq!(states, ["complete", "unreachable", "unreachable"]);
    let ended = run(&["report", "--agent", &away])?;
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.err);
    let url = format!("http://{away}");
    let ended = run(&["report", "--prometheus", &url])?;
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.err);
    Ok(())
}

/// A fleet of hostile names, and as many services and edges as asked for.
fn fleet(services: usize, edges: usize) -> Value {
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
        for (verdict, calls) in [("propagated", 500), ("dropped", n % 11 * 5)] {
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

/// What the page of a fleet is like in a browser.
fn browse(services: usize, edges: usize) -> Result<Option<Value>> {
    let modules = root().join("tests/apps/browser");
    let test = format!("page of {services} services in Chromium");
    if !has("chromium") || !has("node") || !modules.join("node_modules").exists() {
        skip(&test, "chromium, node or playwright-core is not installed");
        return Ok(None);
    }
    let folder = root().join("target/e2e").join(format!("page-{services}"));
    std::fs::create_dir_all(&folder)?;
    let (counts, page) = (folder.join("counts.json"), folder.join("report.html"));
    std::fs::write(&counts, fleet(services, edges).to_string() + "\n")?;
    let began = Instant::now();
    let ended = run(&[
        "report",
        &counts.to_string_lossy(),
        "--format",
        "html",
        "--output",
        &page.to_string_lossy(),
    ])?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "made in {:?}",
        began.elapsed()
    );
    Ok(Some(told_by_browser(&modules, &page, &folder)?))
}

fn told_by_browser(modules: &Path, page: &Path, folder: &Path) -> Result<Value> {
    let mut node = Command::new("node");
    node.arg(modules.join("page.js"))
        .arg("/usr/bin/chromium")
        .arg(page)
        .arg(folder);
    let ended = Process::start("node", node)?.ended(Duration::from_secs(120))?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    Ok(serde_json::from_str(
        ended.out.last().context("nothing told")?,
    )?)
}

#[test]
fn the_page_works_for_everybody_and_lets_nothing_in() -> Result<()> {
    let Some(told) = browse(12, 30)? else {
        return Ok(());
    };
    for nothing in ["errors", "dialogs"] {
        assert_eq!(told[nothing], json!([]), "{told:#}");
    }
    let requests: BTreeMap<&str, ()> = told["requests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| Some((r.as_str()?, ())))
        .collect();
    assert!(
        requests.len() == 1 && requests.keys().all(|r| r.starts_with("file://")),
        "{told:#}"
    );
    assert_eq!(told["injected"], 0, "{told:#}");
    assert_eq!(told["scripts"], 1, "{told:#}");
    assert_eq!(told["cards"], 12, "{told:#}");
    assert_eq!(told["first"], "skip", "{told:#}");
    assert_eq!(
        told["reached"].as_array().and_then(|r| r.last()),
        Some(&json!("node")),
        "{told:#}"
    );
    assert_eq!(told["focused"], 1, "{told:#}");
    assert_eq!(
        (&told["filtered"], &told["unfiltered"]),
        (&json!(1), &json!(12)),
        "{told:#}"
    );
    assert_eq!(told["folded"], 0, "{told:#}");
    for view in ["desktop", "dark", "phone"] {
        let overflow = told["views"][view]["overflow"].as_i64();
        assert!(overflow.is_some_and(|o| o <= 0), "{view}: {told:#}");
    }
    assert_ne!(
        told["views"]["dark"]["background"],
        told["views"]["desktop"]["background"]
    );
    Ok(())
}

#[test]
fn the_page_of_a_large_fleet_stays_usable() -> Result<()> {
    let Some(told) = browse(200, 2_000)? else {
        return Ok(());
    };
    assert_eq!(told["errors"], json!([]), "{told:#}");
    assert_eq!(told["nodes"], 200, "{told:#}");
    let ready = told["views"]["desktop"]["ready"].as_u64();
    assert!(ready.is_some_and(|ms| ms < 10_000), "{told:#}");
    assert!(
        told["views"]["phone"]["overflow"]
            .as_i64()
            .is_some_and(|o| o <= 0),
        "{told:#}"
    );
    Ok(())
}
