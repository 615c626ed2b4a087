//! What the virtual machine and the task that boots it tell each other.

use serde::{Deserialize, Serialize};

/// Where a machine has the library that notes what verifying programs takes; an absent one is not loaded.
pub const VERIFIED: &str = "/lib/verified.so";
/// Where the [`Plan`] lies in the machine.
pub const PLAN: &str = "/plan.json";

/// What a machine does from its boot to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The serial port on which [`Told`] goes out, a line of JSON each.
    pub port: String,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// A command that is run in the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it is called in the report.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How long it may take, seconds; then it is ended.
    pub seconds: u64,
}

/// What a machine tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// The machine is up, and about to run its steps.
    Up {
        /// Release of its kernel.
        kernel: String,
    },
    /// A step has ended.
    Ran(Ran),
    /// All steps have ended.
    Done,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub step: String,
    /// Its exit status; absent if a signal, or its time limit, ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// How long it took, milliseconds.
    pub millis: u64,
}

/// What the workload did: the truth that verdicts are compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum Truth {
    /// A service called another one.
    Call {
        /// What it asked for, as no other call does.
        target: String,
        /// The verdict that is right.
        verdict: String,
    },
    /// A service wrote a line of log.
    Line {
        /// The message in it, as in no other line.
        message: String,
        /// The verdict that is right.
        verdict: String,
    },
}
