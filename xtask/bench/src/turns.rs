//! What telling turns of Node's event loop apart takes of a service's CPU time, by version of Node, and what following
//! channels takes of Go's; and for which share of the time it is done by default.

use std::env::{join_paths, split_paths, var_os};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use observer::cli::probes::{Detail, DetailArgs};
use observer::facts::{Proc, Process, process};
use observer::kernel::{Capture, CaptureConfig};
use observer::runtimes::windows::{Account, BUDGET, Windows};
use observer::runtimes::{Follower, plan};
use observer_abi::go;
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

/// What is always followed: nothing of turns, nor of channels.
const NEITHER: DetailArgs = DetailArgs {
    node: Detail::Off,
    go: Detail::Off,
};

/// Requests at a time.
const CLIENTS: usize = 16;
/// Requests in one part of a measurement.
const REQUESTS: usize = 300;
/// Pairs of parts with and without, the one before the other and the other before the one in turn: what else
/// the machine does falls to both.
const ROUNDS: u64 = 16;
/// Where further programs of Node are named, separated by colons.
const PROGRAMS: &str = "OBSERVER_NODES";

/// Measures services of the Node that is installed, of those that `OBSERVER_NODES` names, and of Go.
pub fn run(report: &mut Report) -> Result<()> {
    let table = report.table(
        "Turns of Node's event loop, channels of Go: CPU time of the service per request",
        [
            "service",
            "without",
            "they add",
            "runs of probes",
            "one takes",
            "reckoned",
            "they add, reckoned",
            "not watched by default",
        ],
    );
    let of_node = folders().into_iter().flat_map(|folder| {
        let apps = [App::EXPRESS, App::FETCH];
        apps.map(|app| (app, Runtime::Node, folder.clone()))
    });
    let of_go = [App::GO, App::GO_POOL].map(|app| (app, Runtime::Go, None));
    for (app, runtime, folder) in of_node.chain(of_go) {
        if let Some(missing) = app.missing() {
            table.note(format!("Not measured: {}: {missing}.", app.name));
            continue;
        }
        let row = measure(app, runtime, folder.as_ref()).with_context(|| app.name.to_owned())?;
        table.row(row);
    }
    table.note(format!(
        "Medians of {ROUNDS} pairs of {REQUESTS} requests, with and without in turn, {CLIENTS} at a time. What one takes is what the service takes more, by \
         runs; reckoned is what the observer takes it for: what running into such a probe took in its own program, with what a service loses around it.",
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

fn measure(app: App, runtime: Runtime, folder: Option<&PathBuf>) -> Result<[String; 8]> {
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
    // CPU time per request, and runs of the probes.
    let mut part = |detail: DetailArgs, trap: &mut Option<Duration>, seed: u64| {
        let mut follower = Follower::new(detail);
        follower.follow(&mut capture, &proc, &process(&proc, tgid));
        if trap.is_none() {
            let plan = plan(&process_of, runtime).and_then(Result::ok);
            let plan = plan.context("there is no plan")?;
            let probe = plan.probes.first().context("there is no probe")?;
            *trap = capture.toll(probe.program, plan.stepped);
        }
        let runs = |capture: &Capture| capture.layout_word(tgid, counts(runtime)).unwrap_or(0);
        let before = (cpu(&process_of), runs(&capture));
        let plan = Mix::everything().plan("turns-", REQUESTS, seed);
        driven(&mut capture, &clients, service.address, &plan)?;
        let account = Account {
            cpu: cpu(&process_of).saturating_sub(before.0),
            runs: runs(&capture).saturating_sub(before.1),
        };
        follower.ended(&mut capture, tgid);
        anyhow::Ok(account)
    };
    let mut trap = None;
    part(PRECISE, &mut trap, 0)?;
    let (mut without, mut with, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (a, b) = if round % 2 == 0 {
            let without = part(NEITHER, &mut trap, round)?;
            (without, part(PRECISE, &mut trap, round)?)
        } else {
            let with = part(PRECISE, &mut trap, round)?;
            (part(NEITHER, &mut trap, round)?, with)
        };
        without.push(a.cpu.as_secs_f64());
        more.push(b.cpu.as_secs_f64() - a.cpu.as_secs_f64());
        with.push(b);
    }
    let (without, more) = (median(without), median(more));
    let runs = with.iter().map(|part| part.runs).sum::<u64>() as f64 / ROUNDS as f64;
    let began = Instant::now();
    let mut windows = Windows::new(trap, BUDGET, Account::default(), began);
    let reckoned = windows.run().as_secs_f64();
    let whole = with.iter().fold(Account::default(), |sum, part| Account {
        cpu: sum.cpu + part.cpu,
        runs: sum.runs + part.runs,
    });
    windows.turn_over(whole, began + whole.cpu);
    let share = |part: f64| format!("{:.0} %", 100.0 * part / without);
    let micros = |seconds: f64| format!("{:.1} µs", 1e6 * seconds);
    Ok([
        name(app, runtime, folder),
        micros(without / REQUESTS as f64),
        share(more),
        format!("{:.1}", runs / REQUESTS as f64),
        micros(more / runs),
        micros(reckoned),
        share(reckoned * runs),
        windows.missing().unwrap_or_else(|| "–".to_owned()),
    ])
}

/// The word of a layout in which the probes count their runs.
fn counts(runtime: Runtime) -> usize {
    match runtime {
        Runtime::Go => go::RUNS,
        _ => RUNS,
    }
}

fn name(app: App, runtime: Runtime, folder: Option<&PathBuf>) -> String {
    match runtime {
        Runtime::Node => format!("{}, {}", app.name, version(folder)),
        _ => app.name.to_owned(),
    }
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

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
