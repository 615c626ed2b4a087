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
                let life = Life::told(raw);
                match life {
                    // A new program ends what the old one was, even if it is the same file.
                    Some(Life::Executed(tgid) | Life::Ended(tgid)) => ended.push(tgid),
                    Some(Life::StartedThread(tgid)) => follower.thread_started(tgid),
                    None => {}
                }
                match life {
                    // Only with rules are programs of other processes reported.
                    // Nothing is told of who is not watched, but without the record its CPU's sequence would have a
                    // hole.
                    Some(Life::Executed(tgid)) if by_rule && !tracker.knows(tgid) => {
                        executed.push(tgid);
                        into(Input::Record(raw));
                    }
                    Some(Life::Executed(tgid)) if strict => {
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

/// What a record tells of the life of a process. Most tell nothing of it: they are looked at once, and only at their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It has executed a program.
    Executed(Tgid),
    /// It has ended: its main thread has.
    Ended(Tgid),
    /// It has started a thread.
    StartedThread(Tgid),
}

impl Life {
    fn told(raw: &[u8]) -> Option<Self> {
        let tgid = || word(raw, offset_of!(abi::Header, tgid)).map(Tgid);
        match *raw.get(offset_of!(abi::Header, kind))? {
            abi::kind::EXEC => tgid().map(Self::Executed),
            abi::kind::SPAWN => tgid().map(Self::StartedThread),
            abi::kind::EXIT => {
                let tgid = tgid()?;
                let tid = word(raw, offset_of!(abi::Header, tid))?;
                (tid == tgid.0).then_some(Self::Ended(tgid))
            }
            _ => None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, tgid: u32, tid: u32) -> Vec<u8> {
        let mut raw = vec![0; size_of::<abi::Header>()];
        raw[offset_of!(abi::Header, kind)] = kind;
        for (at, word) in [
            (offset_of!(abi::Header, tgid), tgid),
            (offset_of!(abi::Header, tid), tid),
        ] {
            raw[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        raw
    }

    #[test]
    fn lives_are_told_by_their_records_alone() {
        let told = |kind, tid| Life::told(&record(kind, 7, tid));
        assert_eq!(told(abi::kind::EXEC, 8), Some(Life::Executed(Tgid(7))));
        assert_eq!(
            told(abi::kind::SPAWN, 8),
            Some(Life::StartedThread(Tgid(7)))
        );
        assert_eq!(told(abi::kind::EXIT, 7), Some(Life::Ended(Tgid(7))));
        assert_eq!(told(abi::kind::EXIT, 8), None);
        assert_eq!(told(abi::kind::DATA, 7), None);
        let cut = &record(abi::kind::EXEC, 7, 7)[..offset_of!(abi::Header, tgid)];
        assert_eq!((Life::told(cut), Life::told(&[])), (None, None));
    }
}
