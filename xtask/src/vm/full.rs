//! Real services in a machine, by way of this machine's file system: the truth bench in small, of Python and Node.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    machine::Run,
    scenario::{COMMON, GUEST, Scenario},
};

/// With what the names of these checks begin.
pub const CHECKS: [&str; 2] = ["live: ", "boot, live services"];
/// The services, as the bench names them.
const SERVICES: [&str; 3] = ["flask", "fastapi", "express"];
const MOUNT: &str = "host's file system";

/// A command of the bench, for one service. In emulation it takes a minute or two.
macro_rules! bench {
    ($app:literal) => {
        &[
            GUEST,
            "in-host",
            "/tmp/truth",
            "--runtime",
            $app,
            "--concurrency",
            "4",
            "--mode",
            "mixed,propagate",
            "--requests",
            "40",
            "--output",
            concat!("/tmp/", $app, ".md"),
        ]
    };
}

macro_rules! told {
    ($app:literal) => {
        &[GUEST, "show", concat!("/root/tmp/", $app, ".json")]
    };
}

/// Threads, contexts of asyncio, and turns of Node's event loop.
pub const LIVE: Scenario = Scenario {
    name: "live services",
    seconds: 900,
    host: true,
    steps: &[
        (MOUNT, &[GUEST, "host"]),
        ("flask", bench!("flask")),
        ("flask told", told!("flask")),
        ("fastapi", bench!("fastapi")),
        ("fastapi told", told!("fastapi")),
        ("express", bench!("express")),
        ("express told", told!("express")),
    ],
    checks: &[
        ("live: Flask", |run| right(run, "flask", "flask told")),
        ("live: FastAPI", |run| right(run, "fastapi", "fastapi told")),
        ("live: Express", |run| right(run, "express", "express told")),
    ],
    ..COMMON
};

/// Fails unless the services can be run by this bench, on this machine and so in its file system.
///
/// # Errors
///
/// Says what is missing.
pub fn installed(bench: &Path) -> Result<()> {
    let mut list = Command::new(bench);
    let list = list.arg("--list").output().context("starting the bench")?;
    let missing = missing(&String::from_utf8_lossy(&list.stdout));
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

/// What of the services is missing, by the bench's list of all: `NAME GROUP WORDS  [WHY]`.
fn missing(list: &str) -> Vec<String> {
    let one = |name: &&str| {
        let mut lines = list.lines();
        let line = lines.find(|line| line.split_ascii_whitespace().next() == Some(name));
        match line.map(|line| {
            line.strip_suffix(']')
                .and_then(|line| line.split_once("  ["))
        }) {
            None => Some(format!("{name}: the bench does not know it")),
            Some(Some((_, why))) => Some(format!("{name}: {why}")),
            Some(None) => None,
        }
    };
    SERVICES.iter().filter_map(one).collect()
}

/// Fails unless what was told of a service is right, and something was.
fn right(run: &Run, bench: &str, told: &str) -> Result<()> {
    let mounted = run.step(MOUNT)?;
    ensure!(mounted.status == Some(0), "{}", mounted.err.trim());
    let ran = run.step(bench)?;
    let words = || format!("{}\n{}", ran.out.trim(), ran.err.trim());
    ensure!(
        ran.status == Some(0),
        "ends with {:?}: {}",
        ran.status,
        words()
    );
    let results: Value = serde_json::from_str(&run.step(told)?.out).context("reading results")?;
    judged(&results).with_context(words)
}

/// The load whose requests keep their contexts, and how many of its calls must be given to requests, percent.
const KEPT: &str = "propagate";
const LEAST_KEPT: u64 = 90;
/// Of the other load: what Express does in calls back to back is told apart less often.
const LEAST: u64 = 20;

/// Fails unless both loads were run, no call or line was given to a wrong request or accused falsely, and enough calls
/// were given to requests.
fn judged(results: &Value) -> Result<()> {
    for what in ["failed", "skipped"] {
        let none = results[what].as_array().is_some_and(Vec::is_empty);
        ensure!(none, "{what}: {}", results[what]);
    }
    let rows = results["rows"].as_array().context("no rows")?;
    ensure!(rows.len() == 2, "{} loads were run", rows.len());
    for row in rows {
        let load = &row["load"];
        let all = &row["counts"]["all"];
        for kind in ["calls", "lines"] {
            for error in ["wrong", "judged_wrong", "accused"] {
                let count = &all[kind][error];
                ensure!(count == 0, "{load}: {kind} {error}: {count}");
            }
        }
        let count = |what: &str| all["calls"][what].as_u64().context("no count of calls");
        let (given, made) = (count("attributed")?, count("all")?);
        let least = if load == KEPT { LEAST_KEPT } else { LEAST };
        ensure!(
            made > 0 && given * 100 >= made * least,
            "{load}: of {made} calls {given} were given to requests"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_that_can_not_be_run_are_named_with_what_they_lack() {
        let all =
            "flask    Python  threads\nfastapi  Python  tasks\nexpress  Node.js turns [fast]\n";
        assert_eq!(missing(all), [""; 0]);
        let some = "flask    Python  threads  [run tests/setup.sh]\nfastapi  Python  tasks\n";
        let told = [
            "flask: run tests/setup.sh",
            "express: the bench does not know it",
        ];
        assert_eq!(missing(some), told);
    }

    #[test]
    fn errors_missing_loads_and_silence_fail() {
        let counts = |load: &str, wrong: u64, given: u64| {
            let lines = json!({"wrong": 0, "judged_wrong": 0, "accused": 0});
            let calls = json!({"all": 50, "wrong": wrong, "judged_wrong": 0, "accused": 0, "attributed": given});
            json!({"load": load, "counts": {"all": {"calls": calls, "lines": lines}}})
        };
        let (mixed, kept) = (|w, g| counts("mixed", w, g), |w, g| counts(KEPT, w, g));
        let results = |rows: Vec<Value>| json!({"rows": rows, "failed": [], "skipped": []});
        judged(&results(vec![mixed(0, 10), kept(0, 45)])).expect("is right");
        for bad in [
            results(vec![mixed(0, 10), kept(1, 45)]),
            results(vec![mixed(0, 9), kept(0, 45)]),
            results(vec![mixed(0, 10), kept(0, 44)]),
            results(vec![mixed(0, 10)]),
            json!({"rows": [], "failed": [], "skipped": [["flask", "is missing"]]}),
        ] {
            assert!(judged(&bad).is_err(), "{bad}");
        }
    }
}
