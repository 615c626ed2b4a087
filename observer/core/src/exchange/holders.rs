//! Processes that have one connection: a child that a handler forks may answer where its parent goes on.

use smallvec::SmallVec;

use crate::ids::Tgid;

/// Processes that are remembered beside the last one; the one that was it longest ago is forgotten first.
const MAX_OTHERS: usize = 8;

/// Processes that moved bytes of a connection, and were not seen to give it up since; if none is left, the one that was
/// the last.
#[derive(Debug)]
pub(super) struct Holders {
    /// The one that did last.
    pub(super) last: Tgid,
    /// Whether it was not seen to give it up: it may have other descriptors of it.
    held: bool,
    /// The ones that did before, the latest last.
    others: SmallVec<[Tgid; 2]>,
}

impl Holders {
    pub(super) fn new(tgid: Tgid) -> Self {
        Self {
            last: tgid,
            held: true,
            others: SmallVec::new(),
        }
    }

    pub(super) fn moved_by(&mut self, tgid: Tgid) {
        if self.last != tgid {
            self.others.retain(|other| *other != tgid);
            if self.others.len() == MAX_OTHERS {
                self.others.remove(0);
            }
            if self.held {
                self.others.push(self.last);
            }
            self.last = tgid;
        }
        self.held = true;
    }

    /// A process has it no more; whether that is all that are known to have it.
    pub(super) fn given_up_by(&mut self, tgid: Tgid) -> bool {
        if self.last != tgid {
            self.others.retain(|other| *other != tgid);
            return false;
        }
        let other = self.others.pop();
        self.held = other.is_some();
        self.last = other.unwrap_or(tgid);
        !self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: Tgid = Tgid(1);

    #[test]
    fn the_last_of_them_gives_it_up() {
        let mut holders = Holders::new(PARENT);
        for child in [Tgid(2), Tgid(3)] {
            holders.moved_by(child);
            holders.moved_by(PARENT);
            holders.moved_by(child);
        }
        assert!(!holders.given_up_by(Tgid(3)));
        assert_eq!(holders.last, PARENT);
        assert!(!holders.given_up_by(Tgid(4)), "never had it");
        assert!(!holders.given_up_by(PARENT));
        assert!(holders.given_up_by(Tgid(2)));
    }

    #[test]
    fn who_gave_it_up_before_another_one_moved_bytes_has_it_no_more() {
        let mut holders = Holders::new(PARENT);
        assert!(holders.given_up_by(PARENT));
        holders.moved_by(Tgid(2));
        assert!(holders.given_up_by(Tgid(2)));
        holders.moved_by(PARENT);
        assert!(holders.given_up_by(PARENT));
    }

    #[test]
    fn of_many_the_first_are_forgotten() {
        let mut holders = Holders::new(PARENT);
        for child in 2..100 {
            holders.moved_by(Tgid(child));
        }
        assert_eq!(holders.others.len(), MAX_OTHERS);
        assert_eq!(holders.others.last(), Some(&Tgid(98)));
    }
}
