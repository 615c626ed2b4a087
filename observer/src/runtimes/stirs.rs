//! When a process is looked at because it has started threads: it may have begun to use executions then.

use std::time::{Duration, Instant};

/// How long after a thread was started it has its name, mostly: it gives that to itself.
const NAMED: Duration = Duration::from_millis(5);
/// How long after that it is looked once more, since it may not have run before.
const SETTLED: Duration = Duration::from_millis(100);
/// Of so much time one part is taken for this at most: there are processes that start threads all the time.
const SHARE: u32 = 100;

/// What is to be looked at because threads were started.
#[derive(Debug, Default)]
pub(super) struct Stirs {
    /// When the last thread was started.
    last: Option<Instant>,
    /// When to look.
    due: Option<Instant>,
    /// Not before that, for what the last look has taken.
    rests: Option<Instant>,
}

impl Stirs {
    /// A thread was started.
    pub(super) fn started(&mut self, now: Instant) {
        self.last = Some(now);
        self.due.get_or_insert(now + NAMED);
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now) && self.rests.is_none_or(|rests| rests <= now)
    }

    /// It was looked from `began` to `ended`.
    pub(super) fn looked(&mut self, began: Instant, ended: Instant) {
        let settled = self.last.map(|last| last + SETTLED);
        self.due = settled.filter(|settled| began < *settled);
        self.rests = Some(ended + ended.duration_since(began) * SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_thread_that_starts_is_looked_at_twice() {
        let start = Instant::now();
        let mut stirs = Stirs::default();
        assert!(!stirs.is_due(start + 60_000 * MS), "none has started");
        stirs.started(start);
        assert!(!stirs.is_due(start));
        assert!(stirs.is_due(start + NAMED));
        stirs.looked(start + NAMED, start + NAMED);
        assert!(!stirs.is_due(start + NAMED + MS));
        assert!(stirs.is_due(start + SETTLED));
        stirs.looked(start + SETTLED, start + SETTLED);
        assert!(
            !stirs.is_due(start + 60_000 * MS),
            "no other one has started"
        );
    }

    #[test]
    fn one_that_starts_meanwhile_does_not_put_it_off() {
        let start = Instant::now();
        let mut stirs = Stirs::default();
        for ms in 0..5 {
            stirs.started(start + ms * MS);
        }
        assert!(stirs.is_due(start + NAMED));
    }

    #[test]
    fn looking_takes_a_small_share_of_the_time() {
        let start = Instant::now();
        let mut stirs = Stirs::default();
        let mut taken = Duration::ZERO;
        let takes = 3 * MS;
        for ms in 0..10_000 {
            let now = start + ms * MS;
            stirs.started(now);
            if stirs.is_due(now) {
                stirs.looked(now, now + takes);
                taken += takes;
            }
        }
        assert!(taken > 50 * MS, "it is looked now and then: {taken:?}");
        assert!(taken <= 105 * MS, "{taken:?}");
    }
}
