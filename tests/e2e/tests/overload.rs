//! A collector that is down while the services are under load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use observer_e2e::app::App;
use observer_e2e::driver::{Clients, finish};
use observer_e2e::observer::Observer;
use observer_e2e::otlp::Collector;
use observer_e2e::ports::free_port;
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;

/// How long the collector is down, seconds.
const DOWN: usize = 60;
/// Requests in each second, unless the machine takes longer for them.
const RATE: usize = 2_000;
/// Calls that each request makes.
const CALLS: u64 = 1;
/// Seconds of load after the collector came back, at most: it is asked again after 10 at the latest.
const BACK: usize = 40;

/// How long it may take to export what waits.
const LIMIT: Duration = Duration::from_secs(60);

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

/// What the trace-ids of a second's requests begin with.
fn traces_of(second: usize) -> String {
    format!("{:016x}", second + 1)
}

/// The requests of one second, and no sooner the next second's.
fn second(clients: &Clients, service: &str, second: usize) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(1);
    clients.send(RATE, |agent, i| {
        let query = format!("id=s{second}-{i}&mode=drop&calls={CALLS}&log=missing");
        let url = format!("http://{service}/work?{query}");
        let traceparent = format!("00-{}{:016x}-{:016x}-01", traces_of(second), i + 1, i + 1);
        finish(agent.get(url).header("traceparent", traceparent))
    })?;
    // The pace of the load; nothing is waited for.
    thread::sleep(end.saturating_duration_since(Instant::now()));
    Ok(())
}

/// Calls made for requests that came since the last time; the service makes others as well.
fn of_requests(downstream: &Downstream) -> u64 {
    let received = downstream.take();
    received.iter().filter(|r| r.id().is_some()).count() as u64
}

/// The line of `lines` with `part` in it, which must be there exactly once.
fn said<'a>(lines: &'a [String], part: &str) -> Result<&'a str> {
    let found: Vec<_> = lines.iter().filter(|line| line.contains(part)).collect();
    ensure!(
        found.len() == 1,
        "{part:?} is there {} times: {lines:#?}",
        found.len()
    );
    Ok(found[0])
}

/// Nothing is lost of what is watched, memory stays where it is, everything is counted; and when the
/// collector comes, it gets what comes then.
#[test]
fn a_collector_that_is_down_for_a_minute_costs_nothing_but_its_spans() -> Result<()> {
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
    let address = service.address.to_string();
    let port = free_port()?;
    let pid = service.process.pid().to_string();
    let endpoint = format!("http://127.0.0.1:{port}");
    let observer = Observer::watch([
        "--pid", &pid, "--quiet", "--otlp", &endpoint, "--spans", "all",
    ])?;
    let clients = Clients::new(4);
    let started = Instant::now();
    let mut memories = Vec::new();
    let mut received = 0;
    for at in 0..DOWN {
        second(&clients, &address, at)?;
        memories.push(memory(observer.process().pid())?);
        received += of_requests(&downstream);
    }
    let took = started.elapsed().as_secs_f64();
    eprintln!(
        "export under load: {:.0} requests/s for {took:.1} s",
        (DOWN * RATE) as f64 / took
    );
    let collector = Collector::on("down", port)?;
    let mut seconds = DOWN;
    let back = traces_of(DOWN);
    // Until there is room for new spans again.
    while !collector.spans()?.iter().any(|s| s.trace[..16] >= *back) {
        ensure!(seconds < DOWN + BACK, "it does not recover");
        second(&clients, &address, seconds)?;
        seconds += 1;
    }
    let told = observer.stop()?;
    said(&told.err, "Connection refused")?;
    said(&told.err, "answers again")?;

    // What the workload was is known: the summary has all of it.
    let summary: serde_json::Value = serde_json::from_str(told.out.last().context("no summary")?)?;
    let requests = (seconds * RATE) as u64;
    received += of_requests(&downstream);
    let verdicts = summary["verdicts"].as_object().context("no verdicts")?;
    let count = |name: &str| verdicts.get(name).and_then(serde_json::Value::as_u64);
    let calls: u64 = verdicts
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    ensure!(
        received == requests * CALLS && count("dropped") == Some(received),
        "{received} calls came of {requests} requests: {summary}"
    );
    ensure!(
        summary["services"][0]["served"].as_u64() == Some(requests),
        "{summary}"
    );
    ensure!(
        summary["losses"].as_array().is_some_and(Vec::is_empty),
        "{}",
        summary["losses"]
    );

    // The service calls for no request as well, now and then: those have spans where that is known.
    let made = requests + calls - count("inconclusive").unwrap_or(0);
    let end = said(&told.err, "observer: exported")?;
    let spans = end.split(", ").next().unwrap_or_default();
    let accepted = number_before(end, " spans").context("no count")?;
    let discarded = number_before(spans, " discarded").unwrap_or(0);
    ensure!(
        accepted + discarded == made,
        "{made} spans were made: {end}"
    );
    ensure!(discarded > made / 2, "the queues were never full: {end}");
    let came = collector.wait(LIMIT, |s| s.len() as u64 >= accepted)?;
    ensure!(came.len() as u64 == accepted, "{} came: {end}", came.len());

    // By then the queues are full, and a minute's traces are remembered.
    let (full, end) = (memories[DOWN / 2], memories[DOWN - 1]);
    eprintln!("export under load: {full} KiB after half of the time, {end} KiB in the end");
    ensure!(end < full + full / 4, "memory grows: {memories:?} KiB");
    Ok(())
}
