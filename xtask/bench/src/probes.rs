//! How long each kernel program runs, beside an empty one on the same hook.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use observer::kernel::{Capture, CaptureConfig, ProgramStats};
use observer_core::ids::Tgid;

use crate::bpf::{Empty, Stats};
use crate::report::Report;
use crate::work::Work;

/// Programs and their hooks.
const PROGRAMS: [(&str, &str); 5] = [
    ("sys_enter", "sys_enter"),
    ("sys_exit", "sys_exit"),
    ("task_fork", "sched_process_fork"),
    ("task_exec", "sched_process_exec"),
    ("task_exit", "sched_process_exit"),
];

/// Measures the programs while processes work.
pub fn run(report: &mut Report) -> Result<()> {
    let _stats = Stats::enable()?;
    let table = report.table(
        "Nanoseconds per run of each kernel program",
        [
            "program",
            "empty",
            "unwatched",
            "watched, unrelated",
            "watched, at work",
            "ratio",
        ],
    );
    let mut capture = Capture::start(CaptureConfig::default())?;
    let mut empty = Vec::new();
    for (_, hook) in PROGRAMS {
        empty.push(Empty::attach(hook)?);
    }
    for (n, (name, hook)) in PROGRAMS.into_iter().enumerate() {
        let system_call = hook == name;
        let busy = if system_call {
            Work::Exchanges
        } else {
            Work::Programs
        };
        let before = empty[n].stats(name);
        let unwatched = measure(&mut capture, name, busy, false)?;
        let nothing = per_run(&before, &empty[n].stats(name));
        let unrelated = if system_call {
            Some(measure(&mut capture, name, Work::Unrelated, true)?)
        } else {
            None
        };
        let watched = measure(&mut capture, name, busy, true)?;
        let nanos = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.0}"));
        table.row([
            format!("`{name}`"),
            nanos(Some(nothing)),
            nanos(Some(unwatched)),
            nanos(unrelated),
            nanos(Some(watched)),
            format!("{:.1}", watched / nothing),
        ]);
    }
    table.note(
        "As the kernel counts (`kernel.bpf_stats_enabled`), its own two clock readings included: they \
         are most of what an empty program takes. All calls of the machine run the programs. Work is \
         600-byte HTTP messages over loopback; for the programs on tasks, starting `true`. The ratio \
         is of a watched process at work to the empty program.",
    );
    Ok(())
}

/// Nanoseconds per run of program `name` while another process works.
fn measure(capture: &mut Capture, name: &str, work: Work, watched: bool) -> Result<f64> {
    let mut child = start(work)?;
    if watched {
        capture.watch(Tgid(child.id()))?;
    }
    let before = stats(capture, name)?;
    drop(child.stdin.take());
    let status = loop {
        capture.wait(Duration::from_millis(5))?;
        capture.drain(|_| {});
        if let Some(status) = child.try_wait()? {
            break status;
        }
    };
    ensure!(status.success(), "the work of {name} failed: {status}");
    Ok(per_run(&before, &stats(capture, name)?))
}

/// A process that works when its standard input is closed.
fn start(work: Work) -> Result<Child> {
    let name = work.to_possible_value().context("a hidden kind of work")?;
    let child = Command::new(std::env::current_exe()?)
        .args(["--work", name.get_name()])
        .stdin(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn stats(capture: &Capture, name: &str) -> Result<ProgramStats> {
    let programs = capture.counters().programs;
    let found = programs.into_iter().find(|p| p.name == name);
    found.with_context(|| format!("program {name} is not attached"))
}

fn per_run(before: &ProgramStats, after: &ProgramStats) -> f64 {
    let runs = after.runs.saturating_sub(before.runs).max(1);
    (after.nanos.saturating_sub(before.nanos)) as f64 / runs as f64
}
