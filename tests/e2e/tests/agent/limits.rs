//! What the agent may do, and what it may use.

use anyhow::{Context, Result, bail, ensure};
use observer_e2e::agent::{Agent, until};
use observer_e2e::app::App;
use observer_e2e::observer::unavailable;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::skip::skip;

use super::Bed;

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
