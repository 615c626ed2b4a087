//! What machines are asked to do, and what must come of it.

use anyhow::{Context, Result, bail, ensure};
use observer_guest::{Plan, Ran, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    kernels::Arch,
    machine::{Ending, Machine, Run},
    verdicts,
};

/// Requests to each service of the workload.
const REQUESTS: &str = "12";
pub(super) const OBSERVER: &str = "/bin/observer";
pub(super) const GUEST: &str = "/bin/guest";
const TRUTH: &str = "/tmp/truth";
const OTHER_TRUTH: &str = "/tmp/other-truth";
/// Where the kernel's types are kept for when they are hidden.
const TYPES: &str = "/tmp/types.btf";
/// What `xtask/verified` notes.
const VERIFIED: &str = "/tmp/verified";
/// How long a step may take, seconds. A step of half a minute takes ten times as long where much else runs.
const SECONDS: u64 = 900;

/// What a kernel made of a program of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// `ok`, `refused` by the verifier, or `not attached`.
    pub result: String,
    /// Instructions that the verifier processed, where the kernel tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// What the kernel said, if it did not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A machine's parameters and plan, and the checks of what comes of it.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Further parameters of the kernel.
    pub parameters: &'static str,
    /// How long a step may take, seconds.
    pub seconds: u64,
    /// Whether its last step has the kernel panic.
    pub panics: bool,
    /// Whether it sees the file system of this machine, read-only; its kernel must have drivers for that.
    pub host: bool,
    pub(super) steps: &'static [(&'static str, &'static [&'static str])],
    pub(super) checks: &'static [Check],
}

/// A check: its name, and how it is made.
pub(super) type Check = (&'static str, fn(&Run) -> Result<()>);

/// What scenarios have in common.
pub(super) const COMMON: Scenario = Scenario {
    name: "",
    parameters: "",
    seconds: SECONDS,
    panics: false,
    host: false,
    steps: &[],
    checks: &[],
};

const DOCTOR: [&str; 4] = [OBSERVER, "doctor", "--output", "json"];

/// As on most hosts.
pub const PLAIN: Scenario = Scenario {
    name: "plain",
    parameters: "",
    steps: &[
        (
            "doctor",
            &[GUEST, "verified", OBSERVER, "doctor", "--output", "json"],
        ),
        ("verified", &[GUEST, "show", VERIFIED]),
        (
            "smoke",
            &[
                OBSERVER,
                "watch",
                "--output",
                "json",
                // An emulated machine has too little time to observe everything within a budget.
                "--cpu-budget",
                "off",
                "--",
                GUEST,
                "workload",
                REQUESTS,
                TRUTH,
            ],
        ),
        ("truth", &[GUEST, "show", TRUTH]),
        (
            "nobody",
            &[
                GUEST,
                "restricted",
                "nobody",
                OBSERVER,
                "doctor",
                "--output",
                "json",
            ],
        ),
        (
            "nobody watches",
            &[GUEST, "restricted", "nobody", OBSERVER, "watch", "--all"],
        ),
        (
            "container",
            &[
                GUEST,
                "restricted",
                "container",
                OBSERVER,
                "doctor",
                "--output",
                "json",
            ],
        ),
        (
            "container watches",
            &[GUEST, "restricted", "container", OBSERVER, "watch", "--all"],
        ),
        (
            "without BTF",
            &[
                GUEST,
                "restricted",
                "without-btf",
                OBSERVER,
                "doctor",
                "--output",
                "json",
            ],
        ),
        (
            "without BTF watches",
            &[
                GUEST,
                "restricted",
                "without-btf",
                OBSERVER,
                "watch",
                "--all",
            ],
        ),
        ("types kept", &[GUEST, "keep-types", TYPES]),
        (
            "types given",
            &[
                GUEST,
                "restricted",
                "without-btf",
                OBSERVER,
                "watch",
                "--btf",
                TYPES,
                "--output",
                "json",
                "--cpu-budget",
                "off",
                "--",
                GUEST,
                "workload",
                REQUESTS,
                OTHER_TRUTH,
            ],
        ),
        ("truth by types given", &[GUEST, "show", OTHER_TRUTH]),
        // Unprivileged, it need not wait for the verifier.
        (
            "types found",
            &[
                GUEST,
                "restricted",
                "without-btf",
                GUEST,
                "restricted",
                "nobody",
                OBSERVER,
                "doctor",
                "--output",
                "json",
            ],
        ),
        (
            "types of no use",
            &[OBSERVER, "watch", "--btf", OBSERVER, "--all"],
        ),
    ],
    checks: &[
        ("doctor", |run| {
            let doctor = Doctor::read(run.step("doctor")?)?;
            ensure!(doctor.status == Some(0), "{}", doctor.bad().join("; "));
            Ok(())
        }),
        ("smoke: every verdict is told", |run| {
            verdicts::told(run, "smoke", "truth")
        }),
        ("smoke: what is told is right", |run| {
            verdicts::not_wrong(run, "smoke", "truth")
        }),
        ("unprivileged user", |run| {
            cannot(run, "nobody", "capabilities", "setcap")?;
            refused(run, "nobody watches", "CAP_BPF")
        }),
        ("container without capabilities", |run| {
            cannot(run, "container", "capabilities", "setcap")?;
            refused(run, "container watches", "CAP_BPF")
        }),
        ("kernel without BTF", |run| {
            cannot(
                run,
                "without BTF",
                "type information",
                "CONFIG_DEBUG_INFO_BTF",
            )?;
            refused(run, "without BTF watches", "CONFIG_DEBUG_INFO_BTF")
        }),
        ("kernel without BTF: its types in a file", |run| {
            verdicts::told(run, "types given", "truth by types given")?;
            let found = Doctor::read(run.step("types found")?)?;
            let found = found.check("type information")?;
            let says = found["found"].to_string();
            ensure!(
                found["state"] == "ok" && says.contains("/boot/vmlinux-"),
                "{found}"
            );
            refused(run, "types of no use", ".BTF")
        }),
    ],
    ..COMMON
};

/// Locked down, but BPF programs may read memory.
pub const INTEGRITY: Scenario = Scenario {
    name: "lockdown=integrity",
    parameters: "lsm=lockdown lockdown=integrity",
    steps: &[("doctor", &DOCTOR)],
    checks: &[("doctor under lockdown=integrity", |run| {
        let doctor = Doctor::read(run.step("doctor")?)?;
        ensure!(doctor.status == Some(0), "{}", doctor.bad().join("; "));
        let found = doctor.check("lockdown")?["found"].to_string();
        ensure!(found.contains("[integrity]"), "lockdown is {found}");
        Ok(())
    })],
    ..COMMON
};

/// Locked down so that BPF programs may read nothing.
pub const CONFIDENTIALITY: Scenario = Scenario {
    name: "lockdown=confidentiality",
    parameters: "lsm=lockdown lockdown=confidentiality",
    steps: &[
        ("doctor", &DOCTOR),
        ("watch", &[OBSERVER, "watch", "--all"]),
    ],
    checks: &[("doctor under lockdown=confidentiality", |run| {
        cannot(run, "doctor", "lockdown", "lockdown=integrity")?;
        refused(run, "watch", "lockdown")
    })],
    ..COMMON
};

impl Scenario {
    /// The plan for a machine.
    pub fn plan(&self, arch: Arch) -> Plan {
        let step = |(name, command): &(&str, &[&str])| Step {
            name: (*name).to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            seconds: self.seconds,
        };
        Plan {
            port: Machine::port(arch).to_owned(),
            steps: self.steps.iter().map(step).collect(),
        }
    }

    /// Fails unless the machine ended as it should.
    ///
    /// # Errors
    ///
    /// In words that say where to look.
    pub fn ended(&self, run: &Run) -> Result<()> {
        match (&run.ending, self.panics) {
            (Ending::Panicked(_), true) => Ok(()),
            (Ending::Done, true) => bail!("the kernel should have panicked"),
            _ => run.done(),
        }
    }

    /// Makes the checks; each with why it failed, if it did.
    pub fn check(&self, run: &Run) -> Vec<(&'static str, Option<String>)> {
        let made = self.checks.iter().map(|(name, check)| {
            let failed = check(run).err().map(|error| format!("{error:#}"));
            (*name, failed)
        });
        made.collect()
    }
}

/// What `observer doctor` said.
struct Doctor {
    status: Option<i32>,
    checks: Vec<Value>,
}

impl Doctor {
    fn read(ran: &Ran) -> Result<Self> {
        let report: Value = serde_json::from_str(&ran.out)
            .with_context(|| format!("doctor prints no JSON: {} {}", ran.out, ran.err))?;
        let checks = report["checks"].as_array().context("no checks")?.clone();
        Ok(Self {
            status: ran.status,
            checks,
        })
    }

    fn check(&self, name: &str) -> Result<&Value> {
        let mut checks = self.checks.iter();
        checks
            .find(|check| check["name"] == name)
            .with_context(|| format!("doctor does not speak of {name}"))
    }

    /// What is not well.
    fn bad(&self) -> Vec<String> {
        let bad = self.checks.iter().filter(|check| check["state"] != "ok");
        bad.map(|check| format!("{}: {}", check["name"], check["found"]))
            .collect()
    }
}

/// What the kernel made of each program of the object, as `observer doctor` tells.
///
/// # Errors
///
/// If it told of none.
pub fn programs(run: &Run) -> Result<Vec<Program>> {
    let doctor = Doctor::read(run.step("doctor")?)?;
    let of = |check: &Value| {
        let program = check.get("program")?;
        let ok = check["state"] == "ok";
        let result = match program["loaded"].as_bool() {
            Some(true) if ok => "ok",
            Some(true) => "not attached",
            _ => "refused",
        };
        let found = check["found"].as_str().unwrap_or_default();
        Some(Program {
            name: check["name"].as_str()?.to_owned(),
            result: result.to_owned(),
            instructions: program["instructions"]
                .as_u64()
                .or_else(|| noted(run, check["name"].as_str()?)),
            why: (!ok).then(|| found.to_owned()),
        })
    };
    let programs: Vec<Program> = doctor.checks.iter().filter_map(of).collect();
    ensure!(
        !programs.is_empty(),
        "doctor tells of no program: {}",
        doctor.bad().join("; ")
    );
    Ok(programs)
}

/// Instructions that the verifier processed for a program, as noted where the kernel told its log alone.
fn noted(run: &Run, program: &str) -> Option<u64> {
    let notes = &run.step("verified").ok()?.out;
    let mut notes = notes.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = notes.find(|(name, _)| *name == program)?;
    count.parse().ok()
}

/// Whether doctor says that watching can't work, for this reason, with this advice.
fn cannot(run: &Run, step: &str, check: &str, advice: &str) -> Result<()> {
    let doctor = Doctor::read(run.step(step)?)?;
    ensure!(
        doctor.status == Some(2),
        "{step}: doctor exits with {:?}",
        doctor.status
    );
    let check = doctor.check(check)?;
    let says = check["state"] == "missing" && check["advice"].to_string().contains(advice);
    ensure!(says, "{step}: doctor says {check}");
    Ok(())
}

/// Whether a watch ended at once, with these words.
fn refused(run: &Run, step: &str, words: &str) -> Result<()> {
    let ran = run.step(step)?;
    let well = ran.status == Some(2) && ran.err.contains(words) && !ran.err.contains("panicked");
    ensure!(
        well,
        "{step}: ends with {:?} and says: {}",
        ran.status,
        ran.err.trim()
    );
    Ok(())
}
