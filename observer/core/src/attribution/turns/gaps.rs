//! What was not seen of a process whose turns are watched for a share of the time.

use std::collections::VecDeque;

use crate::ids::{KernelNanos, Seq};

/// Answers outside of what was watched that are remembered one by one.
const MAX_UNSEEN: usize = 1_024;

/// What was not seen of a process.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Its turns are not watched now.
    paused: bool,
    /// When the last turn that was seen ended.
    last: Option<KernelNanos>,
    /// When the last turn before the latest gap ended.
    since: Option<KernelNanos>,
    /// The request that was begun last.
    newest: Option<Seq>,
    /// Requests up to this one were begun before the end of the latest gap.
    spanning: Option<Seq>,
    /// Answers that were given in turns which were not seen: both numbers rise.
    unseen: VecDeque<Unseen>,
}

/// A request that was answered in a turn which was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unseen {
    /// Requests below it had begun by then.
    watermark: Seq,
    /// The request, or an earlier one that was answered before.
    request: Seq,
}

impl Gaps {
    /// Turns are seen from now on, or not.
    pub(super) fn watched(&mut self, watched: bool) {
        match (self.paused, watched) {
            (false, false) => self.since = Some(self.last.unwrap_or_default()),
            (true, true) => self.spanning = self.newest,
            _ => {}
        }
        self.paused = !watched;
    }

    /// Whether there ever was one.
    pub(super) fn any(&self) -> bool {
        self.since.is_some()
    }

    /// A turn that was seen ended. Whether that says anything of what was not seen.
    pub(super) fn turn_ended(&mut self, time: KernelNanos) -> bool {
        self.last = Some(time);
        // It was waiting to be looked at when the gap began.
        if self.paused {
            self.since = self.last;
        }
        self.paused
    }

    /// A request was read in a turn that is seen.
    pub(super) fn begun(&mut self, request: Seq) {
        self.newest = self.newest.max(Some(request));
    }

    /// Whether a request was begun before the latest gap.
    pub(super) fn spans(&self, request: Seq) -> bool {
        self.spanning.is_some_and(|spanning| request <= spanning)
    }

    /// A request was answered in a turn that was not seen; requests below `watermark` had begun by then.
    pub(super) fn unseen(&mut self, request: Seq, watermark: Seq) {
        // An earlier request that is answered later overlaps whatever the ones before it do.
        while self.unseen.back().is_some_and(|u| u.request >= request) {
            self.unseen.pop_back();
        }
        if self.unseen.len() == MAX_UNSEEN
            && let Some(first) = self.unseen.pop_front()
            && let Some(second) = self.unseen.front_mut()
        {
            second.request = first.request;
        }
        self.unseen.push_back(Unseen { watermark, request });
    }

    /// Whether something was not seen that may speak against `request`, which was answered at `until` when requests below
    /// `watermark` had begun: the answer to another one that was open meanwhile, or what goes on up to `wait` nanoseconds later.
    pub(super) fn hide(&self, request: Seq, watermark: Seq, until: KernelNanos, wait: u64) -> bool {
        let after = self.unseen.partition_point(|u| u.watermark <= request);
        let overlapped = self
            .unseen
            .get(after)
            .is_some_and(|unseen| unseen.request < watermark);
        let outlived = wait > 0
            && self
                .since
                .is_some_and(|since| since >= until && since.since(until) < wait);
        overlapped || outlived
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is told from the few answers that are kept is what all of them say.
        #[test]
        fn overlaps_are_found(
            lives in prop::collection::vec((0_u64..200, 1_u64..40), 1..60),
            begun in 0_u64..200,
            lasted in 1_u64..40,
        ) {
            // Requests are numbered in the order in which they begin; here by the time.
            let mut answered: Vec<(u64, u64)> = lives.iter().map(|(at, took)| (at + took, *at)).collect();
            answered.sort_unstable();
            let mut gaps = Gaps::default();
            for (end, at) in &answered {
                gaps.unseen(Seq(*at), Seq(*end));
            }
            let overlap = answered.iter().any(|(end, at)| *at < begun + lasted && begun < *end);
            let hidden = gaps.hide(Seq(begun), Seq(begun + lasted), KernelNanos(0), 0);
            prop_assert_eq!(hidden, overlap);
        }
    }

    #[test]
    fn of_many_answers_the_oldest_weigh_more_than_they_should() {
        let mut gaps = Gaps::default();
        for n in 0..4_000 {
            gaps.unseen(Seq(10 * n), Seq(10 * n + 5));
        }
        assert_eq!(gaps.unseen.len(), MAX_UNSEEN);
        let hides = |at: u64, until: u64| gaps.hide(Seq(at), Seq(until), KernelNanos(0), 0);
        assert!(
            hides(39_991, 39_992) && hides(11, 14),
            "overlap, and may have"
        );
        assert!(!hides(39_986, 39_989));
    }

    #[test]
    fn what_may_go_on_after_the_answer_must_be_watched() {
        let mut gaps = Gaps::default();
        gaps.turn_ended(KernelNanos(1_000));
        gaps.watched(false);
        let goes_on = |gaps: &Gaps, until: u64| gaps.hide(Seq(1), Seq(2), KernelNanos(until), 500);
        assert!(goes_on(&gaps, 900) && !goes_on(&gaps, 400));
        // The last records come after it is told.
        gaps.turn_ended(KernelNanos(1_300));
        assert!(goes_on(&gaps, 1_200) && !goes_on(&gaps, 700));
        gaps.begun(Seq(7));
        gaps.watched(true);
        gaps.begun(Seq(9));
        assert!(gaps.spans(Seq(7)) && !gaps.spans(Seq(9)));
        assert!(!goes_on(&gaps, 2_000));
    }
}
