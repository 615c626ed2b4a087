//! Keeps the probes of runtimes in step with the processes that are watched.

use std::collections::HashMap;
use std::time::Instant;

use observer_core::facts::{Executions, ProcessFacts, Runtime};
use observer_core::ids::Tgid;

use super::followed::{Followed, Program};
use super::read_heap;
use super::windows::BUDGET;
use crate::cli::probes::DetailArgs;
use crate::facts::Proc;
use crate::kernel::Capture;

/// Keeps the probes in step with the processes that are watched.
#[derive(Debug, Default)]
pub struct Follower {
    detail: DetailArgs,
    followed: HashMap<Tgid, Followed>,
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
        let program = Program::of(&process, facts.runtime);
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
        let mut followed = Followed::new(program);
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
            let changed = followed.look_again(capture, &proc.process(tgid.0), self.detail, now);
            told.extend(changed.map(|executions| (*tgid, executions)));
        }
        told
    }

    /// A process has started a thread.
    pub fn thread_started(&mut self, process: Tgid) {
        if let Some(followed) = self.followed.get_mut(&process) {
            followed.thread_started(Instant::now());
        }
    }

    /// Work is handed on through channels in a process: it is worth more to see that.
    pub fn channels_matter(&mut self, process: Tgid) {
        if let Some(followed) = self.followed.get_mut(&process) {
            followed.allow(BUDGET);
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
            drop(followed);
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

/// Whether the runtime may keep ended threads for the next ones to run in. They are told by where they wait, as glibc lays
/// out threads on x86-64.
fn keeps_threads(runtime: Option<Runtime>) -> bool {
    cfg!(target_arch = "x86_64") && runtime == Some(Runtime::Ruby)
}
