//! When requests of a process ended, for asking whether all that were open at some moment have.

use std::collections::VecDeque;

use crate::ids::{KernelNanos, Seq};

/// Ends of requests that are remembered.
const MAX_ENDED: usize = 4_096;

/// Ends of requests, in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// When, and a number below which all requests had ended by then: it rises, since requests are numbered as they come in.
    ended: VecDeque<(KernelNanos, Seq)>,
    /// Above all numbers that were given so far in the process.
    next: Seq,
}

impl Ends {
    /// A request came in, or something else was done, and was given this number.
    pub(super) fn numbered(&mut self, seq: Seq) {
        self.next = self.next.max(Seq(seq.0 + 1));
    }

    /// A request ended, after which `oldest_open` is the oldest one that goes on.
    pub(super) fn ended(&mut self, time: KernelNanos, oldest_open: Option<Seq>) {
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        // Where none goes on, all that has a number by now is over: to say no more than that keeps them in order.
        let below = oldest_open.unwrap_or(self.next);
        self.ended.push_back((time, below));
    }

    /// Whether all requests that were open when something with the number `seq` was done, at `since`, had
    /// ended by `time`, if they have by now.
    pub(super) fn all_by(&self, seq: Seq, since: KernelNanos, time: KernelNanos) -> bool {
        let first = self.ended.partition_point(|(_, below)| *below <= seq);
        let last = self.ended.range(first..).find(|(at, _)| *at >= since);
        last.is_none_or(|(at, _)| *at <= time)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Begin,
        Do,
        End(usize),
    }

    /// What happens, how much later, and how much later or earlier it says that it did.
    fn story() -> impl Strategy<Value = Vec<(Step, u64, u64)>> {
        let step = prop_oneof![
            3 => Just(Step::Begin),
            2 => Just(Step::Do),
            4 => any::<usize>().prop_map(Step::End),
        ];
        prop::collection::vec((step, 0_u64..3, 0_u64..4), 1..150)
    }

    proptest! {
        /// It is the same as going through all that ended since, one by one.
        #[test]
        fn all_ended_is_found_by_halves(story in story()) {
            let mut ends = Ends::default();
            let mut open = BTreeSet::new();
            let mut done: Vec<(usize, Seq, KernelNanos)> = Vec::new();
            let mut ended: Vec<(KernelNanos, Option<Seq>)> = Vec::new();
            let (mut now, mut next) = (10, 1);
            for (step, later, off) in story {
                now += later;
                let time = KernelNanos(now + off - 2);
                match step {
                    Step::Begin | Step::Do => {
                        ends.numbered(Seq(next));
                        match step {
                            Step::Begin => drop(open.insert(Seq(next))),
                            _ => done.push((ended.len(), Seq(next), time)),
                        }
                        next += 1;
                    }
                    Step::End(nth) => {
                        let Some(request) = open.iter().nth(nth % open.len().max(1)).copied() else {
                            continue;
                        };
                        open.remove(&request);
                        ends.ended(time, open.first().copied());
                        ended.push((time, open.first().copied()));
                    }
                }
            }
            for (before, seq, since) in done {
                for time in (0..now + 3).map(KernelNanos) {
                    let last = ended[before..]
                        .iter()
                        .find(|(at, oldest)| *at >= since && oldest.is_none_or(|open| open > seq));
                    let expected = last.is_none_or(|(at, _)| *at <= time);
                    prop_assert_eq!(ends.all_by(seq, since, time), expected, "{:?} by {:?}", seq, time);
                }
            }
        }
    }

    #[test]
    fn of_many_ends_the_latest_are_remembered() {
        let mut ends = Ends::default();
        for n in 0..10_000 {
            ends.numbered(Seq(n));
            ends.ended(KernelNanos(n), None);
        }
        assert_eq!(ends.ended.len(), MAX_ENDED);
        let by = |time| ends.all_by(Seq(9_000), KernelNanos(9_000), KernelNanos(time));
        assert!(by(9_000) && !by(8_999));
    }
}
