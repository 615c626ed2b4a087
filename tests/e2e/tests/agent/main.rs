//! The agent on real services: its counts are those of the workload, it can be told to change, and it ends as
//! it should.

mod limits;
mod reports;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use observer_e2e::agent::{Agent, LIMIT, until};
use observer_e2e::app::{App, Service};
use observer_e2e::driver::Clients;
use observer_e2e::observer::command;
use observer_e2e::plan::{Mix, Planned};
use observer_e2e::process::Process;
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::{missing, skip};

/// A service with its own downstream, by whose address its calls are told from others.
struct Bed {
    service: Service,
    downstream: Downstream,
    plan: Vec<Planned>,
}

impl Bed {
    fn start(app: App, seed: u64) -> Result<Self> {
        let downstream = Downstream::start(Delay::NONE)?;
        let service = app.start(downstream.address(), 4)?;
        let mix = Mix {
            without_context: false,
            ..Mix::everything()
        };
        Ok(Self {
            service,
            downstream,
            plan: mix.plan("a", 120, seed),
        })
    }

    fn drive(&self) -> Result<()> {
        Clients::new(1)
            .drive(self.service.address, &self.plan)
            .map(drop)
    }

    /// Calls that were asked for, by the verdict that they should get.
    fn truth(&self) -> BTreeMap<String, u64> {
        let mut calls = BTreeMap::new();
        for one in &self.plan {
            *calls.entry(one.call_verdict().to_owned()).or_default() += u64::from(one.calls);
        }
        calls
    }
}

/// What the lots of calls were judged, that were judged: background work has verdicts of its own.
fn judged(mut calls: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    calls
        .retain(|verdict, _| !matches!(verdict.as_str(), "inconclusive" | "absent" | "originated"));
    calls
}

#[test]
fn the_counts_of_each_service_are_those_of_its_workload() -> Result<()> {
    let _turn = turn();
    let apps = [App::THREADS, App::FLASK, App::GO];
    let apps: Vec<App> = apps
        .into_iter()
        .filter(|app| can_watch(*app, &format!("agent on {}", app.name())))
        .collect();
    if apps.is_empty() {
        return Ok(());
    }
    let beds: Vec<Bed> = apps
        .iter()
        .zip(7..)
        .map(|(app, seed)| Bed::start(*app, seed))
        .collect::<Result<_>>()?;
    let rules: Vec<String> = beds
        .iter()
        .map(|bed| format!("- port: {}", bed.service.address.port()))
        .collect();
    let agent = Agent::start("counts", &format!("include:\n{}\n", rules.join("\n")))?;
    ensure!(agent.get("/readyz", "*/*")? == "ready\n");
    for bed in &beds {
        bed.drive()?;
    }
    for (app, bed) in apps.iter().zip(&beds) {
        let truth = bed.truth();
        let mut last = BTreeMap::new();
        let seen = until("counts", || {
            last = judged(agent.calls(bed.downstream.address())?);
            Ok(last == truth)
        });
        seen.with_context(|| format!("{}: {last:?} instead of {truth:?}", app.name()))?;
    }
    let open = agent.get("/metrics", "application/openmetrics-text")?;
    ensure!(
        open.ends_with("# EOF\n") && open.contains(" # {trace_id=\""),
        "{open}"
    );
    ensure!(open.contains("observer_agent_ring_lost_total 0"), "{open}");
    let json = agent.get("/api/v1/counts", "*/*")?;
    ensure!(serde_json::from_str::<serde_json::Value>(&json)?["version"] == 1);
    accepted_by_promtool(&agent.get("/metrics", "text/plain")?)?;
    agent.end()
}

/// Prometheus' own tool finds nothing wrong with the page.
fn accepted_by_promtool(page: &str) -> Result<()> {
    if let Some(why) = missing(&["promtool"]) {
        skip("the page of metrics under promtool", &why);
        return Ok(());
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool
        .stdin
        .take()
        .context("a pipe")?
        .write_all(page.as_bytes())?;
    let ended = promtool.wait_with_output()?;
    ensure!(
        ended.status.success(),
        "{}\n{page}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}

#[test]
fn a_reload_changes_who_is_observed_and_a_wrong_file_changes_nothing() -> Result<()> {
    let _turn = turn();
    if !can_watch(App::THREADS, "agent reload") {
        return Ok(());
    }
    let (one, two) = (Bed::start(App::THREADS, 1)?, Bed::start(App::THREADS, 2)?);
    let only = |bed: &Bed| format!("include: [{{port: {}}}]\n", bed.service.address.port());
    let agent = Agent::start("reload", &only(&one))?;
    agent.configure("include: [{prot: 1}]\n")?;
    agent.said("1:12: unknown key `prot`; did you mean `port`?")?;
    agent.said("the configuration before it stays in force")?;
    until("the status page", || {
        let page = agent.get("/", "*/*")?;
        Ok(page.contains("the configuration was changed, but is wrong"))
    })?;
    one.drive()?;
    until("the first", || {
        Ok(judged(agent.calls(one.downstream.address())?) == one.truth())
    })?;
    agent.configure(&only(&two))?;
    agent.said("the configuration was read again")?;
    // What changes is looked for some times a second: a request is made until one is seen.
    until("the second", || {
        two.drive()?;
        Ok(!agent.calls(two.downstream.address())?.is_empty())
    })?;
    let before = judged(agent.calls(one.downstream.address())?);
    one.drive()?;
    two.drive()?;
    let seen = judged(agent.calls(two.downstream.address())?)
        .values()
        .sum::<u64>();
    until("more of the second", || {
        Ok(judged(agent.calls(two.downstream.address())?)
            .values()
            .sum::<u64>()
            >= seen)
    })?;
    let after = judged(agent.calls(one.downstream.address())?);
    ensure!(after == before, "who was left is still counted");
    agent.end()
}

#[test]
fn what_can_not_be_is_said_at_once() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for (args, part) in [
        (
            ["--metrics-listen", address.as_str()],
            "is taken by another program",
        ),
        (["--metrics-listen", "nowhere"], "is no address"),
        (["--include", "port=x"], "is no TCP port"),
        (["--config", "/no/such"], "can't be read"),
    ] {
        let ended =
            Process::start("agent", command(["agent"].iter().chain(&args))?)?.ended(LIMIT)?;
        ensure!(
            ended.status.code() == Some(2),
            "{args:?}: {:?}",
            ended.status
        );
        ensure!(
            ended.err.iter().any(|line| line.contains(part)),
            "{args:?}: {:#?}",
            ended.err
        );
    }
    Ok(())
}
