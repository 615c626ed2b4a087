//! nginx as a reverse proxy under wrk: workers that share a thread among all requests.

use std::collections::HashSet;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use observer_e2e::nginx::{self, STARTING, proxy};
use observer_e2e::observer::{Observer, replays};
use observer_e2e::run::{can_watch_unless, keep, turn};
use observer_e2e::score::truth::{Done, Truth};
use observer_e2e::score::{Demand, Score, score, told};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::{missing, skip};
use rustix::process::Signal;
use serde_json::Value;

const STRIP: &str = "proxy_set_header traceparent \"\";";
const SECONDS: u32 = 2;

/// Requests that a slow machine makes in this time.
const LEAST: usize = 300;

fn wrk(address: SocketAddr, connections: usize) -> Result<()> {
    let delay = connections / 5;
    load(address, connections, SECONDS, delay).map(drop)
}

/// Loads it for `seconds`, with a pause of `delay` milliseconds before each request; returns how many were answered.
fn load(address: SocketAddr, connections: usize, seconds: u32, delay: usize) -> Result<u64> {
    let ended = nginx::wrk(address, connections, seconds, delay)?.ended(STARTING)?;
    eprintln!("{}", ended.out.join("\n"));
    nginx::answered(&ended)
}

const PROGRAMS: [&str; 2] = ["nginx", "wrk"];

/// The score, and how many requests there were.
fn watched(
    headers: &str,
    call_verdict: &'static str,
    connections: usize,
) -> Result<(Score, usize)> {
    let downstream = Downstream::start(Delay::NONE)?;
    let nginx = proxy(downstream.address(), headers)?;
    let observer = Observer::watch(["--pid", &nginx.process.pid().to_string()])?;
    wrk(nginx.address, connections)?;
    let told = observer.stop()?;
    keep(&format!("nginx-{call_verdict}-{connections}"), &told.out)?;
    let printed = nginx.process.stop(Signal::QUIT, STARTING)?.out;
    let received: HashSet<String> = downstream.take().into_iter().map(|r| r.target).collect();
    let requests = received.len();
    ensure!(requests >= LEAST, "only {requests} requests");
    let done = |target: &str, verdict| Done {
        request: target.to_owned(),
        verdict,
    };
    let line_target = |line: &str| Some(line.split(' ').nth(1)?.to_owned());
    let truth = Truth {
        requests: received.iter().map(|t| (t.clone(), None)).collect(),
        calls: received
            .iter()
            .map(|t| (t.clone(), done(t, call_verdict)))
            .collect(),
        lines: printed
            .iter()
            .filter_map(|line| Some((line.clone(), done(&line_target(line)?, "linked"))))
            .collect(),
    };
    let score = score(&truth, &told::read(&told.out).context("nginx")?);
    eprintln!("nginx {call_verdict} at {connections}:\n{score}");
    Ok((score, requests))
}

fn check(test: &str, headers: &str, verdict: &'static str, attributed: f64) -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(missing(&PROGRAMS), test) {
        return Ok(());
    }
    for connections in [16, 64] {
        let (score, requests) = watched(headers, verdict, connections)?;
        // The last request of each connection is cut off when wrk stops.
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let cut = connections as f64 / requests as f64;
        let demand = Demand {
            seen: 0.95 - cut,
            attributed,
            background: false,
        };
        score.meets(demand).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

#[test]
fn passing_the_header_on_is_not_accused() -> Result<()> {
    check("nginx passing", "", "forwarded", 0.9)
}

#[test]
fn stripping_the_header_is_judged_by_events() -> Result<()> {
    check("nginx stripping", STRIP, "dropped", 0.9)
}

/// The proxy by itself, without the observer.
#[test]
fn the_proxy_does_as_configured() -> Result<()> {
    let _turn = turn();
    if let Some(why) = missing(&PROGRAMS) {
        skip("nginx by itself", &why);
        return Ok(());
    }
    for (headers, carried) in [("", 1), (STRIP, 0)] {
        let downstream = Downstream::start(Delay::NONE)?;
        let nginx = proxy(downstream.address(), headers)?;
        wrk(nginx.address, 16)?;
        let printed = nginx.process.stop(Signal::QUIT, STARTING)?.out;
        let received = downstream.take();
        ensure!(received.len() >= LEAST, "only {} requests", received.len());
        for call in &received {
            ensure!(call.traceparent.len() == carried, "carried {call:?}");
        }
        ensure!(printed.len() >= LEAST, "only {} lines", printed.len());
        ensure!(
            !printed.iter().any(|line| line.contains("trace_id=-")),
            "lines without the trace"
        );
    }
    Ok(())
}

/// Seconds of load at the limit: a window of time ends meanwhile.
const AT_THE_LIMIT: u32 = 14;

/// Connections that last for the whole load.
const KEPT: usize = 32;

/// A share of connections is observed, as was asked for, and that is told; nothing is accused, little or nothing is lost, and the
/// recording holds all that was decided.
#[test]
fn at_its_limit_a_share_of_a_server_is_observed_and_nothing_is_accused() -> Result<()> {
    const TEST: &str = "nginx at its limit";
    let _turn = turn();
    if !can_watch_unless(missing(&PROGRAMS), TEST) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let nginx = proxy(downstream.address(), "")?;
    let recording = nginx.folder().join("limit.rec");
    let (pid, file) = (
        nginx.process.pid().to_string(),
        recording.display().to_string(),
    );
    // More than it can take: the share falls because of the ring alone.
    let args = ["--pid", &pid, "--record", &file, "--sample", "0.125"];
    let observer = Observer::watch_within("400%", args)?;
    let answered = load(nginx.address, KEPT, AT_THE_LIMIT, 0)?;
    let told = observer.stop()?;
    replays(&file, &told.out)?;

    let summary: Value = serde_json::from_str(told.out.last().context("no summary")?)?;
    eprintln!("{TEST}: {answered} requests, {}", summary["sampling"]);
    let shares: Vec<f64> = (told.out.iter())
        .filter(|line| line.contains("\"kind\":\"sampling\""))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["share"].as_f64())
        .collect();
    let lowest = shares.iter().copied().fold(1.0, f64::min);
    ensure!(lowest < 1.0, "everything was observed: {shares:?}");
    ensure!(
        summary["sampling"]["lowest"].as_f64() == Some(lowest),
        "{summary}"
    );
    ensure!(
        summary["sampling"]["log_writes_left_out"].as_u64() > Some(0),
        "{summary}"
    );
    let left_out = |o: &Value| o["protocol"] == "left-out" && o["connections"].as_u64() > Some(0);
    let not_observed = summary["not_observed"].as_array().context("no list")?;
    ensure!(not_observed.iter().any(left_out), "{not_observed:?}");

    let verdicts = summary["verdicts"].as_object().context("no verdicts")?;
    let right = |verdict: &str| matches!(verdict, "forwarded" | "inconclusive");
    ensure!(
        verdicts.keys().all(|verdict| right(verdict)),
        "{verdicts:?}"
    );
    ensure!(verdicts["forwarded"].as_u64() > Some(0), "{verdicts:?}");
    let lines = summary["log_verdicts"].as_object().context("no verdicts")?;
    let right = |verdict: &str| matches!(verdict, "linked" | "inconclusive");
    ensure!(lines.keys().all(|verdict| right(verdict)), "{lines:?}");

    let records = summary["records"].as_u64().context("no records")?;
    let losses = summary["losses"].as_array().context("no losses")?;
    let lost = losses.iter().filter(|loss| loss["what"] == "records");
    let lost: u64 = lost.filter_map(|loss| loss["count"].as_u64()).sum();
    eprintln!("{TEST}: {records} records, {lost} lost");
    ensure!(
        lost <= records / 20,
        "{lost} of {records} records were lost"
    );
    Ok(())
}
