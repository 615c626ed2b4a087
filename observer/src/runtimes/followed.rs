//! One process that is followed: what is planned for it, what is in place, and when to look again.

use std::time::{Duration, Instant};

use observer_abi::go as go_words;
use observer_abi::node::{RUNS, WINDOW};
use observer_core::facts::{Executions, Runtime};
use observer_core::ids::Tgid;
use observer_core::record::ExecutionKind;

use super::pools::Pools;
use super::stirs::Stirs;
use super::windows::{Account, BUDGET, Turnover, Windows};
use super::{Plan, java, pause, pinned, plan_again, published, read_heap};
use crate::cli::probes::{Detail, DetailArgs};
use crate::facts::Process;
use crate::kernel::{self, Capture, UserLink, UserProbe};

/// What is not known without the probes at channels.
const CHANNELS: &str = "which goroutine hands work to another through a channel";

/// What probes at channels may take of the CPU time that a process takes itself before work is seen to be handed on so: a
/// service that does nothing but ask others comes to a quarter (docs/journal/goroutines.md), and gains nothing by it.
const UNPROVEN: f64 = 0.02;

/// A process whose executions are read, or could not be.
#[derive(Debug)]
pub(super) struct Followed {
    /// The program that the plan was made for.
    pub program: Program,
    /// What is said of them.
    pub executions: Option<Executions>,
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
    /// Looks that threads are the reason for.
    stirs: Stirs,
    /// What is known of its pools, if it runs on Java.
    pools: Pools,
}

/// What tells the programs that a process runs one after the other apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub runtime: Option<Runtime>,
    exe: Option<String>,
    started: Option<u64>,
}

impl Program {
    /// The one that a process runs now.
    pub fn of(process: &Process, runtime: Option<Runtime>) -> Self {
        Self {
            runtime,
            exe: process.exe(),
            started: process.started(),
        }
    }
}

impl Followed {
    /// A process of which nothing is known yet.
    pub fn new(program: Program) -> Self {
        Self {
            program,
            executions: None,
            plan: None,
            links: Vec::new(),
            lacking: Vec::new(),
            windows: None,
            again: None,
            looks: 0,
            stirs: Stirs::default(),
            pools: Pools::default(),
        }
    }

    /// Does what it is time for; what is said now, if that is something else.
    pub fn look_again(
        &mut self,
        capture: &mut Capture,
        process: &Process,
        detail: DetailArgs,
        now: Instant,
    ) -> Option<Executions> {
        if self.program.runtime == Some(Runtime::Java) && self.pools.is_due(now) {
            self.pools.look(capture, process, now);
        }
        let due = self.again.is_some_and(|again| again <= now);
        let look = due || self.is_stirred(process, now);
        let windows = self.windows.as_ref();
        let turn_over = windows.is_some_and(|windows| windows.is_due(now));
        if !look && !turn_over {
            return None;
        }
        let before = self.executions.clone();
        if look {
            self.looks = self.looks.saturating_add(due.into());
            self.look(capture, process, detail);
        }
        if turn_over {
            self.turn_over(capture, process, now);
        }
        self.executions
            .clone()
            .filter(|executions| before.as_ref() != Some(executions))
    }

    /// Whether threads that were started show that there may be executions by now. To look at their names takes little.
    fn is_stirred(&mut self, process: &Process, now: Instant) -> bool {
        if self.again.is_none() || !self.stirs.is_due(now) {
            return false;
        }
        let shows = java::may_carry(process);
        self.stirs.looked(now, Instant::now());
        shows
    }

    /// It has started a thread. Java starts some for its first virtual thread, and what is done before they are found is nobody's.
    pub fn thread_started(&mut self, now: Instant) {
        if self.program.runtime == Some(Runtime::Java) {
            self.stirs.started(now);
        }
    }

    /// Probes that are in place for a share of the time may take that share of the process's CPU time.
    pub fn allow(&mut self, budget: f64) {
        if let Some(windows) = &mut self.windows {
            windows.allow(budget, Instant::now());
        }
    }

    /// Plans, and puts in place what is planned.
    pub fn look(&mut self, capture: &mut Capture, process: &Process, detail: DetailArgs) {
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
        let pinned = || capture.has_pinned_contexts().then(|| Ok(pinned()));
        let Some(mut planned) = planned.or_else(pinned) else {
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
        let in_place = self.plan.as_ref();
        if in_place.map(|plan| (plan.kind, &plan.probes)) != Some((plan.kind, &plan.probes)) {
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
