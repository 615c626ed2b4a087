//! What watching costs, and how fast the pipeline is.
//!
//! `cargo xtask bench` builds this and the program with optimisation and runs it. Whatever is
//! compared is measured alternately in one run, so that what else the machine does touches both;
//! the figures to look at are the ratios.

mod bpf;
mod connections;
mod nginx;
mod observer;
mod probes;
mod rate;
mod replay;
mod report;
mod runtimes;
mod syscalls;
#[cfg(target_arch = "x86_64")]
mod turns;
mod work;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use report::Report;

/// The program's own: replay is measured here, in this process.
#[global_allocator]
static ALLOCATOR: ::observer::allocator::Allocator = ::observer::allocator::Allocator;

/// Measures what watching costs.
#[derive(Parser)]
struct Args {
    /// What to measure; everything by default.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// The program.
    #[arg(long, default_value = "target/release/observer")]
    observer: PathBuf,
    /// Write the tables to this Markdown file too.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Rounds of what is compared alternately.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Of nginx, only the rows with this in their names.
    #[arg(long)]
    row: Option<String>,
    /// Do a piece of work and end: how the benchmarks start processes to be watched.
    #[arg(long, hide = true, value_enum)]
    work: Option<work::Work>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Nanoseconds per run of each kernel program.
    Probes,
    /// What each runtime's own probes take.
    Runtimes,
    /// What a system call costs.
    Syscalls,
    /// Throughput and latency of nginx.
    Nginx,
    /// Requests at a fixed rate, without losing records.
    Rate,
    /// Memory with many open connections.
    Connections,
    /// Records per second of the pipeline.
    Replay,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(work) = args.work {
        return work::run(work);
    }
    let parts = if args.parts.is_empty() {
        Part::value_variants()
    } else {
        &args.parts
    };
    let mut report = Report::default();
    for part in parts {
        match part {
            Part::Probes => probes::run(&mut report)?,
            Part::Runtimes => {
                runtimes::run(&mut report)?;
                // Elsewhere turns are not told apart.
                #[cfg(target_arch = "x86_64")]
                turns::run(&mut report)?;
            }
            Part::Syscalls => syscalls::run(&mut report, &args.observer, args.rounds)?,
            Part::Nginx => nginx::run(
                &mut report,
                &args.observer,
                args.rounds,
                args.row.as_deref(),
            )?,
            Part::Rate => rate::run(&mut report, &args.observer)?,
            Part::Connections => connections::run(&mut report, &args.observer)?,
            Part::Replay => replay::run(&mut report, &args.observer)?,
        }
    }
    let machine = machine()?;
    println!("{machine}\n\n{report}");
    if let Some(path) = args.markdown {
        let text = format!(
            "# Benchmarks\n\nMade by `cargo xtask bench`. {machine}\n{}",
            report.markdown()
        );
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// What the figures were taken on.
fn machine() -> Result<String> {
    let uname = rustix::system::uname();
    let cpus = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").context("reading the load")?;
    let now = std::process::Command::new("date")
        .args(["-u", "+%F %R UTC"])
        .output()?;
    Ok(format!(
        "{}, Linux {} {}, {cpus} CPUs, load at the end {}.",
        String::from_utf8_lossy(&now.stdout).trim(),
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
        load.split(' ').next().unwrap_or("unknown"),
    ))
}
