//! How many records a second the pipeline takes on one core.

mod real;
mod traffic;

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use observer_core::engine::{Config, Engine, Input};
use observer_core::facts::ProcessFacts;
use observer_core::ids::{KernelNanos, Tgid};
use observer_core::judged::{ClockAnchor, Judged, Summary};
use rustix::time::{ClockId, clock_gettime};
use traffic::{CART, GATEWAY, Traffic};

use crate::report::Report;

/// Requests that are replayed: about 300 MB of records.
const REQUESTS: u32 = 64_000;
const REPEATS: usize = 3;
/// Nanoseconds between ticks, as when watching.
const TICK: u64 = 20_000_000;

/// What is measured: the pipeline, with JSON written, with inference.
#[derive(Clone, Copy)]
struct How {
    what: &'static str,
    json: bool,
    infer: bool,
}

const HOWS: [How; 3] = [
    How {
        what: "records to verdicts",
        json: false,
        infer: false,
    },
    How {
        what: "records to verdicts to JSON Lines",
        json: true,
        infer: false,
    },
    How {
        what: "records to verdicts, with `--infer`",
        json: false,
        infer: true,
    },
];

/// Replays synthetic records, with and without writing what is told as JSON, and inferring what is not certain.
pub fn run(report: &mut Report, observer: &Path) -> Result<()> {
    let traffic = Traffic::of(REQUESTS);
    let mut best = [Duration::MAX; HOWS.len()];
    for _ in 0..REPEATS {
        for (how, best) in HOWS.into_iter().zip(&mut best) {
            let began = cpu_time();
            let summary = replay(&traffic, how)?;
            *best = cpu_time().saturating_sub(began).min(*best);
            check(&summary)?;
        }
    }
    let speed = |time: Duration| traffic.len() as f64 / time.as_secs_f64() / 1e6;
    let table = report.table("Replay on one core", ["what", "million records/s", "aim"]);
    for (how, time) in HOWS.into_iter().zip(best) {
        table.row([
            how.what.to_owned(),
            format!("{:.2}", speed(time)),
            "1".to_owned(),
        ]);
    }
    table.note(format!(
        "{} records of {REQUESTS} requests through two thread-per-request services: per request 2 \
         served, 1 call, 4 log lines. Best CPU time of {REPEATS} runs.",
        traffic.len()
    ));
    real::run(report, observer)
}

/// Time that this thread was given: what others take of a busy machine is not counted.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn replay(traffic: &Traffic, how: How) -> Result<Summary> {
    let anchor = ClockAnchor {
        monotonic: KernelNanos(1_000_000_000),
        wall: 1_767_225_600_000_000_000,
    };
    let mut engine = Engine::new(Config {
        anchor,
        infer: how.infer,
        ..Config::default()
    });
    let mut out = Vec::new();
    for (tgid, service) in [(GATEWAY, "gateway"), (CART, "cart")] {
        let facts = ProcessFacts::named(Tgid(tgid), service);
        engine.input(Input::Process(facts), &mut out);
    }
    let mut text = Vec::new();
    let mut next = 0;
    for (time, raw) in traffic.records() {
        if time >= next {
            next = time + TICK;
            let now = KernelNanos(time);
            engine.input(Input::Tick { now, lost: 0 }, &mut out);
            black_box(engine.feedback());
            tell(&mut out, how.json, &mut text)?;
        }
        engine.input(Input::Record(raw), &mut out);
    }
    let summary = engine.finish(&mut out);
    tell(&mut out, how.json, &mut text)?;
    Ok(summary)
}

fn tell(out: &mut Vec<Judged>, json: bool, text: &mut Vec<u8>) -> Result<()> {
    text.clear();
    for judged in out.drain(..) {
        if json {
            serde_json::to_writer(&mut *text, &judged)?;
            text.push(b'\n');
        }
        black_box(judged);
    }
    black_box(text);
    Ok(())
}

/// A fast pipeline that judges nothing would prove nothing.
fn check(summary: &Summary) -> Result<()> {
    let served: u64 = summary.services.iter().map(|s| s.served).sum();
    let lines: u64 = summary.services.iter().map(|s| s.logs.lines).sum();
    let (requests, told) = (u64::from(REQUESTS), (served, lines));
    ensure!(
        told == (2 * requests, 4 * requests),
        "of {requests} requests {served} were served and {lines} lines told"
    );
    Ok(())
}
