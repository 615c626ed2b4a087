//! The probes as a source of inputs.

mod drain;
mod ending;
mod pause;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use observer_core::engine::{Feedback, Input};
use observer_core::ids::{KernelNanos, Tgid};

use super::account::Account;
use super::choose::{Changes, Chooser};
use super::select::Pinned;
use super::{SpawnError, Spawned, WatchError};
use crate::budget::Turn;
use crate::cli::probes::DetailArgs;
use crate::facts::{Enrich, Proc, Tracker};
use crate::kernel::{Capture, ProbeState};
use crate::runtimes::Follower;
use crate::session::{Flow, Source};
use ending::say_why;
pub use ending::{Ending, LiveError};

/// The longest time between two ticks.
const PATIENCE: Duration = Duration::from_millis(20);
/// What is called whenever records are looked for: it may add inputs of its own, and says what is to be done with the probes at
/// system calls.
pub type Pulse = Box<dyn FnMut(&Capture, &mut dyn FnMut(Input<'_>)) -> Option<Turn>>;

/// A running capture with everything around it.
pub(super) struct Live {
    pub(super) capture: Capture,
    proc: Proc,
    tracker: Tracker,
    chooser: Box<dyn Chooser>,
    pulse: Option<Pulse>,
    /// What is to be done with the probes at system calls.
    turn: Option<Turn>,
    pinned: Vec<Pinned>,
    command: Option<Spawned>,
    stop: Arc<AtomicBool>,
    duration: Option<Duration>,
    deadline: Option<Instant>,
    looked: Instant,
    reckoned: Instant,
    losses: Account,
    /// Services that are watched from the beginning, with their process ids.
    names: Vec<String>,
    /// Programs executed by processes that are not watched.
    executed: Vec<Tgid>,
    /// Has the executions of processes read.
    follower: Follower,
    ending: Option<Ending>,
}

impl Live {
    pub(super) fn new(
        capture: Capture,
        proc: Proc,
        chooser: Box<dyn Chooser>,
        stop: Arc<AtomicBool>,
        now: KernelNanos,
    ) -> Self {
        Self {
            capture,
            tracker: Tracker::new(proc.clone(), now),
            proc,
            chooser,
            pulse: None,
            turn: None,
            pinned: Vec::new(),
            command: None,
            stop,
            duration: None,
            deadline: None,
            looked: Instant::now(),
            reckoned: Instant::now(),
            losses: Account::default(),
            names: Vec::new(),
            executed: Vec::new(),
            follower: Follower::new(DetailArgs::default()),
            ending: None,
        }
    }

    /// Watches processes that were named, and their children.
    pub(super) fn watch_pinned(&mut self, pinned: Vec<Pinned>) -> Result<(), WatchError> {
        for process in &pinned {
            let tree = self.capture.watch_tree(process.tgid)?;
            self.selected(tree);
        }
        self.pinned = pinned;
        Ok(())
    }

    /// Follows runtimes in that detail, in processes that are watched from now on.
    pub(super) fn follow_in(&mut self, detail: DetailArgs) {
        self.follower = Follower::new(detail);
    }

    /// Ends when this time is over, if one is given.
    pub(super) fn end_after(&mut self, duration: Option<Duration>) {
        self.duration = duration;
    }

    /// Has facts enriched.
    pub(super) fn enrich(&mut self, more: Option<Arc<dyn Enrich>>) {
        if let Some(more) = more {
            self.tracker.enrich(more);
        }
    }

    /// Has `pulse` called whenever records are looked for.
    pub(super) fn on_pulse(&mut self, pulse: Option<Pulse>) {
        self.pulse = pulse;
    }

    /// Watches what is chosen now.
    pub(super) fn watch_chosen(&mut self) {
        let changes = self.chooser.look(&self.proc);
        self.change(changes);
    }

    /// Starts a command, watched from its first instruction.
    pub(super) fn start(&mut self, command: Command) -> Result<(), SpawnError> {
        let spawned = Spawned::start(command, &self.capture)?;
        self.selected([spawned.tgid()]);
        self.command = Some(spawned);
        Ok(())
    }

    /// Names of the services that are watched from the beginning.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn selected(&mut self, processes: impl IntoIterator<Item = Tgid>) {
        for tgid in processes {
            let facts = self.tracker.read_early(tgid).clone();
            // Requests that come in before are of nobody. It is told when the facts are.
            self.follower.follow(&mut self.capture, &self.proc, &facts);
            // For the line that says what is watched; later ones are seen when they do something.
            if self.deadline.is_none() {
                self.names.push(format!("{} {tgid}", facts.service));
            }
        }
    }

    /// Probes that are not attached, and what they are missed for.
    pub(super) fn missing_probes(&self) -> impl Iterator<Item = String> {
        self.capture.status().iter().filter_map(|status| {
            let why = match &status.state {
                ProbeState::Ok => return None,
                ProbeState::Unsupported(why) | ProbeState::Broken(why) => why,
            };
            Some(format!(
                "the probe {} on {} is missing, so what it reports is not seen: {why}",
                status.name, status.place
            ))
        })
    }

    fn change(&mut self, changes: Changes) {
        for tgid in changes.leave {
            self.leave(tgid);
        }
        for tgid in changes.watch {
            self.watch_found(tgid);
        }
    }

    /// Watches a process that was chosen, with its children if that is what is wanted.
    fn watch_found(&mut self, tgid: Tgid) {
        if self.capture.is_watched(tgid) {
            return;
        }
        // The one that can't be watched is this process, which a rule may well match.
        let watched = if self.chooser.takes_children() {
            self.capture.watch_tree(tgid)
        } else {
            self.capture.watch(tgid).map(|()| vec![tgid])
        };
        if let Ok(tree) = watched {
            self.selected(tree);
        }
    }

    /// Watches a process no longer.
    fn leave(&mut self, tgid: Tgid) {
        if self.capture.is_watched(tgid) {
            self.capture.unwatch(tgid);
            self.follower.ended(&mut self.capture, tgid);
        }
    }
}

impl Source for Live {
    type Error = LiveError;

    fn pump(&mut self, mut into: impl FnMut(Input<'_>)) -> Result<Flow, LiveError> {
        self.capture.wait(PATIENCE).map_err(LiveError::Wait)?;
        // Before the drain: what led to the end is in the ring by then.
        self.ending = self.look()?;
        self.drain(&mut into);
        if let Some(pulse) = &mut self.pulse {
            let turn = pulse(&self.capture, &mut into);
            self.turn = self.turn.take().or(turn);
        }
        if let Some(turn) = self.turn.take() {
            self.take_turn(turn, &mut into)?;
        }
        Ok(match self.ending {
            Some(_) => {
                say_why(self.ending);
                Flow::End
            }
            None => Flow::More,
        })
    }

    fn apply(&mut self, feedback: Vec<Feedback>) {
        for wish in feedback {
            if let Feedback::Wakes(process) = wish {
                self.follower
                    .works_in_pools(&mut self.capture, &self.proc, process);
            }
            if let Feedback::Channels(process) = wish {
                self.follower.channels_matter(process);
            }
            self.capture.apply(wish);
        }
    }
}
