//! How the executions of a process can be told apart: goroutines, contexts of asyncio tasks.
//!
//! Each runtime has a file of its own. It looks at the executable and the memory of a process and says
//! what the probes are to read there ([`Layout`]) and where further probes belong ([`UserProbe`]);
//! or why nothing can be had. What it finds is checked before it is used: a wrong address must
//! show up here, or in the probe as something that can't be read, never as an execution.

mod node;

use std::collections::HashMap;

use observer_abi::control::Layout;
use observer_core::facts::{Executions, ProcessFacts, Runtime};
use observer_core::ids::Tgid;
use observer_core::record::ExecutionKind;

use crate::facts::{Proc, Process};
use crate::kernel::{Capture, UserLink, UserProbe};

/// How the executions of one process are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What they are.
    pub kind: ExecutionKind,
    /// What the probes at system calls read.
    pub layout: Layout,
    /// Further probes. One that can't be put in place makes only its evidence unavailable.
    pub probes: Vec<UserProbe>,
}

/// Why executions can't be told apart, in plain words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// How the executions of a process are told apart; `None` if its runtime has none but threads.
#[must_use]
pub fn plan(process: &Process, runtime: Runtime) -> Option<Result<Plan, Unavailable>> {
    match runtime {
        Runtime::Node => Some(node::plan(process)),
        Runtime::Go
        | Runtime::Python
        | Runtime::Java
        | Runtime::Rust
        | Runtime::Ruby
        | Runtime::Php
        | Runtime::Proxy
        | Runtime::Native => None,
    }
}

/// Keeps the probes in step with the processes that are watched.
#[derive(Debug, Default)]
pub struct Follower {
    followed: HashMap<Tgid, Followed>,
}

#[derive(Debug)]
struct Followed {
    /// The program that the plan was made for.
    program: Program,
    executions: Option<Executions>,
    /// Held for as long as the probes are to stay.
    links: Vec<UserLink>,
}

/// What tells the programs that a process runs one after the other apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    runtime: Option<Runtime>,
    exe: Option<String>,
    started: Option<u64>,
}

impl Follower {
    /// Has the executions of a process read from now on, if its runtime has any; tells how that went.
    pub fn follow(
        &mut self,
        capture: &mut Capture,
        proc: &Proc,
        facts: &ProcessFacts,
    ) -> Option<Executions> {
        let process = proc.process(facts.tgid.0);
        let program = Program {
            runtime: facts.runtime,
            exe: process.exe(),
            started: process.started(),
        };
        if let Some(known) = self.followed.get(&facts.tgid)
            && known.program == program
        {
            return known.executions.clone();
        }
        self.forget_ended(proc);
        capture.clear_layout(facts.tgid);
        let (executions, links) = match facts.runtime.and_then(|runtime| plan(&process, runtime)) {
            None => (None, Vec::new()),
            Some(Err(why)) => (Some(Executions::Unavailable(why.to_string())), Vec::new()),
            Some(Ok(plan)) => arrange(capture, facts.tgid, &plan),
        };
        let followed = Followed {
            program,
            executions: executions.clone(),
            links,
        };
        self.followed.insert(facts.tgid, followed);
        executions
    }

    /// Takes the probes out of a process that has ended.
    pub fn ended(&mut self, capture: &mut Capture, process: Tgid) {
        if let Some(followed) = self.followed.remove(&process) {
            drop(followed.links);
            capture.clear_layout(process);
        }
    }

    fn forget_ended(&mut self, proc: &Proc) {
        const REMEMBERED: usize = 4_096;
        if self.followed.len() >= REMEMBERED {
            self.followed
                .retain(|tgid, _| proc.process(tgid.0).exists());
        }
    }
}

fn arrange(
    capture: &mut Capture,
    process: Tgid,
    plan: &Plan,
) -> (Option<Executions>, Vec<UserLink>) {
    if let Err(error) = capture.set_layout(process, &plan.layout) {
        let why = format!("the kernel refuses the entry of the process: {error}");
        return (Some(Executions::Unavailable(why)), Vec::new());
    }
    let mut missing = Vec::new();
    let links = plan
        .probes
        .iter()
        .filter_map(|probe| match capture.attach_user(process, probe) {
            Ok(link) => Some(link),
            Err(error) => {
                missing.push(format!("{}: {error}", probe.program));
                None
            }
        })
        .collect();
    let executions = Executions::Known {
        kind: plan.kind,
        missing,
    };
    (Some(executions), links)
}
