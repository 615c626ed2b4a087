//! Whether requests of a process come in with each other's traces: a caller that asks twice, or an upstream that fans
//! out, gives several requests one trace-id.
//!
//! Where all that comes in is seen, such requests are known and their id decides nothing alone. Where some is not (a share
//! of connections, a pause, lost records, TLS), the one that is seen may have a sibling that is not, whose calls carry the
//! same id. So an id alone is then believed only in a process whose requests were seen to have traces of their own.

use crate::judged::counts::LeftOut;

/// If each request had a sibling, so many siblings would have been seen before it is known that they have none.
const MIN_CHANCES: u64 = 60;

/// Of so many requests one may have a sibling.
const TOLERATED: u64 = 50;

/// Counts are halved when they reach this: what callers do may change.
const RECENT: u64 = 2_048;

/// What a request counts whose sibling would have been seen for certain.
const ONE: u64 = 1 << 16;

/// How many requests of a process had siblings, in units of [`ONE`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings {
    /// The chances that a sibling of each request, if it had one, would have been seen.
    chances: u64,
    /// Siblings that were seen.
    seen: u64,
}

impl Siblings {
    /// A request came in with a trace, which another one that is remembered came in with or not.
    pub(super) fn note(&mut self, left_out: LeftOut, has_sibling: bool) {
        // It stands for 1/p requests, so a sibling on another connection is seen with p.
        self.chances += ONE / left_out.count.saturating_add(1);
        self.seen += u64::from(has_sibling) * ONE;
        if self.chances >= RECENT * ONE {
            self.chances /= 2;
            self.seen /= 2;
        }
    }

    /// Whether they are known to be rare, so that an id that came in with one request names it though others may be unseen.
    pub(super) fn are_rare(&self) -> bool {
        self.chances >= MIN_CHANCES * ONE && self.seen.saturating_mul(TOLERATED) <= self.chances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(requests: u32, weight: u64, siblings: u32) -> bool {
        let mut known = Siblings::default();
        for n in 0..requests {
            let left_out = LeftOut {
                count: weight - 1,
                variance: 0,
            };
            known.note(left_out, n < siblings);
        }
        known.are_rare()
    }

    #[test]
    fn they_are_rare_once_they_would_have_been_seen() {
        assert!(!after(59, 1, 0), "too few requests");
        assert!(after(60, 1, 0));
        assert!(!after(60, 1, 2), "one in thirty");
        assert!(after(100, 1, 2));
    }

    #[test]
    fn the_smaller_the_share_the_more_requests_it_takes() {
        assert!(!after(239, 4, 0));
        assert!(after(240, 4, 0));
        assert!(
            !after(240, 4, 2),
            "one in thirty of those that would have been seen"
        );
    }

    #[test]
    fn what_callers_did_long_ago_is_forgotten() {
        let mut known = Siblings::default();
        let all = LeftOut::default();
        (0..100).for_each(|_| known.note(all, true));
        (0..20_000).for_each(|_| known.note(all, false));
        assert!(known.are_rare());
        (0..100).for_each(|_| known.note(all, true));
        assert!(!known.are_rare());
    }
}
