//! The probes as a source of inputs.

use std::io;
use std::mem::offset_of;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use observer_abi as abi;
use observer_core::engine::{Feedback, Input};
use observer_core::facts::ProcessFacts;
use observer_core::ids::{KernelNanos, Tgid};

use aya::programs::ProgramError;

use super::account::Account;
use super::choose::{Changes, Chooser};
use super::select::Pinned;
use super::{SpawnError, Spawned, WatchError, clock};
use crate::budget::Turn;
use crate::cli::args::DetailArgs;
use crate::facts::{Enrich, Proc, Tracker};
use crate::kernel::{Capture, ProbeState};
use crate::runtimes::Follower;
use crate::session::{Flow, Source};
use crate::stderr::say;

/// The longest time between two ticks.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often it is looked whether processes have ended, or begun to listen.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is asked what system calls come to on connections of which only a share is observed.
const RECKON_EVERY: Duration = Duration::from_secs(1);
/// How long a command has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Why watching can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The ring can't be waited for.
    #[error("the kernel's records can't be waited for: {0}")]
    Wait(io::Error),
    /// The probes at system calls can't be taken away, or put back.
    #[error("the probes at system calls can't be taken away for a while, or put back: {0}")]
    Pause(ProgramError),
    /// The command's end can't be learned.
    #[error("the command can't be waited for: {0}")]
    Command(io::Error),
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Ctrl-C, SIGTERM, or the end of the terminal.
    Signal,
    /// The time was over.
    Duration,
    /// The command ended by itself.
    Command(ExitStatus),
    /// All processes that were named have ended.
    Gone,
}

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

    /// Why the watch ended, once it has.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Ends the command, if it still runs.
    pub(super) fn end_command(&mut self) {
        let Some(command) = &mut self.command else {
            return;
        };
        if !matches!(command.try_wait(), Ok(None)) || command.terminate().is_err() {
            return;
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(command.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PATIENCE);
        }
        say(format_args!(
            "the command (process {}) does not end on SIGTERM and is left running",
            command.tgid()
        ));
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

    /// Why to end now, if there is a reason.
    fn look(&mut self) -> Result<Option<Ending>, LiveError> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Some(Ending::Signal));
        }
        if let Some(command) = &mut self.command
            && let Some(status) = command.try_wait().map_err(LiveError::Command)?
        {
            return Ok(Some(Ending::Command(status)));
        }
        let now = Instant::now();
        let duration = self.duration;
        let deadline = *self.deadline.get_or_insert_with(|| {
            now + duration.unwrap_or(Duration::from_secs(u64::from(u32::MAX)))
        });
        if now >= deadline {
            return Ok(Some(Ending::Duration));
        }
        if now.duration_since(self.looked) < LOOK_EVERY {
            return Ok(None);
        }
        self.looked = now;
        let changes = self.chooser.look_again(&self.proc);
        self.change(changes);
        let only_pinned =
            !self.pinned.is_empty() && !self.chooser.is_open() && self.command.is_none();
        if only_pinned
            && self
                .pinned
                .iter()
                .all(|process| process.is_gone(&self.proc))
        {
            return Ok(Some(Ending::Gone));
        }
        Ok(None)
    }

    /// Hands out the records that are there, then a tick.
    fn drain(&mut self, into: &mut impl FnMut(Input<'_>)) {
        self.drain_with(into, |live, mut into, ended| {
            live.hand_out(&mut into, ended)
        });
    }

    pub(super) fn drain_with(
        &mut self,
        into: &mut impl FnMut(Input<'_>),
        hand_out: impl FnOnce(&mut Self, &mut dyn FnMut(Input<'_>), &mut Vec<Tgid>),
    ) {
        let mut learned = Vec::new();
        let mut ended = Vec::new();
        hand_out(
            self,
            &mut |input| {
                if let Input::Process(facts) = &input {
                    learned.push(facts.clone());
                }
                into(input);
            },
            &mut ended,
        );
        for tgid in ended {
            self.follower.ended(&mut self.capture, tgid);
        }
        for facts in learned {
            self.follow(&facts, into);
        }
        for (tgid, executions) in self.follower.look_again(&mut self.capture, &self.proc) {
            self.tracker.tell_executions(tgid, executions, into);
        }
    }

    fn hand_out(&mut self, into: &mut impl FnMut(Input<'_>), ended: &mut Vec<Tgid>) {
        self.tracker.tell_pending(into);
        let before = clock::now();
        let last = self.hand_out_records(before, into, ended);
        self.reckon(into);
        let (now, lost) = self
            .losses
            .tick(before.min(last), || self.capture.lost(), clock::now);
        self.tracker.tick(now, into);
        into(Input::Tick { now, lost });
    }

    /// Tells what system calls came to, every now and then and in the end.
    fn reckon(&mut self, into: &mut dyn FnMut(Input<'_>)) {
        if self.ending.is_none() && self.reckoned.elapsed() < RECKON_EVERY {
            return;
        }
        self.reckoned = Instant::now();
        self.capture.reckoned(|place, calls| {
            into(Input::Reckoned {
                place,
                counted: calls.counted,
                expected: calls.expected,
            });
        });
    }

    /// Hands out what is there, or as much as fits in the ring; the time of the last one, if there may be more.
    pub(super) fn hand_out_records(
        &mut self,
        before: KernelNanos,
        into: &mut impl FnMut(Input<'_>),
        ended: &mut Vec<Tgid>,
    ) -> KernelNanos {
        let Self {
            capture,
            tracker,
            executed,
            chooser,
            pulse,
            turn,
            follower,
            ..
        } = self;
        let by_rule = chooser.has_rules();
        let strict = !chooser.takes_children();
        let mut last = before;
        // In a flood it is looked around more often than the ring is emptied.
        for part in 1..=Capture::PARTS {
            let more = capture.drain_part(|raw| {
                if part == Capture::PARTS {
                    last = time(raw).unwrap_or(last);
                }
                // Only with rules are programs of other processes reported.
                let executed_by = told_by(raw, abi::kind::EXEC);
                // A new program ends what the old one was, even if it is the same file.
                ended.extend(exits(raw).or(executed_by));
                if let Some(tgid) = told_by(raw, abi::kind::SPAWN) {
                    follower.thread_started(tgid);
                }
                match executed_by {
                    // Nothing is told of who is not watched, but without the record its CPU's sequence would have a
                    // hole.
                    Some(tgid) if by_rule && !tracker.knows(tgid) => {
                        executed.push(tgid);
                        into(Input::Record(raw));
                    }
                    Some(tgid) if strict => {
                        executed.push(tgid);
                        tracker.record(raw, into);
                    }
                    _ => tracker.record(raw, into),
                }
            });
            if !more {
                break;
            }
            if let Some(pulse) = pulse {
                *turn = turn.take().or(pulse(capture, into));
            }
        }
        for tgid in std::mem::take(&mut self.executed) {
            if self.chooser.wants(&self.proc.process(tgid.0)) {
                self.watch_found(tgid);
            } else if !self.chooser.takes_children() {
                self.leave(tgid);
            }
        }
        last
    }

    /// Has the executions of a process read, if its runtime has any.
    fn follow(&mut self, facts: &ProcessFacts, into: &mut impl FnMut(Input<'_>)) {
        let Self {
            follower,
            capture,
            proc,
            tracker,
            ..
        } = self;
        if let Some(executions) = follower.follow(capture, proc, facts) {
            tracker.tell_executions(facts.tgid, executions, into);
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

fn say_why(ending: Option<Ending>) {
    match ending {
        Some(Ending::Gone) => say("all watched processes have ended"),
        Some(Ending::Duration) => say("the time is over"),
        Some(Ending::Signal | Ending::Command(_)) | None => {}
    }
}

/// The process that a record says to have ended.
fn exits(raw: &[u8]) -> Option<Tgid> {
    let tgid = told_by(raw, abi::kind::EXIT)?;
    (word(raw, offset_of!(abi::Header, tid))? == tgid.0).then_some(tgid)
}

/// The process that did what a record tells, if it is of that kind.
fn told_by(raw: &[u8], kind: u8) -> Option<Tgid> {
    if raw.get(offset_of!(abi::Header, kind)) != Some(&kind) {
        return None;
    }
    word(raw, offset_of!(abi::Header, tgid)).map(Tgid)
}

fn word(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*raw.get(at..)?.first_chunk()?))
}

fn time(raw: &[u8]) -> Option<KernelNanos> {
    let at = offset_of!(abi::Header, time);
    Some(KernelNanos(u64::from_ne_bytes(
        *raw.get(at..)?.first_chunk()?,
    )))
}
