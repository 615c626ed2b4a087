//! Whether a kind of evidence holds what it promises, process by process.
//!
//! Where a call or line carries a trace-id, that names its request independently of who did it. So
//! each kind of evidence is compared with it, and one that names other requests too often is no
//! longer believed in that process: its runtime does something that the rule does not know.
//!
//! A context that leaks makes a right rule disagree as well. So only disagreement about requests that
//! were both in flight counts, and what is about the writing of the response itself
//! (`Evidence::is_the_request_itself`) is never doubted: there it is the ids that leak. Of other kinds nothing
//! is concluded then, not from the id either.

/// Kinds of evidence that are compared.
pub(super) const KINDS: usize = 9;

/// What is declared: ids, other than trace-ids, and contexts that are published.
pub(super) const DECLARED: usize = 0;

/// For which request an execution finer than a thread worked.
pub(super) const EXECUTIONS: usize = 1;

/// What a thread worked for, and messages to it.
pub(super) const THREADS: usize = 2;

/// Threads that worked for each other.
pub(super) const HANDED: usize = 3;

/// What threads did before they woke one that waited.
pub(super) const AWAITED: usize = 4;

/// Who woke a worker for a task.
pub(super) const GIVEN: usize = 5;

/// Who made the task that a worker ran.
pub(super) const MADE: usize = 6;

/// In whose event a proxy did something.
pub(super) const EVENTS: usize = 7;

/// Who handed a value to an execution.
pub(super) const PASSED: usize = 8;

/// What one kind of evidence said, beside what the trace-id said.
pub(super) type Compared = [Option<bool>; KINDS];

/// Comparisons before anything is concluded.
const MIN_COMPARED: u32 = 20;

/// Of this many comparisons, one may disagree.
const TOLERATED: u32 = 20;

/// Of this many comparisons, one may disagree for a kind that has to prove itself.
const ALLOWED: u32 = 100;

/// Counts are halved when they reach this, so that what is long past counts less.
const MAX_COMPARED: u32 = 4_096;

/// Of this many tasks, a worker may have taken one that it was not woken for.
const STOLEN: u32 = 5;

/// How the kinds of evidence did in one process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    counts: [Count; KINDS],
    wakes: Count,
    relays: Count,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) compared: u32,
    pub(super) disagreed: u32,
}

impl Trust {
    /// Takes note of a comparison.
    pub(super) fn note(&mut self, compared: &Compared) {
        for (count, agreed) in self.counts.iter_mut().zip(compared) {
            if let Some(agreed) = agreed {
                count.add(*agreed, MAX_COMPARED);
            }
        }
    }

    /// Whether a kind that has to prove itself did, by its agreement with ids; `None` before enough was compared.
    pub(super) fn proven(&self, kind: usize) -> Option<bool> {
        let count = self.counts.get(kind)?;
        (count.compared >= MIN_COMPARED).then_some(count.disagreed * ALLOWED <= count.compared)
    }

    /// Who woke a worker, and who waited for it, served the same request, or not.
    pub(super) fn note_wakes(&mut self, agreed: bool) {
        self.wakes.add(agreed, MAX_COMPARED);
    }

    /// Whether those who wake workers and those who wait for them serve the same request so often that it is no
    /// chance. Workers take each other's tasks, so that some are woken for nothing.
    pub(super) fn wakes_agree(&self) -> bool {
        let Count {
            compared,
            disagreed,
        } = self.wakes;
        compared >= MIN_COMPARED && disagreed * STOLEN <= compared
    }

    /// The event in which a call was made, and that in which its response was passed on, were of the same request, or not.
    pub(super) fn note_relay(&mut self, agreed: bool) {
        self.relays.add(agreed, MAX_COMPARED);
    }

    /// How often the two events of a call were of different requests, and of how many calls, if that is too often for the
    /// process to be what it is taken for.
    pub(super) fn relays_lost(&self) -> Option<(u32, u32)> {
        self.relays.lost()
    }

    /// How often a kind disagreed and was compared, if that is too often to believe it.
    pub(super) fn lost(&self, kind: usize) -> Option<(u32, u32)> {
        self.counts.get(kind)?.lost()
    }
}

impl Count {
    fn lost(self) -> Option<(u32, u32)> {
        let Self {
            compared,
            disagreed,
        } = self;
        let too_often = compared >= MIN_COMPARED && disagreed * TOLERATED > compared;
        too_often.then_some((disagreed, compared))
    }

    /// One more comparison; counts are halved when they reach `most`.
    pub(super) fn add(&mut self, agreed: bool, most: u32) {
        if self.compared >= most {
            self.compared /= 2;
            self.disagreed /= 2;
        }
        self.compared += 1;
        self.disagreed += u32::from(!agreed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(comparisons: impl IntoIterator<Item = bool>) -> Trust {
        let mut trust = Trust::default();
        for agreed in comparisons {
            let mut compared = Compared::default();
            compared[1] = Some(agreed);
            trust.note(&compared);
        }
        trust
    }

    #[test]
    fn one_that_agrees_is_believed() {
        assert_eq!(after([true; 1_000]).lost(1), None);
        assert_eq!(after((0..1_000).map(|i| i % 50 != 0)).lost(1), None);
    }

    #[test]
    fn one_that_disagrees_is_not_once_enough_was_compared() {
        assert_eq!(after([false; 19]).lost(1), None);
        assert_eq!(after([false; 20]).lost(1), Some((20, 20)));
        assert_eq!(
            after([false; 20]).lost(0),
            None,
            "the others are as they were"
        );
    }

    #[test]
    fn the_past_is_forgiven_in_time() {
        let trust = after((0..200_000).map(|i| i > 500));
        assert_eq!(trust.lost(1), None);
    }
}
