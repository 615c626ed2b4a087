//! What each runtime's own part of the probes costs: reading executions at system calls, and the probes inside
//! its programs. A process of a runtime that has none must pay for none of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer::cli::probes::{Detail, DetailArgs};
use observer::facts::{Proc, process};
use observer::kernel::{Capture, CaptureConfig};
use observer::runtimes::Follower;
use observer_core::engine::Feedback;
use observer_core::facts::Executions;
use observer_core::ids::Tgid;
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::plan::{Mix, Planned};
use observer_e2e::server::{Delay, Downstream};

use crate::bpf::Stats;
use crate::report::Report;

/// Everything is followed, all the time.
const PRECISE: DetailArgs = DetailArgs {
    node: Detail::Precise,
    go: Detail::Precise,
};

/// Requests at a time.
const CLIENTS: usize = 16;
/// Requests before anything is measured, and while it is.
const WARM: usize = 200;
const REQUESTS: usize = 1_000;

/// Programs that every process pays for.
const SHARED: [&str; 2] = ["sys_enter", "sys_exit"];

/// Whether its threads are seen to hand work to each other, so that it is told who wakes whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    Ignored,
    Told,
}

const SERVICES: [(App, Wakes); 15] = [
    (App::THREADS, Wakes::Ignored),
    (App::GO, Wakes::Ignored),
    (App::GO_POOL, Wakes::Ignored),
    (App::AIOHTTP, Wakes::Ignored),
    (App::FLASK_POOL, Wakes::Told),
    (App::FLASK_QUEUE, Wakes::Ignored),
    (App::GEVENT, Wakes::Ignored),
    (App::EXPRESS, Wakes::Ignored),
    (App::FETCH, Wakes::Ignored),
    (App::WORKER_THREADS, Wakes::Ignored),
    (App::AXUM, Wakes::Ignored),
    (App::PUMA, Wakes::Ignored),
    (App::JDK, Wakes::Ignored),
    (App::JDK_POOL, Wakes::Told),
    (App::JDK_VIRTUAL, Wakes::Told),
];

/// Measures services under load, each without and with what is its own.
pub fn run(report: &mut Report) -> Result<()> {
    let _stats = Stats::enable()?;
    let table = report.table(
        "Nanoseconds of programs per request, by runtime",
        [
            "service",
            "system calls",
            "with what is its own",
            "probes inside, runs",
            "probes inside",
            "records",
        ],
    );
    for (app, wakes) in SERVICES {
        if let Some(missing) = app.missing() {
            table.note(format!("Not measured: {}: {missing}.", app.name));
            continue;
        }
        let (without, with) = measure(app, wakes).with_context(|| app.name.to_owned())?;
        if app.name == App::THREADS.name {
            ensure!(with.runs == 0.0, "a process without a runtime pays for one");
        }
        let name = match wakes {
            Wakes::Ignored => app.name.to_owned(),
            Wakes::Told => format!("{}, wakes told", app.name),
        };
        table.row([
            name,
            format!("{:.0}", without.shared),
            format!("{:.0}", with.shared),
            format!("{:.1}", with.runs),
            format!("{:.0}", with.inside),
            format!("{:.1}", with.records),
        ]);
    }
    table.note(format!(
        "As the kernel counts, over {REQUESTS} requests of 2.5 calls and four lines, {CLIENTS} at a time. The programs at \
         system calls run for the load and the downstream as well, which are not watched; what is read there is in the difference of the two \
         columns. The hook of a probe inside a program costs more than its program (0.5 to 2 µs where the kernel carries out the instruction \
         itself, 11 µs in a virtual machine where it steps over it: Node 20, and programs that are not optimised).",
    ));
    Ok(())
}

/// Nanoseconds of programs, runs and records per request.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// Of those at system calls.
    shared: f64,
    /// Of those inside the program.
    inside: f64,
    runs: f64,
    records: f64,
}

fn measure(app: App, wakes: Wakes) -> Result<(Cost, Cost)> {
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = app.start(downstream.address(), CLIENTS)?;
    let tgid = Tgid(service.process.pid());
    let clients = Clients::new(CLIENTS);
    let mut capture = Capture::start(CaptureConfig::default())?;
    capture.watch(tgid)?;
    let drive = |capture: &mut Capture, count: usize, seed: u64| {
        let plan = Mix::everything().plan("bench-", count, seed);
        driven(capture, &clients, service.address, &plan)
    };
    drive(&mut capture, WARM, 1)?;
    let without = drive(&mut capture, REQUESTS, 2)?;
    let (proc, mut follower) = (Proc::default(), Follower::new(PRECISE));
    let facts = process(&proc, tgid);
    if let Some(Executions::Unavailable(why)) = follower.follow(&mut capture, &proc, &facts) {
        anyhow::bail!("{why}");
    }
    if wakes == Wakes::Told {
        capture.apply(Feedback::Wakes(tgid));
    }
    drive(&mut capture, WARM, 3)?;
    let with = drive(&mut capture, REQUESTS, 4)?;
    Ok((without, with))
}

/// Sends the requests of `plan` while the records are read.
pub fn driven(
    capture: &mut Capture,
    clients: &Clients,
    service: std::net::SocketAddr,
    plan: &[Planned],
) -> Result<Cost> {
    let before = programs(capture);
    let mut records = 0;
    std::thread::scope(|scope| {
        let load = scope.spawn(|| clients.drive(service, plan));
        while !load.is_finished() {
            capture.wait(Duration::from_millis(5))?;
            records += capture.drain(|_| {});
        }
        let ended = load.join().ok().context("the load panicked")?;
        ended.map(drop)
    })?;
    records += capture.drain(|_| {});
    let requests = plan.len() as f64;
    let mut cost = Cost {
        records: records as f64 / requests,
        ..Cost::default()
    };
    for (name, (runs, nanos)) in programs(capture) {
        let (runs_before, nanos_before) = before.get(&name).copied().unwrap_or_default();
        let runs = (runs - runs_before) as f64 / requests;
        let nanos = (nanos - nanos_before) as f64 / requests;
        if SHARED.contains(&name.as_str()) {
            cost.shared += nanos;
        } else if !name.starts_with("task_") {
            cost.runs += runs;
            cost.inside += nanos;
        }
    }
    Ok(cost)
}

/// Runs and nanoseconds of each program.
fn programs(capture: &Capture) -> BTreeMap<String, (u64, u64)> {
    let programs = capture.counters().programs.into_iter();
    programs.map(|p| (p.name, (p.runs, p.nanos))).collect()
}
