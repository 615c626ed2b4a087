//! The wall: three services in one process, no propagation, and log lines that a queue's thread writes.
//! Every line is given to its request and every request to its parent request, all right.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::{App, Service, root};
use observer_e2e::driver::{Clients, finish};
use observer_e2e::observer::Observer;
use observer_e2e::plan::{Inbound, Mix, Mode, Planned};
use observer_e2e::run::{can_watch, keep, turn};
use observer_e2e::score::truth::{Done, Truth};
use observer_e2e::score::{Demand, score, told};
use observer_e2e::server::{Delay, Downstream};
use rustix::process::Signal;

const CHECKOUTS: usize = 300;

/// Every checkout makes these calls: path and hop of the call, and of the request that makes it.
const CALLS: [(&str, &str, &str, &str); 5] = [
    ("cart", "gc", "checkout", "u"),
    ("quote", "gq", "checkout", "u"),
    ("pay", "cp", "cart", "gc"),
    ("stock", "cs", "cart", "gc"),
    ("bank", "pb", "pay", "cp"),
];

/// The calls that another of the three services gets.
const INNER: usize = 3;

const LINES_PER_REQUEST: usize = 4;

fn target(path: &str, id: &str, hop: &str) -> String {
    format!("/{path}?id={id}&hop={hop}")
}

fn plan() -> Vec<Planned> {
    let mut plan = Mix::only(Mode::Drop).plan("q", CHECKOUTS, 1);
    // Half of the users send no context either, as in a system that knows of no tracing at all.
    for planned in plan.iter_mut().step_by(2) {
        planned.inbound = Inbound::None;
    }
    plan
}

/// The context reaches the gateway and no further.
fn verdicts(planned: &Planned, path: &str) -> (&'static str, &'static str) {
    match planned.inbound {
        Inbound::Valid(_) if path == "checkout" => ("dropped", "missing"),
        _ => ("absent", "absent"),
    }
}

fn truth(plan: &[Planned], lines: &[String]) -> Result<Truth> {
    let mut truth = Truth::default();
    for planned in plan {
        let id = planned.id.as_str();
        truth.requests.insert(target("checkout", id, "u"), None);
        for (i, (path, hop, by, by_hop)) in CALLS.into_iter().enumerate() {
            let call = target(path, id, hop);
            if i < INNER {
                truth.requests.insert(call.clone(), Some(call.clone()));
            }
            let (verdict, _) = verdicts(planned, by);
            let request = target(by, id, by_hop);
            truth.calls.insert(call, Done { request, verdict });
        }
    }
    let by_id: HashMap<&str, &Planned> = plan.iter().map(|p| (p.id.as_str(), p)).collect();
    for line in lines {
        let (id, path, hop) = line_owner(line).with_context(|| format!("no owner: {line}"))?;
        let (_, verdict) = verdicts(by_id[id], path);
        let request = target(path, id, hop);
        truth.lines.insert(line.clone(), Done { request, verdict });
    }
    Ok(truth)
}

/// Truth id, path and hop of the request that a line was written for.
fn line_owner(line: &str) -> Option<(&str, &'static str, &str)> {
    let (_, rest) = line.split_once(" id=")?;
    let (id, rest) = rest.split_once(" hop=")?;
    let hop = rest.split(['"', '\\']).next()?;
    let path = match hop {
        "u" => "checkout",
        "gc" => "cart",
        "gq" => "quote",
        "cp" => "pay",
        _ => return None,
    };
    Some((id, path, hop))
}

struct Wall {
    service: Service,
    log_file: PathBuf,
    // Kept for as long as the services call it.
    _downstream: Downstream,
}

impl Wall {
    fn start(name: &str) -> Result<Self> {
        let downstream = Downstream::start(Delay::UNEVEN)?;
        let folder = root().join("target/e2e");
        std::fs::create_dir_all(&folder)?;
        let log_file = folder.join(format!("{name}-{}.log", std::process::id()));
        let service = App::WALL.start_with(downstream.address(), 0, |command| {
            command.env("LOG_FILE", &log_file);
        })?;
        Ok(Self {
            service,
            log_file,
            _downstream: downstream,
        })
    }

    fn drive(&self, plan: &[Planned]) -> Result<Duration> {
        let service = self.service.address;
        Clients::new(16).send(plan.len(), |agent, i| {
            let url = format!("http://{service}{}", target("checkout", &plan[i].id, "u"));
            let request = agent.get(url);
            finish(match plan[i].inbound.header() {
                Some(traceparent) => request.header("traceparent", traceparent),
                None => request,
            })
        })
    }

    /// Waits for the last line to be written, then returns them all.
    fn lines(&self, wanted: usize) -> Result<Vec<String>> {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let text = std::fs::read_to_string(&self.log_file)?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.len() >= wanted && text.ends_with('\n') {
                return Ok(lines);
            }
            ensure!(
                std::time::Instant::now() < deadline,
                "only {} lines",
                lines.len()
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        let _ = self.service.process.signal(Signal::TERM);
        let _ = std::fs::remove_file(&self.log_file);
    }
}

#[test]
fn the_services_do_as_they_should() -> Result<()> {
    let _turn = turn();
    if let Some(why) = App::WALL.missing() {
        observer_e2e::skip::skip("wall by itself", &why);
        return Ok(());
    }
    let wall = Wall::start("wall-alone")?;
    let plan = plan();
    let took = wall.drive(&plan)?;
    let lines = wall.lines(CHECKOUTS * (INNER + 1) * LINES_PER_REQUEST)?;
    eprintln!("wall: {CHECKOUTS} checkouts in {took:?}");
    let truth = truth(&plan, &lines)?;
    assert_eq!(
        truth.lines.len(),
        CHECKOUTS * (INNER + 1) * LINES_PER_REQUEST
    );
    assert_eq!(truth.requests.len(), CHECKOUTS * (INNER + 1));
    Ok(())
}

#[test]
fn every_line_and_every_request_finds_its_request() -> Result<()> {
    let _turn = turn();
    if !can_watch(App::WALL, "wall") {
        return Ok(());
    }
    let wall = Wall::start("wall")?;
    let pid = wall.service.process.pid().to_string();
    let observer = Observer::watch(["--pid", &pid, "--spans", "bridge"])?;
    let plan = plan();
    wall.drive(&plan)?;
    let lines = wall.lines(CHECKOUTS * (INNER + 1) * LINES_PER_REQUEST)?;
    let told = observer.stop()?;
    keep("wall", &told.out)?;
    let score = score(&truth(&plan, &lines)?, &told::read(&told.out)?);
    let all = Demand {
        seen: 1.0,
        attributed: 1.0,
        background: false,
    };
    score.meets(all).map_err(anyhow::Error::msg)?;
    ensure!(
        score.requests.right == CHECKOUTS * INNER,
        "not every request found its parent:\n{score}"
    );
    healed(&plan, &told.out)
}

/// Each checkout is one trace, the one that it came in with if it did: a server span of each request, and a
/// client span of each call, one below the other.
fn healed(plan: &[Planned], out: &[String]) -> Result<()> {
    let mut spans: HashMap<String, Vec<serde_json::Value>> = HashMap::new();
    for line in out.iter().filter(|l| l.starts_with(r#"{"kind":"span""#)) {
        let id = line.split_once("?id=").or_else(|| line.split_once("\"id="));
        let (_, id) = id.with_context(|| format!("whose? {line}"))?;
        let id = id.split(['&', '"']).next().unwrap_or_default().to_owned();
        spans
            .entry(id)
            .or_default()
            .push(serde_json::from_str(line)?);
    }
    for planned in plan {
        let own = spans.get(&planned.id).map_or(&[][..], Vec::as_slice);
        let all = 1 + INNER + CALLS.len();
        ensure!(own.len() == all, "{}: {} spans", planned.id, own.len());
        let trace = &own[0]["trace_id"];
        ensure!(own.iter().all(|s| s["trace_id"] == *trace), "{own:#?}");
        let above =
            |s: &&serde_json::Value| own.iter().any(|p| p["span_id"] == s["parent_span_id"]);
        let tops: Vec<_> = own.iter().filter(|s| !above(s)).collect();
        ensure!(tops.len() == 1, "{}: {tops:#?}", planned.id);
        let came = planned
            .inbound
            .header()
            .map(|h| h.split('-').collect::<Vec<_>>());
        let parent = came.as_ref().map(|c| c[2]);
        ensure!(tops[0]["parent_span_id"].as_str() == parent, "{tops:#?}");
        ensure!(came.is_none_or(|c| *trace == c[1]), "{trace}");
    }
    Ok(())
}
