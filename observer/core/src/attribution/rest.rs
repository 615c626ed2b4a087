//! For how long what waits to be decided need not be looked at again.
//!
//! What one execution did may wait for seconds, and whether it is due is asked at each tick. Mostly the answer rests on a
//! few things that do not change meanwhile: so with "not yet" comes for how long that stays as it is. A [`Rest`] promises nothing
//! else: as long as it holds, asking again would say "not yet" again, which debug builds check at each tick.

use crate::ids::{KernelNanos, Seq};

/// Places for numbers of changes: things that share one are looked at more often than they need.
const PLACES: usize = 4_096;

/// Things that one answer rests on, at most; of more nothing is promised.
const MAX_SIGNS: usize = 4;

/// How often things have changed, each at a place that others may share.
#[derive(Debug)]
pub(super) struct Changes(Box<[u32; PLACES]>);

/// A thing as it is now.
#[derive(Clone, Copy, Debug, Default)]
struct Sign {
    place: u32,
    /// It can't come round within the time that anything waits.
    changes: u32,
}

/// For how long an answer stays the same: as long as all of it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Up to this time, which is not included.
    before: KernelNanos,
    /// As long as a request of its process that has a lower number is open; 0 if that does not matter.
    open: Seq,
    /// As long as none of these changes.
    signs: [Sign; MAX_SIGNS],
    many: u8,
    /// Whether they are those of turns.
    pub(super) of_turns: bool,
}

impl Default for Changes {
    fn default() -> Self {
        Self(Box::new([0; PLACES]))
    }
}

impl Changes {
    /// Something changed that `key` stands for.
    pub(super) fn changed(&mut self, key: u64) {
        let changes = &mut self.0[place(key)];
        *changes = changes.wrapping_add(1);
    }

    /// Anything may have changed.
    pub(super) fn all_changed(&mut self) {
        for changes in self.0.iter_mut() {
            *changes = changes.wrapping_add(1);
        }
    }

    fn are(&self, sign: Sign) -> bool {
        self.0[sign.place as usize % PLACES] == sign.changes
    }
}

fn place(key: u64) -> usize {
    // By Fibonacci hashing, the upper bits.
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % PLACES
}

impl Rest {
    /// Nothing is promised.
    pub(super) const fn none() -> Self {
        Self::until(KernelNanos(0))
    }

    /// The same up to `before`.
    const fn until(before: KernelNanos) -> Self {
        Self {
            before,
            open: Seq(0),
            signs: [Sign {
                place: 0,
                changes: 0,
            }; MAX_SIGNS],
            many: 0,
            of_turns: false,
        }
    }

    /// The same for ever: what limits it is still to be said.
    pub(super) const fn unlimited() -> Self {
        Self::until(KernelNanos(u64::MAX))
    }

    /// It holds no longer than `nanos` after `since`.
    pub(super) fn no_longer_than(&mut self, since: KernelNanos, nanos: u64) {
        let last = since.0.saturating_add(nanos);
        self.before = self.before.min(KernelNanos(last.saturating_add(1)));
    }

    /// It holds before `time` alone.
    pub(super) fn only_before(&mut self, time: KernelNanos) {
        self.before = self.before.min(time);
    }

    /// It holds only as long as a request below `watermark` is open.
    pub(super) fn while_open(&mut self, watermark: Seq) {
        match self.open {
            Seq(0) => self.open = watermark,
            _ => self.nothing(),
        }
    }

    /// It holds whichever requests are open.
    pub(super) fn whatever_is_open(&mut self) {
        self.open = Seq(0);
    }

    /// It rests on what `key` stands for.
    pub(super) fn on(&mut self, changes: &Changes, key: u64) {
        let place = place(key);
        match self.signs.get_mut(usize::from(self.many)) {
            Some(sign) => {
                *sign = Sign {
                    place: u32::try_from(place).unwrap_or_default(),
                    changes: changes.0[place],
                };
                self.many += 1;
            }
            None => self.nothing(),
        }
    }

    /// Nothing is promised.
    pub(super) fn nothing(&mut self) {
        *self = Self::none();
    }

    /// Whether it holds, where `oldest_open` tells of the process that it is about.
    pub(super) fn holds(
        &self,
        now: KernelNanos,
        changes: &Changes,
        oldest_open: impl FnOnce() -> Option<Seq>,
    ) -> bool {
        let signs = &self.signs[..usize::from(self.many)];
        now < self.before
            && signs.iter().all(|sign| changes.are(*sign))
            && (self.open == Seq(0) || oldest_open().is_some_and(|oldest| oldest < self.open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rest: &Rest, now: u64, changes: &Changes, oldest_open: Option<Seq>) -> bool {
        rest.holds(KernelNanos(now), changes, || oldest_open)
    }

    #[test]
    fn nothing_is_promised_of_nothing() {
        let changes = Changes::default();
        assert!(!holds(&Rest::none(), 0, &changes, None));
    }

    #[test]
    fn it_holds_up_to_its_end() {
        let changes = Changes::default();
        let mut rest = Rest::unlimited();
        assert!(holds(&rest, u64::MAX - 1, &changes, None));
        rest.no_longer_than(KernelNanos(7), 3);
        rest.no_longer_than(KernelNanos(8), 3);
        assert!(holds(&rest, 10, &changes, None) && !holds(&rest, 11, &changes, None));
        rest.only_before(KernelNanos(9));
        assert!(holds(&rest, 8, &changes, None) && !holds(&rest, 9, &changes, None));
    }

    #[test]
    fn it_holds_while_an_earlier_request_is_open() {
        let changes = Changes::default();
        let mut rest = Rest::unlimited();
        rest.while_open(Seq(5));
        assert!(holds(&rest, 1, &changes, Some(Seq(4))));
        assert!(!holds(&rest, 1, &changes, Some(Seq(5))));
        assert!(!holds(&rest, 1, &changes, None));
    }

    #[test]
    fn it_holds_until_one_thing_changes() {
        let mut changes = Changes::default();
        let mut rest = Rest::unlimited();
        for key in 0..4 {
            rest.on(&changes, key);
        }
        assert!(holds(&rest, 1, &changes, None));
        changes.changed(3);
        assert!(!holds(&rest, 1, &changes, None));
    }

    #[test]
    fn it_ends_when_anything_may_have_changed() {
        let mut changes = Changes::default();
        let mut rest = Rest::unlimited();
        rest.on(&changes, 3);
        changes.all_changed();
        assert!(!holds(&rest, 1, &changes, None));
    }

    #[test]
    fn of_too_much_nothing_is_promised() {
        let changes = Changes::default();
        let mut rest = Rest::unlimited();
        for key in 0..5 {
            rest.on(&changes, key);
        }
        assert!(!holds(&rest, 1, &changes, None));
        // Nor afterwards.
        rest.no_longer_than(KernelNanos(100), 100);
        rest.on(&changes, 1);
        assert!(!holds(&rest, 1, &changes, None));
    }
}
