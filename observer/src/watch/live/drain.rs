//! Handing out what the probes have recorded.

use std::mem::offset_of;
use std::time::{Duration, Instant};

use observer_abi as abi;
use observer_core::engine::Input;
use observer_core::facts::ProcessFacts;
use observer_core::ids::{KernelNanos, Tgid};

use super::Live;
use crate::kernel::Capture;
use crate::watch::clock;

/// How often it is asked what system calls come to on connections of which only a share is observed.
const RECKON_EVERY: Duration = Duration::from_secs(1);

impl Live {
    /// Hands out the records that are there, then a tick.
    pub(super) fn drain(&mut self, into: &mut impl FnMut(Input<'_>)) {
        self.drain_with(into, |live, mut into, ended| {
            live.hand_out(&mut into, ended)
        });
    }

    /// Hands out what `hand_out` has, and follows what was learned of processes by that.
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

/// When a record was made.
fn time(raw: &[u8]) -> Option<KernelNanos> {
    let at = offset_of!(abi::Header, time);
    Some(KernelNanos(u64::from_ne_bytes(
        *raw.get(at..)?.first_chunk()?,
    )))
}
