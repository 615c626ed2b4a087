//! Endpoints that fail in every way: one clear message, exact counts, and nothing else lost.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use observer_e2e::app::{App, root};
use observer_e2e::driver::{Clients, finish};
use observer_e2e::observer::{Observer, command};
use observer_e2e::otlp::{Answer, Collector, Fake, free_port};
use observer_e2e::process::{Ended, Process};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;

const TRACES: &str = "/v1/traces";

/// How long a replay and its export may take.
const LIMIT: Duration = Duration::from_secs(60);

fn recording() -> PathBuf {
    root().join("tests/recordings/flask.rec")
}

fn replay(more: &[&str]) -> Result<Command> {
    let mut replay = command(["replay", "--quiet", "--output", "json"])?;
    replay.arg(recording()).args(more);
    Ok(replay)
}

fn exported(endpoint: &str, more: &[&str]) -> Result<Ended> {
    let mut replay = replay(&["--otlp", endpoint])?;
    replay.args(more);
    Process::start("replay", replay)?.ended(LIMIT)
}

/// The line of standard error that begins so, which must be there exactly once.
fn said<'a>(ended: &'a Ended, part: &str) -> Result<&'a str> {
    let mut lines = ended.err.iter().filter(|line| line.contains(part));
    let first = lines.next();
    ensure!(lines.next().is_none(), "said twice: {:#?}", ended.err);
    first
        .map(String::as_str)
        .with_context(|| format!("no {part:?}: {:#?}", ended.err))
}

/// Spans that the recording makes.
fn spans() -> Result<usize> {
    let mut all = command(["replay", "--output", "json", "--spans", "bridge"])?;
    all.arg(recording());
    let ended = Process::start("replay", all)?.ended(LIMIT)?;
    Ok(ended
        .out
        .iter()
        .filter(|l| l.starts_with(r#"{"kind":"span""#))
        .count())
}

#[test]
fn an_endpoint_that_makes_no_sense_is_refused_at_once() -> Result<()> {
    for (endpoint, part) in [
        ("localhost:4318", "neither http:// nor https://"),
        ("http://", "empty host"),
        ("nonsense", "relative URL without a base"),
    ] {
        let ended = exported(endpoint, &[])?;
        ensure!(ended.status.code() == Some(2), "{:?}", ended.err);
        said(&ended, part)?;
    }
    Ok(())
}

#[test]
fn what_is_refused_is_counted_and_told_once() -> Result<()> {
    let fake = Fake::start(|path, _, _| match path {
        TRACES => Answer {
            body: b"no such tenant".to_vec(),
            ..Answer::status(403)
        },
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &[])?;
    ensure!(ended.status.success());
    said(&ended, "refuses them (403 Forbidden: no such tenant)")?;
    let n = spans()?;
    said(&ended, &format!("0 spans ({n} discarded: {n} refused)"))?;
    ensure!(fake.came(TRACES).len() == 1, "tried again");
    ensure!(!fake.came("/v1/logs").is_empty() && !fake.came("/v1/metrics").is_empty());
    Ok(())
}

#[test]
fn a_busy_endpoint_is_asked_again_when_it_says() -> Result<()> {
    let fake = Fake::start(|_, nth, _| match nth {
        0 => Answer {
            headers: "Retry-After: 1\r\n",
            ..Answer::status(429)
        },
        1 => Answer::status(503),
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, "429 Too Many Requests")?;
    said(&ended, "answers again")?;
    said(&ended, &format!("exported {} spans", spans()?))?;
    ensure!(fake.came(TRACES).len() == 3);
    Ok(())
}

#[test]
fn what_is_rejected_from_among_others_is_counted() -> Result<()> {
    let fake = Fake::start(|path, nth, _| match (path, nth) {
        (TRACES, 0) => Answer::partly(),
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &[])?;
    let n = spans()?;
    said(&ended, &format!("rejected 1 of {n}: too old"))?;
    said(
        &ended,
        &format!("{} spans (1 discarded: 1 rejected)", n - 1),
    )?;
    Ok(())
}

#[test]
fn requests_that_are_too_large_are_cut() -> Result<()> {
    let fake = Fake::start(|_, _, len| match len {
        0..8_000 => Answer::taken(),
        _ => Answer::status(413),
    })?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, &format!("exported {} spans", spans()?))?;
    ensure!(fake.came(TRACES).len() > 2, "not cut");
    // Not even one fits.
    let fake = Fake::start(|_, _, _| Answer::status(413))?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, "takes no request of this size")?;
    Ok(())
}

#[test]
fn nobody_there_and_no_tls_are_told_once() -> Result<()> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let ended = exported(&nobody, &[])?;
    ensure!(ended.status.success());
    said(&ended, "Connection refused")?;
    let n = spans()?;
    said(&ended, &format!("{n} not delivered in time"))?;
    let plain = Fake::start(|_, _, _| Answer::taken())?;
    let secure = plain.endpoint().replace("http://", "https://");
    for protocol in ["grpc", "http/protobuf"] {
        let ended = exported(&secure, &["--otlp-protocol", protocol])?;
        said(&ended, "it is tried again")?;
    }
    Ok(())
}

/// Resident memory of a process, KiB.
fn memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let number = line.and_then(|l| l.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).context("no VmRSS")
}

fn number_before(text: &str, word: &str) -> Option<u64> {
    let before = text.split(word).next()?;
    before
        .rsplit(|c: char| !c.is_ascii_digit())
        .find(|n| !n.is_empty())?
        .parse()
        .ok()
}

/// No collector under load: nothing is lost of what is watched, memory stays where it is, everything
/// is counted; and when a collector comes, it gets what comes then.
#[test]
fn a_collector_that_is_down_costs_nothing_but_its_spans() -> Result<()> {
    // The queues are full after half of them.
    const ROUNDS: usize = 8;
    const REQUESTS: usize = 2_000;
    let _turn = turn();
    if let Some(why) = Collector::missing() {
        skip("export under load", &why);
        return Ok(());
    }
    if !can_watch(App::THREADS, "export under load") {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let service = App::THREADS.start(downstream.address(), 0)?;
    let port = free_port()?;
    let observer = Observer::watch([
        "--pid",
        &service.process.pid().to_string(),
        "--otlp",
        &format!("http://127.0.0.1:{port}"),
        "--spans",
        "all",
    ])?;
    // No more than the program keeps up with when it is built without optimisation.
    let clients = Clients::new(2);
    let mut memories = Vec::new();
    for round in 0..ROUNDS {
        let started = Instant::now();
        clients.send(REQUESTS, |agent, i| {
            let address = service.address;
            finish(agent.get(format!("http://{address}/work?id=x{round}-{i}&mode=drop")))
        })?;
        let rate = REQUESTS as u128 * 1_000 / started.elapsed().as_millis().max(1);
        memories.push(memory(observer.process().pid())?);
        eprintln!(
            "export under load: {rate} requests/s, {} KiB",
            memories[round]
        );
    }
    let collector = Collector::on("down", port)?;
    collector.wait(LIMIT, |spans| spans.len() > 1_000)?;
    let told = observer.stop()?;
    said(&told, "Connection refused")?;
    said(&told, "answers again")?;
    let loss = told.out.iter().find(|l| l.starts_with(r#"{"kind":"loss""#));
    ensure!(loss.is_none(), "{loss:?}");
    let made = told
        .out
        .iter()
        .filter(|l| l.starts_with(r#"{"kind":"span""#))
        .count() as u64;
    let end = said(&told, "observer: exported")?;
    let spans = end.split(", ").next().unwrap_or_default();
    let accepted = number_before(end, " spans").context("no count")?;
    let discarded = number_before(spans, " discarded").unwrap_or(0);
    ensure!(
        accepted + discarded == made,
        "{made} spans were made: {end}"
    );
    let came = collector.wait(LIMIT, |s| s.len() as u64 >= accepted)?;
    ensure!(came.len() as u64 == accepted, "{} came: {end}", came.len());
    ensure!(discarded > 0, "the queues were never full: {end}");
    let (middle, last) = (memories[ROUNDS - 3], memories[ROUNDS - 1]);
    ensure!(last < middle + middle / 4, "memory grows: {memories:?} KiB");
    Ok(())
}
