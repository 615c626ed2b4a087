//! How the executions of a process can be told apart: goroutines, contexts of asyncio tasks, tasks of tokio.
//!
//! Each runtime has a file of its own. It looks at the executable and the memory of a process and says
//! what the probes are to read there ([`Layout`]) and where further probes belong ([`UserProbe`]);
//! or why nothing can be had. What it finds is checked before it is used: a wrong address must
//! show up here, or in the probe as something that can't be read, never as an execution.

mod exports;
mod go;
#[cfg(target_arch = "x86_64")]
mod haproxy;
pub mod image;
mod java;
pub mod memory;
#[cfg(target_arch = "x86_64")]
mod node;
mod pools;
mod published;
mod python;
mod tls;
#[cfg(target_arch = "x86_64")]
mod tokio;
pub mod windows;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use observer_abi::control::{Layout, go as go_words};
use observer_abi::node::{RUNS, WINDOW};
use observer_core::facts::{Executions, ProcessFacts, Runtime};
use observer_core::ids::Tgid;
use observer_core::record::ExecutionKind;

use crate::cli::args::{Detail, DetailArgs};
use crate::facts::{Proc, Process};
use crate::kernel::{self, Capture, UserLink, UserProbe};
use pools::Pools;
use windows::{Account, BUDGET, Turnover, Windows};

/// How the executions of one process are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What they are.
    pub kind: ExecutionKind,
    /// What the probes at system calls read.
    pub layout: Layout,
    /// Further probes. One that can't be put in place makes only its evidence unavailable.
    pub probes: Vec<UserProbe>,
    /// What can't be had of this process beside that, and why.
    pub missing: Vec<String>,
    /// A probe goes to an instruction that the kernel steps over, which takes a second exception.
    pub stepped: bool,
}

/// Why executions can't be told apart, in plain words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// How the executions of a process are told apart; `None` if it has none but threads (yet).
#[must_use]
pub fn plan(process: &Process, runtime: Runtime) -> Option<Result<Plan, Unavailable>> {
    plan_again(process, runtime, None)
}

/// The same where it was planned as in `before` last.
fn plan_again(
    process: &Process,
    runtime: Runtime,
    before: Option<&Plan>,
) -> Option<Result<Plan, Unavailable>> {
    match runtime {
        Runtime::Go => Some(go::plan(process)),
        Runtime::Python => Some(python::plan(process, before)),
        #[cfg(target_arch = "x86_64")]
        Runtime::Node => Some(node::plan(process)),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Node => Some(Err(Unavailable(
            "turns of Node's event loop are found on x86-64 only".to_owned(),
        ))),
        #[cfg(target_arch = "x86_64")]
        Runtime::Rust => tokio::plan(process),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Rust => None,
        Runtime::Java => java::plan(process),
        #[cfg(target_arch = "x86_64")]
        Runtime::Proxy => haproxy::plan(process),
        #[cfg(not(target_arch = "x86_64"))]
        Runtime::Proxy => None,
        Runtime::Ruby | Runtime::Php | Runtime::Dotnet | Runtime::Native => None,
    }
}

/// Has it read where the threads of a process that runs on Java make objects, and name their tasks, if it is not yet and
/// that can be had. What is read before the first request is what shows who makes its tasks.
fn read_heap(capture: &mut Capture, process: &Process, runtime: Runtime) {
    let tgid = Tgid(process.pid);
    if runtime == Runtime::Java
        && !capture.has_heap(tgid)
        && let Ok(layout) = java::heap(process)
    {
        capture.set_heap(tgid, &layout);
    }
}

/// What is read of a process that has no executions but threads, and whose threads publish the traces that they work in.
fn published(process: &Process) -> Option<Plan> {
    Some(Plan {
        kind: ExecutionKind::Published,
        layout: published::layout(process)?,
        probes: Vec::new(),
        missing: Vec::new(),
        stepped: false,
    })
}

/// How long until a process is looked at again that was looked at so often, if it is: for what it loads
/// later, or executions that it begins to use.
fn pause(
    runtime: Runtime,
    planned: Option<&Result<Plan, Unavailable>>,
    looks: usize,
) -> Option<Duration> {
    let pause = match planned {
        // A service may use its first virtual thread at any time.
        None if runtime == Runtime::Java => PAUSES.get(looks).or(PAUSES.last()),
        // Libraries that publish are loaded by the service, later on.
        None => PUBLISHING.get(looks),
        Some(Ok(plan)) if runtime == Runtime::Python => {
            // A service may give its first work to a pool, or log its first line through a queue, at any time.
            let last = (!python::is_whole(plan)).then_some(PAUSES.last()).flatten();
            PAUSES.get(looks).or(last)
        }
        Some(Err(_)) if !is_linked_in(runtime) => PAUSES.get(looks),
        Some(_) => None,
    };
    pause.copied()
}

/// Whether all that a plan rests on is in the executable, so that looking again finds nothing else.
fn is_linked_in(runtime: Runtime) -> bool {
    matches!(runtime, Runtime::Rust | Runtime::Proxy)
}

/// What is not known without the probes at channels.
const CHANNELS: &str = "which goroutine hands work to another through a channel";

/// What probes at channels may take of the CPU time that a process takes itself before work is seen to be handed on so: a
/// service that does nothing but ask others comes to a quarter (docs/journal/goroutines.md), and gains nothing by it.
const UNPROVEN: f64 = 0.02;

/// Pauses after which a process is looked at again whose plan could not be made, or may change: programs
/// load their runtimes and modules while they start.
const PAUSES: [Duration; 10] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
    Duration::from_millis(1_500),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// Pauses after which a process that publishes nothing is looked at again.
const PUBLISHING: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(9),
    Duration::from_secs(50),
];

/// Keeps the probes in step with the processes that are watched.
#[derive(Debug, Default)]
pub struct Follower {
    detail: DetailArgs,
    followed: HashMap<Tgid, Followed>,
}

#[derive(Debug)]
struct Followed {
    /// The program that the plan was made for.
    program: Program,
    executions: Option<Executions>,
    /// What is in place; `None` if nothing is.
    plan: Option<Plan>,
    /// Held for as long as the probes are to stay.
    links: Vec<(UserProbe, UserLink)>,
    /// What can't be had whenever it is watched, and why.
    lacking: Vec<String>,
    /// When it is watched, if not always.
    windows: Option<Windows>,
    /// When to look again, and how often that was done.
    again: Option<Instant>,
    looks: usize,
    /// What is known of its pools, if it runs on Java.
    pools: Pools,
}

/// What tells the programs that a process runs one after the other apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    runtime: Option<Runtime>,
    exe: Option<String>,
    started: Option<u64>,
}

impl Follower {
    /// One that puts probes which run often in place as `detail` says.
    #[must_use]
    pub fn new(detail: DetailArgs) -> Self {
        Self {
            detail,
            ..Self::default()
        }
    }

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
        if keeps_threads(facts.runtime) {
            capture.keep_threads(facts.tgid);
        }
        let mut followed = Followed {
            program,
            executions: None,
            plan: None,
            links: Vec::new(),
            lacking: Vec::new(),
            windows: None,
            again: None,
            looks: 0,
            pools: Pools::default(),
        };
        followed.look(capture, &process, self.detail);
        let executions = followed.executions.clone();
        self.followed.insert(facts.tgid, followed);
        executions
    }

    /// Looks again at the processes whose time it is; tells of those that have changed.
    pub fn look_again(&mut self, capture: &mut Capture, proc: &Proc) -> Vec<(Tgid, Executions)> {
        let now = Instant::now();
        let mut told = Vec::new();
        for (tgid, followed) in &mut self.followed {
            if followed.program.runtime == Some(Runtime::Java) && followed.pools.is_due(now) {
                followed.pools.look(capture, &proc.process(tgid.0), now);
            }
            let look = followed.again.is_some_and(|again| again <= now);
            let windows = followed.windows.as_ref();
            let turn_over = windows.is_some_and(|windows| windows.is_due(now));
            if !look && !turn_over {
                continue;
            }
            let before = followed.executions.clone();
            let process = proc.process(tgid.0);
            if look {
                followed.look(capture, &process, self.detail);
            }
            if turn_over {
                followed.turn_over(capture, &process, now);
            }
            if let Some(executions) = &followed.executions
                && before.as_ref() != Some(executions)
            {
                told.push((*tgid, executions.clone()));
            }
        }
        told
    }

    /// Work is handed on through channels in a process: it is worth more to see that.
    pub fn channels_matter(&mut self, process: Tgid) {
        let followed = self.followed.get_mut(&process);
        if let Some(windows) = followed.and_then(|followed| followed.windows.as_mut()) {
            windows.allow(BUDGET, Instant::now());
        }
    }

    /// Work is done by threads of a pool in a process: if it runs on Java, who made their tasks matters.
    pub fn works_in_pools(&self, capture: &mut Capture, proc: &Proc, tgid: Tgid) {
        let followed = self.followed.get(&tgid);
        if let Some(runtime) = followed.and_then(|followed| followed.program.runtime) {
            read_heap(capture, &proc.process(tgid.0), runtime);
        }
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

impl Followed {
    /// Plans, and puts in place what is planned.
    fn look(&mut self, capture: &mut Capture, process: &Process, detail: DetailArgs) {
        self.again = None;
        let Some(runtime) = self.program.runtime else {
            return;
        };
        read_heap(capture, process, runtime);
        if runtime == Runtime::Node && detail.node == Detail::Off {
            let why = "turns are not told apart with --node off";
            self.executions = Some(Executions::Unavailable(why.to_owned()));
            return;
        }
        let planned =
            plan_again(process, runtime, self.plan.as_ref()).or_else(|| published(process).map(Ok));
        let pause = pause(runtime, planned.as_ref(), self.looks);
        self.again = pause.map(|pause| Instant::now() + pause);
        self.looks = self.looks.saturating_add(1);
        let Some(mut planned) = planned else {
            return;
        };
        if let Ok(plan) = &mut planned
            && detail.go == Detail::Off
        {
            without_channels(plan);
        }
        match planned {
            // What was in place may still be right, and is checked at each reading.
            Err(_) if self.plan.is_some() => {}
            Err(why) => self.executions = Some(Executions::Unavailable(why.to_string())),
            Ok(plan) if self.plan.as_ref() == Some(&plan) => {}
            Ok(plan) => {
                let channels = plan.probes.iter().any(UserProbe::is_of_channels);
                let turns = runtime == Runtime::Node;
                if (channels && detail.go == Detail::Auto) || (turns && detail.node == Detail::Auto)
                {
                    let trap = trap(capture, &plan);
                    let account = Account {
                        cpu: process.cpu().unwrap_or_default(),
                        runs: 0,
                    };
                    let budget = if channels { UNPROVEN } else { BUDGET };
                    self.windows = Some(Windows::new(trap, budget, account, Instant::now()));
                }
                self.arrange(capture, Tgid(process.pid), plan);
            }
        }
    }

    /// Opens or closes a window, if it is time.
    fn turn_over(&mut self, capture: &mut Capture, process: &Process, now: Instant) {
        let Some((windows, plan)) = self.windows.as_mut().zip(self.plan.as_ref()) else {
            return;
        };
        let (tgid, kind) = (Tgid(process.pid), plan.kind);
        let account = Account {
            cpu: process.cpu().unwrap_or_default(),
            runs: capture.layout_word(tgid, runs(kind)).unwrap_or(0),
        };
        match windows.turn_over(account, now) {
            Some(Turnover::Close) if kind == ExecutionKind::Goroutine => {
                self.leave_channels();
            }
            Some(Turnover::Close) => {
                // First, so that nothing is taken for part of the last turn that the probes see.
                capture.clear_layout(tgid);
                self.links.clear();
            }
            Some(Turnover::Open) => {
                let plan = plan.clone();
                self.plan = None;
                self.arrange(capture, tgid, plan);
                return;
            }
            None => {}
        }
        self.told(kind);
    }

    /// Takes out what tells of channels: first what shows that something is taken, last what shows what is taken after it.
    fn leave_channels(&mut self) {
        while let Some(at) = self
            .links
            .iter()
            .rposition(|(probe, _)| probe.is_of_channels())
        {
            self.links.remove(at);
        }
    }

    fn arrange(&mut self, capture: &mut Capture, process: Tgid, plan: Plan) {
        let mut layout = plan.layout;
        if let Some(windows) = &self.windows
            && plan.kind == ExecutionKind::NodeAsync
        {
            layout.words[WINDOW] = windows.number();
        }
        if let Err(error) = capture.set_layout(process, &layout) {
            let why = format!("the kernel refuses the entry of the process: {error}");
            self.executions = Some(Executions::Unavailable(why));
            return;
        }
        if self.plan.as_ref().map(|plan| &plan.probes) != Some(&plan.probes) {
            let mut missing = plan.missing.clone();
            missing.extend(self.attach(capture, process, &plan.probes));
            self.lacking = missing;
            self.told(plan.kind);
        }
        self.plan = Some(plan);
    }

    /// Puts `probes` in place, and takes out what is in place beside them; tells what can't be put in place, and why.
    /// What is in place already stays: nothing goes by unseen meanwhile.
    fn attach(
        &mut self,
        capture: &mut Capture,
        process: Tgid,
        probes: &[UserProbe],
    ) -> Vec<String> {
        let mut failed: Vec<(&str, String)> = Vec::new();
        self.links.retain(|(probe, _)| probes.contains(probe));
        for probe in probes {
            if self.links.iter().any(|(there, _)| there == probe) || lacks(probe, &failed) {
                continue;
            }
            match capture.attach_user(process, probe) {
                Ok(link) => self.links.push((probe.clone(), link)),
                // Of a refusal the end of the verifier's log is more than a process's line can tell.
                Err(error) => {
                    let told = kernel::told(&error);
                    let first = told.lines().next().unwrap_or_default();
                    failed.push((probe.program, first.to_owned()));
                }
            }
        }
        self.links.retain(|(probe, _)| !lacks(probe, &failed));
        let tell = |(program, error)| format!("{program}: {error}");
        failed.into_iter().map(tell).collect()
    }

    /// Says what can be had, and when.
    fn told(&mut self, kind: ExecutionKind) {
        let windows = self.windows.as_ref();
        let mut missing = self.lacking.clone();
        let paused = windows.and_then(Windows::missing);
        missing.extend(paused.map(|paused| match kind {
            ExecutionKind::Goroutine => {
                format!("{CHANNELS}, {paused} (--go precise)")
            }
            _ => format!("{paused} (--node precise)"),
        }));
        self.executions = Some(Executions::Known {
            kind,
            missing,
            paused: windows.is_some_and(|windows| !windows.is_open()),
        });
    }
}

/// Whether the runtime may keep ended threads for the next ones to run in. They are told by where they wait, as glibc lays
/// out threads on x86-64.
fn keeps_threads(runtime: Option<Runtime>) -> bool {
    cfg!(target_arch = "x86_64") && runtime == Some(Runtime::Ruby)
}

/// Leaves out of a plan what tells of channels.
fn without_channels(plan: &mut Plan) {
    let probes = plan.probes.len();
    plan.probes.retain(|probe| !probe.is_of_channels());
    if plan.probes.len() < probes {
        plan.missing.push(format!("{CHANNELS} (--go off)"));
    }
}

/// The word of a layout in which probes that are watched for a share of the time count their runs.
fn runs(kind: ExecutionKind) -> usize {
    match kind {
        ExecutionKind::Goroutine => go_words::RUNS,
        _ => RUNS,
    }
}

/// Whether a program that a probe needs is among those that failed.
fn lacks(probe: &UserProbe, failed: &[(&str, String)]) -> bool {
    let needs = probe.needs();
    failed.iter().any(|(program, _)| needs.contains(program))
}

/// What running into a probe of `plan` takes on this machine.
#[cfg(target_arch = "x86_64")]
fn trap(capture: &mut Capture, plan: &Plan) -> Option<Duration> {
    capture.toll(plan.probes.first()?.program, plan.stepped)
}

#[cfg(not(target_arch = "x86_64"))]
fn trap(_: &mut Capture, _: &Plan) -> Option<Duration> {
    None
}
