//! Where counts come from.

use std::time::{Duration, Instant};

use anyhow::Result;
use observer_core::judged::counts::Series;
use observer_e2e::ports::free_address;
use observer_e2e::prometheus::Prometheus;
use observer_e2e::skip::skip;
use serde_json::Value;

use crate::counted::{Agent, now, numbers, recorded, records, report, run, sum};

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
    // After the first scrapes of the old counts; the first of the new ones comes a second or more after the last of these. So it is
    // between them for whoever begins to ask up to three seconds late.
    let began = Instant::now() - Duration::from_secs(2);
    let more = sum(&[&first, &second]);
    agent.count(None, more.clone());
    prometheus.has("observer_records_total", records(&more))?;
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
    // Nobody listens there.
    let away = free_address()?.to_string();
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
