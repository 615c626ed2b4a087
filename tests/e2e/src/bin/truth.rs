//! The truth bench; `cargo xtask truth` builds the observer and runs this.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;
use observer_e2e::app::{App, root};
use observer_e2e::bench::{Bench, Load, markdown};
use observer_e2e::observer::unavailable;

/// Runs real services under load, watched, and compares what is told with what happened.
#[derive(Parser)]
struct Args {
    /// Only these runtimes, or those of a group (python, go, …); all by default.
    #[arg(long = "runtime", value_name = "NAME", value_delimiter = ',')]
    runtimes: Vec<String>,
    /// Requests at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    concurrency: Vec<usize>,
    /// What is asked of them: mixed, propagate, drop, restart, forward, malformed, b3, leak.
    #[arg(
        long = "mode",
        value_delimiter = ',',
        default_value = "mixed,propagate,leak"
    )]
    modes: Vec<String>,
    /// Requests in one run.
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Half of the requests.
    #[arg(long)]
    quick: bool,
    /// Write the tables to this Markdown file, and all figures to a JSON file beside it.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Keep the recordings of all runs, in this folder. By default those with an error are kept, in target/e2e/truth.
    #[arg(long, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// List the runtimes and end.
    #[arg(long)]
    list: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.list {
        for app in App::ALL {
            let state = app.missing().map(|why| format!("  [{why}]"));
            let state = state.unwrap_or_default();
            println!("{:22} {:8} {}{state}", app.name, app.group, app.about);
        }
        return Ok(());
    }
    if let Some(why) = unavailable() {
        bail!("{why}");
    }
    let bench = Bench {
        apps: apps(&args.runtimes)?,
        concurrency: args.concurrency,
        loads: args
            .modes
            .iter()
            .map(|mode| load(mode))
            .collect::<Result<_>>()?,
        requests: if args.quick {
            args.requests / 2
        } else {
            args.requests
        },
        keep: args.recordings.is_some(),
        recordings: match args.recordings {
            Some(folder) => folder,
            None => root().canonicalize()?.join("target/e2e/truth"),
        },
    };
    let results = bench.run(|line| println!("{line}"))?;
    let page = markdown(&results, &taken()?);
    match args.output {
        Some(path) => {
            let json = serde_json::to_string_pretty(&results)? + "\n";
            std::fs::write(&path, page)
                .and_then(|()| std::fs::write(path.with_extension("json"), json))
                .with_context(|| format!("writing {}", path.display()))?;
        }
        None => println!("\n{page}"),
    }
    if results.rows.iter().any(|row| row.errors()) {
        println!(
            "runs with errors are recorded in {}",
            bench.recordings.display()
        );
    }
    Ok(())
}

fn apps(names: &[String]) -> Result<Vec<App>> {
    if names.is_empty() {
        return Ok(App::ALL.to_vec());
    }
    let mut apps = Vec::new();
    for name in names {
        let named = App::ALL
            .iter()
            .filter(|app| app.name == name || app.group.eq_ignore_ascii_case(name));
        let before = apps.len();
        apps.extend(named);
        if apps.len() == before {
            bail!("there is no runtime {name}: --list lists them");
        }
    }
    Ok(apps)
}

fn load(name: &str) -> Result<Load> {
    Load::named(name).with_context(|| format!("there is no mode {name}: see --help"))
}

/// When and on what the figures were taken.
fn taken() -> Result<String> {
    let uname = rustix::system::uname();
    let cpus = std::thread::available_parallelism()?;
    let now = Command::new("date").args(["-u", "+%F %R UTC"]).output()?;
    Ok(format!(
        "{}, Linux {} {}, {cpus} CPUs.",
        String::from_utf8_lossy(&now.stdout).trim(),
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
    ))
}
