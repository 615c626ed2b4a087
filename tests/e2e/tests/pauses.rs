//! A server at its limit that is observed for a part of the time: nothing that happens in the pauses is taken for anything else.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::nginx::{self, STARTING};
use observer_e2e::observer::{Observer, replays};
use observer_e2e::run::{can_watch_unless, keep, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::missing;
use serde_json::Value;

const TEST: &str = "nginx in pauses";

/// Seconds of load: at least two windows with their pauses come meanwhile.
const SECONDS: u32 = 32;
/// Connections that last for the whole load. An estimate is of as many connections as are observed: of 32, a share of one in 256
/// observed none in most windows. Of these, in two windows, it is within 50 % of the truth at such a share, and within 15 % at one in 16
/// (one standard deviation).
const KEPT: usize = 512;

/// Whether the observer's link to the tracepoint is there (`link_type` and `tp_name` in fdinfo, Linux 5.8).
fn is_attached(pid: u32, tracepoint: &str) -> bool {
    let name = format!("tp_name:\t{tracepoint}\n");
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return false;
    };
    let texts = open.filter_map(|fd| fs::read_to_string(fd.ok()?.path()).ok());
    texts.into_iter().any(|text| text.contains(&name))
}

/// A client of a few connections that are closed and opened again all the time, and one that is kept.
struct Churn {
    url: String,
    kept: ureq::Agent,
    sent: u64,
}

impl Churn {
    fn send(&mut self, agent: &ureq::Agent) -> Result<()> {
        let n = self.sent;
        self.sent += 1;
        let url = format!("{}/churn?id=c{n}", self.url);
        let context = format!(
            "00-{:032x}-{:016x}-01",
            (1_u128 << 100) + u128::from(n),
            n + 1
        );
        let mut answer = agent.get(&url).header("traceparent", context).call()?;
        answer.body_mut().read_to_vec()?;
        Ok(())
    }

    /// A request on the connection that is kept, and some on a new one, whose descriptor was another's.
    fn turn(&mut self) -> Result<()> {
        let kept = self.kept.clone();
        self.send(&kept)?;
        let short = ureq::Agent::new_with_defaults();
        self.send(&short)?;
        self.send(&short)
    }
}

/// Calls that are given to another request than the one that was passed on.
fn mixed(told: &[Value]) -> Vec<String> {
    let exchanges = || told.iter().filter(|o| o["kind"] == "exchange");
    let target = |o: &Value| o["target"].as_str().unwrap_or_default().to_owned();
    let served: HashMap<&str, String> = exchanges()
        .filter(|o| o["role"] == "server")
        .filter_map(|o| Some((o["id"].as_str()?, target(o))))
        .collect();
    exchanges()
        .filter(|o| o["role"] == "client")
        .filter_map(|o| {
            let of = served.get(o["request"].as_str()?)?;
            (*of != target(o)).then(|| format!("{} of {of}", target(o)))
        })
        .collect()
}

#[test]
fn what_happens_in_pauses_is_taken_for_nothing_else() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(missing(&["nginx", "wrk"]), TEST) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let nginx = nginx::proxy(downstream.address(), "")?;
    let recording = nginx.folder().join("pauses.rec");
    let (pid, file) = (
        nginx.process.pid().to_string(),
        recording.display().to_string(),
    );
    let observer = Observer::watch_within("3%", ["--pid", &pid, "--record", &file])?;
    let watching = observer.process().pid();
    let direct = is_attached(watching, "sys_enter");
    let load = nginx::wrk(nginx.address, KEPT, SECONDS, 0)?;
    let mut churn = Churn {
        url: format!("http://{}", nginx.address),
        kept: ureq::Agent::new_with_defaults(),
        sent: 0,
    };
    // How often the probes were put back, and requests that were sent while they were away for sure.
    let (mut resumed, mut paused, mut unseen) = (0, false, HashSet::new());
    while load.wait(Duration::ZERO).is_none() {
        let before = !is_attached(watching, "sys_enter");
        let first = churn.sent;
        churn.turn()?;
        let away = before && !is_attached(watching, "sys_enter");
        if away && !is_attached(watching, "sys_exit") {
            unseen.extend((first..churn.sent).map(|n| format!("/churn?id=c{n}")));
        }
        resumed += u32::from(paused && !before);
        paused = before;
    }
    let answered = nginx::answered(&load.ended(STARTING)?)? + churn.sent;
    let told = observer.stop()?;
    keep("nginx-pauses", &told.out)?;

    replays(&file, &told.out)?;

    let told: Vec<Value> = (told.out.iter())
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    let summary = told.last().context("no summary")?;
    let sampling = &summary["sampling"];
    eprintln!(
        "{TEST}: {answered} requests, {} sent while it paused, resumed {resumed} times, {sampling}",
        unseen.len()
    );
    ensure!(sampling["watched_least"].as_f64() < Some(1.0), "{sampling}");
    ensure!(
        sampling["paused_ns"].as_u64() > Some(5_000_000_000),
        "{sampling}"
    );
    if direct {
        ensure!(resumed >= 2 && !unseen.is_empty(), "{resumed} {unseen:?}");
    }
    let seen = |o: &&Value| {
        o["target"]
            .as_str()
            .is_some_and(|target| unseen.contains(target))
    };
    let seen: Vec<_> = told.iter().filter(seen).collect();
    ensure!(seen.is_empty(), "seen in a pause: {seen:?}");

    let mixed = mixed(&told);
    ensure!(mixed.is_empty(), "{mixed:?}");
    let right = |verdicts: &Value, right: &str| {
        let verdicts = verdicts.as_object().cloned().unwrap_or_default();
        let wrong = |verdict: &&String| *verdict != right && *verdict != "inconclusive";
        ensure!(!verdicts.keys().any(|v| wrong(&v)), "{verdicts:?}");
        ensure!(
            verdicts.contains_key(right),
            "nothing {right}: {verdicts:?}"
        );
        Ok(())
    };
    right(&summary["verdicts"], "forwarded")?;
    right(&summary["log_verdicts"], "linked")?;

    let service = &summary["services"][0];
    let (estimated, unknown) = (
        &service["served_estimated"],
        &service["served_not_estimated"],
    );
    eprintln!(
        "{TEST}: {} requests seen, {estimated} estimated of {answered}, {unknown}",
        service["served"]
    );
    // What calls on the connections that were left out do not bear out is not told.
    if unknown["reason"] == "calls-disagree" {
        ensure!(estimated.is_null(), "{estimated}");
        return Ok(());
    }
    let bound = |name: &str| estimated[name].as_u64().context("no estimate");
    let (low, high) = (bound("low")?, bound("high")?);
    // The interval is that of connections. What it does not know: in windows the server answers fewer requests than in pauses, as it is
    // observed then, and of the time after the last window nothing is estimated.
    ensure!(
        (low / 2..=high * 2).contains(&answered),
        "{estimated} of {answered}"
    );
    Ok(())
}
