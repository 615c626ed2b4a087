//! What telling turns of Node's event loop apart takes of a service's CPU time, by version of Node, and for which
//! share of the time it is done by default.

use std::env::{join_paths, split_paths, var_os};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use observer::cli::args::{Detail, DetailArgs};
use observer::facts::{Proc, Process, process};
use observer::kernel::{Capture, CaptureConfig};
use observer::runtimes::windows::{Account, BUDGET, Windows};
use observer::runtimes::{Follower, plan};
use observer_abi::node::RUNS;
use observer_core::facts::Runtime;
use observer_core::ids::Tgid;
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::plan::Mix;
use observer_e2e::server::{Delay, Downstream};

use crate::report::Report;
use crate::runtimes::driven;

/// Everything is followed, all the time.
const PRECISE: DetailArgs = DetailArgs {
    node: Detail::Precise,
    go: Detail::Precise,
};

/// Requests at a time.
const CLIENTS: usize = 16;
/// Requests in one part of a measurement.
const REQUESTS: usize = 1_000;
/// Parts with and without turns, which alternate.
const ROUNDS: u64 = 3;
/// Where further programs of Node are named, separated by colons.
const PROGRAMS: &str = "OBSERVER_NODES";

/// Measures the service of Node that is installed, and those that `OBSERVER_NODES` names.
pub fn run(report: &mut Report) -> Result<()> {
    let table = report.table(
        "Turns of Node's event loop: CPU time of the service per request",
        [
            "Node",
            "service",
            "without",
            "turns add",
            "ends of scopes",
            "one takes",
            "estimated",
            "not watched by default",
        ],
    );
    for folder in folders() {
        for app in [App::EXPRESS, App::FETCH] {
            if let Some(missing) = app.missing() {
                table.note(format!("Not measured: {}: {missing}.", app.name));
                continue;
            }
            let row = measure(app, folder.as_ref()).with_context(|| app.name.to_owned())?;
            table.row(row);
        }
    }
    table.note(format!(
        "Medians of {ROUNDS} times {REQUESTS} requests with and without turns in turn, {CLIENTS} at a time. Estimated is what the observer reckons with: \
         what running into such a probe took in its own program, times the ends of scopes that were counted.",
    ));
    Ok(())
}

/// Folders with a program `node` to be measured; `None` is the one that is found anyway.
fn folders() -> Vec<Option<PathBuf>> {
    let named = var_os(PROGRAMS).unwrap_or_default();
    let programs = split_paths(&named).filter(|program| program.is_file());
    let folders = programs.filter_map(|program| program.parent().map(PathBuf::from));
    std::iter::once(None).chain(folders.map(Some)).collect()
}

fn measure(app: App, folder: Option<&PathBuf>) -> Result<[String; 8]> {
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let path = path(folder)?;
    let service = app.start_with(downstream.address(), CLIENTS, |command| {
        command.env("PATH", path);
    })?;
    let tgid = Tgid(service.process.pid());
    let proc = Proc::default();
    let process_of = proc.process(tgid.0);
    let clients = Clients::new(CLIENTS);
    let mut capture = Capture::start(CaptureConfig::default())?;
    capture.watch(tgid)?;
    let drive = |capture: &mut Capture, seed: u64| {
        let plan = Mix::everything().plan("turns-", REQUESTS, seed);
        driven(capture, &clients, service.address, &plan)
    };
    drive(&mut capture, 0)?;
    let stepped = plan(&process_of, Runtime::Node)
        .and_then(Result::ok)
        .is_some_and(|plan| plan.stepped);
    let trap = capture.toll("node_scope_end", stepped);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut last = None;
    for round in 1..=ROUNDS {
        let before = cpu(&process_of);
        drive(&mut capture, 2 * round)?;
        without.push(cpu(&process_of).saturating_sub(before));
        let mut follower = Follower::new(PRECISE);
        follower.follow(&mut capture, &proc, &process(&proc, tgid));
        let began = Instant::now();
        let account = Account {
            cpu: cpu(&process_of),
            runs: 0,
        };
        let mut windows = Windows::new(trap, BUDGET, account, began);
        drive(&mut capture, 2 * round + 1)?;
        let after = Account {
            cpu: cpu(&process_of),
            runs: capture.layout_word(tgid, RUNS).unwrap_or(0),
        };
        with.push(after.cpu.saturating_sub(account.cpu));
        windows.turn_over(after, Instant::now());
        last = Some((windows, after.runs));
        follower.ended(&mut capture, tgid);
    }
    let (windows, runs) = last.context("no round")?;
    let (without, with) = (median(without), median(with));
    let share = |part: f64| format!("{:.0} %", 100.0 * part / without);
    let per_request = |seconds: f64| seconds / REQUESTS as f64;
    let took = windows.run().as_secs_f64() * runs as f64;
    Ok([
        version(folder),
        app.name.to_owned(),
        format!("{:.0} µs", 1e6 * per_request(without)),
        share(with - without),
        format!("{:.1}", runs as f64 / REQUESTS as f64),
        format!("{:.1} µs", 1e6 * windows.run().as_secs_f64()),
        share(took),
        windows.missing().unwrap_or_else(|| "–".to_owned()),
    ])
}

/// What `PATH` is to be, so that `node` is found in `folder`.
fn path(folder: Option<&PathBuf>) -> Result<OsString> {
    let path = var_os("PATH").unwrap_or_default();
    let folders = folder.cloned().into_iter().chain(split_paths(&path));
    Ok(join_paths(folders)?)
}

/// The version of the program in `folder`, as it says itself.
fn version(folder: Option<&PathBuf>) -> String {
    let program = folder.map_or_else(|| PathBuf::from("node"), |folder| folder.join("node"));
    let told = std::process::Command::new(program)
        .arg("--version")
        .output();
    told.map_or_else(
        |_| "unknown".to_owned(),
        |told| String::from_utf8_lossy(&told.stdout).trim().to_owned(),
    )
}

fn cpu(process: &Process) -> Duration {
    process.cpu().unwrap_or_default()
}

/// Seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
