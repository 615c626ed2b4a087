//! What ticks say of losses: until when, and how many.

use observer_core::ids::KernelNanos;

/// Attempts to find a moment at which the count stands still.
const ATTEMPTS: u32 = 8;

/// Keeps account of what was told to be lost.
#[derive(Debug, Default)]
pub(super) struct Account {
    told: u64,
}

impl Account {
    /// Time and count of a tick. All that happened up to `before` was handed in; `count` says what is
    /// lost by now.
    ///
    /// The pipeline takes what a tick adds to the count to have been lost after the tick before it and
    /// before this one. So either nothing was lost since that, and the tick is at `before`; or the
    /// time is one at which the count was as told; or, if no such time is found, one loss less is
    /// told, so that the next tick says again that something was lost since this one.
    pub(super) fn tick(
        &mut self,
        before: KernelNanos,
        mut count: impl FnMut() -> u64,
        mut clock: impl FnMut() -> KernelNanos,
    ) -> (KernelNanos, u64) {
        let told = self.told;
        // What can't be read for once does not undo what was told.
        let mut count = || count().max(told);
        let mut lost = count();
        if lost == told {
            return (before, lost);
        }
        let mut now = before;
        let mut stands = false;
        // Losses come in bursts, between which there is time to look at the clock.
        for _ in 0..ATTEMPTS {
            now = clock();
            let again = count();
            stands = again == lost;
            lost = again;
            if stands {
                break;
            }
        }
        self.told = lost - u64::from(!stands);
        (now, self.told)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// A machine on which every look at the count or the clock takes a moment.
    struct Machine {
        time: Cell<u64>,
        /// When something was lost, in order.
        lost: Vec<u64>,
    }

    impl Machine {
        fn count(&self) -> u64 {
            self.time.set(self.time.get() + 1);
            let lost = self.lost.iter().filter(|time| **time <= self.time.get());
            lost.count() as u64
        }

        fn clock(&self) -> KernelNanos {
            self.time.set(self.time.get() + 1);
            KernelNanos(self.time.get())
        }
    }

    proptest! {
        #[test]
        fn every_loss_lies_between_two_ticks_of_which_the_later_tells_of_one(
            mut lost in prop::collection::vec(1_u64..200, 0..60),
            pauses in prop::collection::vec(1_u64..30, 1..20),
        ) {
            lost.sort_unstable();
            let machine = Machine { time: Cell::new(0), lost };
            let mut account = Account::default();
            let (mut last, mut told) = (KernelNanos(0), 0);
            let mut tainted = Vec::new();
            for pause in pauses {
                machine.time.set(machine.time.get() + pause);
                let before = KernelNanos(machine.time.get());
                let (now, lost) = account.tick(before, || machine.count(), || machine.clock());
                prop_assert!(now >= last && lost >= told);
                if lost > told {
                    tainted.push(last.0..=now.0);
                }
                (last, told) = (now, lost);
            }
            for time in machine.lost.iter().filter(|time| **time <= last.0) {
                let covered = tainted.iter().any(|interval| interval.contains(time));
                prop_assert!(covered, "{time} is in none of {tainted:?}");
            }
        }
    }

    #[test]
    fn a_count_that_never_stands_still_is_told_again() {
        let count = Cell::new(0);
        let grow = || count.replace(count.get() + 1);
        let mut account = Account::default();
        count.set(5);
        let (now, told) = account.tick(KernelNanos(1), grow, || KernelNanos(7));
        assert_eq!(now, KernelNanos(7));
        let stands = count.get() - 1;
        assert_eq!(told, stands - 1);
        let (_, all) = account.tick(KernelNanos(8), || stands, || KernelNanos(9));
        assert_eq!(all, stands);
    }
}
