//! The agent on real services: its counts are those of the workload, it can be told to change, and it ends as
//! it should.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use observer_e2e::agent::{Agent, LIMIT, until};
use observer_e2e::app::{App, Service};
use observer_e2e::driver::Clients;
use observer_e2e::nginx::missing;
use observer_e2e::observer::{command, unavailable};
use observer_e2e::plan::{Mix, Mode, Planned};
use observer_e2e::process::Process;
use observer_e2e::prometheus::Prometheus;
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;

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

fn can_run(test: &str) -> bool {
    match unavailable() {
        Some(why) => {
            skip(test, why);
            false
        }
        None => true,
    }
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

fn report(source: &[&str]) -> Result<serde_json::Value> {
    let mut run = command(["report", "--format", "json"])?;
    run.args(source);
    let ended = Process::start("report", run)?.ended(LIMIT)?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    Ok(serde_json::from_str(&ended.out.join("\n"))?)
}

/// Calls of a report to `peer` by verdict.
fn reported(source: &[&str], peer: SocketAddr) -> Result<BTreeMap<String, u64>> {
    let report = report(source)?;
    let edges = report["edges"].as_array().context("no edges")?;
    let edge = edges
        .iter()
        .find(|edge| edge["peer"]["name"] == peer.to_string());
    let edge = edge.with_context(|| format!("no edge to {peer}: {report}"))?;
    Ok(serde_json::from_value(edge["verdicts"].clone())?)
}

/// Two agents, each with a service of its own, and a Prometheus that scrapes both.
#[test]
fn reports_of_agents_and_of_their_prometheus_are_those_of_the_workload() -> Result<()> {
    let test = "reports of agents";
    let _turn = turn();
    if let Some(why) = Prometheus::missing() {
        skip(test, why);
        return Ok(());
    }
    if !can_watch(App::THREADS, test) || !can_watch(App::FLASK, test) {
        return Ok(());
    }
    let beds = [Bed::start(App::THREADS, 3)?, Bed::start(App::FLASK, 4)?];
    let only = |bed: &Bed| format!("include: [{{port: {}}}]\n", bed.service.address.port());
    let agents = [
        Agent::start("report-1", &only(&beds[0]))?,
        Agent::start("report-2", &only(&beds[1]))?,
    ];
    let prometheus = Prometheus::start("agents", &agents.each_ref().map(|a| a.address))?;
    // A counter's first sample is what it is counted from.
    prometheus.has("count(observer_agent_info)", 2.0)?;
    for bed in &beds {
        bed.drive()?;
    }
    for (agent, bed) in agents.iter().zip(&beds) {
        let (peer, truth) = (bed.downstream.address(), bed.truth());
        until("counts", || Ok(judged(agent.calls(peer)?) == truth))?;
        let address = agent.address.to_string();
        let told = judged(reported(&["--agent", &address], peer)?);
        ensure!(told == truth, "{told:?} instead of {truth:?}");
        let query = format!(
            r#"sum(observer_calls_total{{peer_name="{peer}",verdict!~"inconclusive|absent|originated"}})"#
        );
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        prometheus.has(&query, truth.values().sum::<u64>() as f64)?;
    }
    let url = prometheus.url();
    for bed in &beds {
        let source = ["--prometheus", &url, "--since", "10m"];
        let told = judged(reported(&source, bed.downstream.address())?);
        ensure!(told == bed.truth(), "{told:?} instead of {:?}", bed.truth());
    }
    agents.into_iter().try_for_each(Agent::end)
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

#[test]
fn threads_have_only_the_privileges_that_they_need() -> Result<()> {
    let _turn = turn();
    if !can_run("privileges of the agent") {
        return Ok(());
    }
    // The numbers of CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF.
    let most = [2, 19, 21, 38, 39]
        .iter()
        .fold(0_u64, |all, cap| all | 1 << cap);
    let agent = Agent::start(
        "privileges",
        "include: [{exe: /no/such}]\nprivileges: {attach: false}\n",
    )?;
    let tasks = format!("/proc/{}/task", agent.process.pid());
    for task in std::fs::read_dir(tasks)? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        let status = std::fs::read_to_string(task.join("status"))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let caps = u64::from_str_radix(field("CapPrm:").context("CapPrm")?, 16)?;
        ensure!(caps & !most == 0, "{name} has {caps:x}");
        ensure!(
            field("NoNewPrivs:") == Some("1"),
            "{name} may gain privileges"
        );
        let (session, http) = (name.trim() == "observer", name.trim() == "http");
        ensure!(!http || caps == 0, "http has {caps:x}");
        ensure!(!session || caps & 1 << 21 == 0, "CAP_SYS_ADMIN is kept");
    }
    agent.end()
}

#[test]
fn above_its_budget_it_observes_less_says_so_and_accuses_nobody() -> Result<()> {
    let _turn = turn();
    if !can_watch(App::THREADS, "agent above its budget") {
        return Ok(());
    }
    let mut bed = Bed::start(App::THREADS, 3)?;
    bed.plan = Mix::only(Mode::Propagate).plan("b", 400, 3);
    let rule = format!("include: [{{port: {}}}]\n", bed.service.address.port());
    // A ceiling that is exceeded in any case.
    let agent = Agent::start("budget", &format!("{rule}budget: {{memory: 1Mi}}\n"))?;
    agent.said("the budget is used up: ")?;
    bed.drive()?;
    let mut page = String::new();
    until("connections that are left out", || {
        page = agent.get("/metrics", "text/plain")?;
        Ok(page.contains("protocol=\"left-out\""))
    })?;
    let ratio = page
        .lines()
        .find_map(|line| line.strip_prefix("observer_agent_sampling_ratio "));
    ensure!(ratio.context("no ratio")?.parse::<f64>()? < 1.0, "{page}");
    for accusation in ["dropped", "restarted", "crossed", "mangled"] {
        let calls = agent.calls(bed.downstream.address())?;
        if calls.contains_key(accusation) {
            bail!("{accusation}: {calls:?}");
        }
    }
    ensure!(
        agent
            .get("/", "*/*")?
            .contains("only a share of connections is observed")
    );
    agent.end()
}

/// What a report says of the service that calls `peer`: requests and calls, each with the estimate of all.
fn estimates(source: &[&str], peer: SocketAddr) -> Result<[serde_json::Value; 4]> {
    let report = report(source)?;
    let all = |what: &str| report[what].as_array().context("an array").cloned();
    let is_peer = |edge: &serde_json::Value| edge["peer"]["name"] == peer.to_string();
    let edge = all("edges")?.into_iter().find(is_peer).context("no edge")?;
    let is_service = |service: &serde_json::Value| service["name"] == edge["service"]["name"];
    let service = all("services")?.into_iter().find(is_service);
    let service = service.context("no service")?;
    Ok([
        service["requests"].clone(),
        service["requests_estimated"].clone(),
        edge["calls"].clone(),
        edge["calls_estimated"].clone(),
    ])
}

/// One half of the connections is observed, and each request comes on a connection of its own.
#[test]
fn what_sampling_leaves_out_is_estimated_alike_by_all_sources() -> Result<()> {
    const REQUESTS: u64 = 240;
    let test = "estimates of what sampling leaves out";
    let _turn = turn();
    if let Some(why) = Prometheus::missing() {
        skip(test, why);
        return Ok(());
    }
    if !can_watch(App::THREADS, test) {
        return Ok(());
    }
    let mut bed = Bed::start(App::THREADS, 5)?;
    bed.plan = Mix::only(Mode::Propagate).plan("e", usize::try_from(REQUESTS)?, 5);
    let (port, peer) = (bed.service.address.port(), bed.downstream.address());
    let output = observer_e2e::app::root().join("target/agent-sampled.json");
    let _ = std::fs::remove_file(&output);
    let agent = Agent::start(
        "sampled",
        &format!(
            "include: [{{port: {port}}}]\nbudget: {{sample: 0.5}}\njson: {{file: {}}}\n",
            output.display()
        ),
    )?;
    agent.said("as was asked for: 50.0 % of connections are observed")?;
    let prometheus = Prometheus::start("sampled", &[agent.address])?;
    prometheus.has("count(observer_agent_info)", 1.0)?;
    for one in bed.plan.chunks(1) {
        Clients::new(1).drive(bed.service.address, one)?;
    }
    // Each was observed, or its connection left out.
    let sum = |metric: &str, label: &str| -> Result<u64> {
        let page = agent.get("/metrics", "text/plain")?;
        let rows = page
            .lines()
            .filter(|l| l.starts_with(metric) && l.contains(label));
        let counts =
            rows.map(|row| Ok(row.rsplit_once(' ').context("no count")?.1.parse::<u64>()?));
        counts.sum()
    };
    let requests = || sum("observer_requests_total{", "");
    // A page is of one tick: what stays the same over some of them is all.
    let (mut last, mut same) = (0, 0);
    until("every request", || {
        let now = requests()?;
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        Ok(same == 20)
    })?;
    let observed = requests()?;
    ensure!(sum("observer_left_out_requests_total{", "")? == observed);
    ensure!(sum("observer_left_out_requests_variance_total{", "")? == 2 * observed);
    // Each had a chance of one half: a standard deviation of 8.
    ensure!(
        observed.abs_diff(REQUESTS / 2) < 50,
        "{observed} of {REQUESTS}"
    );
    let address = agent.address.to_string();
    let told = estimates(&["--agent", &address], peer)?;
    ensure!(told[0] == observed, "{told:?}");
    // Beyond three standard deviations, once in 370 runs, calls on the connections that were left out say that it is not known.
    let is_doubtful = observed.abs_diff(REQUESTS / 2) > 2 * 8;
    if !(is_doubtful && told[1].is_null()) {
        ensure!(told[1]["n"] == 2 * observed, "{told:?}");
    }
    // Calls come on few connections, so it is often not known of how many they are a part.
    let (calls, all) = (&told[2], &told[3]);
    ensure!(
        all.is_null() || all["n"].as_u64() > calls.as_u64(),
        "{told:?}"
    );
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    prometheus.has("sum(observer_requests_total)", observed as f64)?;
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    prometheus.has(
        "sum({__name__=~\"observer_(left_out_)?requests_total\"})",
        2.0 * observed as f64,
    )?;
    let url = prometheus.url();
    let kept = estimates(&["--prometheus", &url, "--since", "10m"], peer)?;
    // Calls go on: the service has work of its own.
    ensure!(
        kept[..2] == told[..2],
        "{kept:?} from Prometheus, {told:?} from the agent"
    );
    agent.end()?;
    let written = estimates(&[output.to_str().context("a path")?], peer)?;
    ensure!(
        written[..2] == told[..2],
        "{written:?} from the output, {told:?} from the agent"
    );
    std::fs::remove_file(&output)?;
    Ok(())
}
