//! How often inferences were right where the request is certain: what their confidence is taken from.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::judged::wilson::rate;

/// Kinds of work that scores are kept of, at most.
const MAX_KINDS: usize = 512;

/// Inferences of a kind that must have been checked before one is told.
pub(super) const MIN_TRIALS: u32 = 50;

/// What at least must be right of them: the lower end of the 95 % Wilson interval.
pub(super) const MIN_RIGHT: f64 = 0.8;

/// No inference is given more, however often they were right: what can't be checked may differ from what can.
pub(super) const MAX_CONFIDENCE: f64 = 0.9;

/// Counts are halved when they reach this, so that a score that falls is noticed soon.
const FORGET_AT: u32 = 512;

/// What an inference is about: it is scored with those of its own sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sort {
    /// Kind of work.
    pub(super) kind: u64,
    /// Whether only one request was in flight, so that there was nothing to choose from.
    pub(super) sole: bool,
    /// Whether its runtime told which execution did it.
    pub(super) apart: bool,
}

/// Inferences that could be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Score {
    pub(super) right: u32,
    pub(super) trials: u32,
}

/// The scores of one process.
#[derive(Debug)]
pub(super) struct Scores {
    all: Score,
    sorts: LruCache<Sort, Score>,
}

/// What speaks for an inference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Proof {
    /// 0.8 to 0.9.
    pub(super) confidence: f64,
    /// How those of its sort did.
    pub(super) score: Score,
}

impl Scores {
    pub(super) fn new() -> Self {
        const KINDS: NonZeroUsize = NonZeroUsize::new(MAX_KINDS).expect("not zero");
        Self {
            all: Score::default(),
            sorts: LruCache::sparse(KINDS),
        }
    }

    /// An inference could be checked.
    pub(super) fn check(&mut self, sort: Sort, right: bool) {
        self.all.add(right);
        self.sorts
            .get_or_insert_mut(sort, Score::default)
            .add(right);
    }

    /// The confidence in an inference of that sort; the score that is not enough, if there is none.
    pub(super) fn proof(&self, sort: Sort) -> Result<Proof, Score> {
        let score = self.sorts.peek(&sort).copied().unwrap_or_default();
        for score in [score, self.all] {
            if score.trials < MIN_TRIALS || score.at_least() < MIN_RIGHT {
                return Err(score);
            }
        }
        let least = score.at_least().min(self.all.at_least());
        Ok(Proof {
            confidence: least.min(MAX_CONFIDENCE),
            score,
        })
    }
}

impl Score {
    fn add(&mut self, right: bool) {
        if self.trials == FORGET_AT {
            self.right /= 2;
            self.trials /= 2;
        }
        self.right += u32::from(right);
        self.trials += 1;
    }

    /// Lower end of the interval of the share that is right.
    fn at_least(self) -> f64 {
        rate(self.right.into(), self.trials.into()).low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORT: Sort = Sort {
        kind: 1,
        sole: false,
        apart: false,
    };

    fn after(checks: impl IntoIterator<Item = bool>) -> Scores {
        let mut scores = Scores::new();
        checks
            .into_iter()
            .for_each(|right| scores.check(SORT, right));
        scores
    }

    #[test]
    fn nothing_is_told_before_enough_was_checked() {
        let few = after([true; MIN_TRIALS as usize - 1]);
        assert_eq!(
            few.proof(SORT),
            Err(Score {
                right: 49,
                trials: 49
            })
        );
        let enough = after([true; MIN_TRIALS as usize]).proof(SORT).unwrap();
        assert_eq!(enough.confidence, MAX_CONFIDENCE);
        assert!(Scores::new().proof(SORT).is_err(), "no score at all");
    }

    #[test]
    fn the_confidence_is_what_at_least_is_right() {
        // Wilson: 90 of 100 are at least 82.6 %.
        let proof = after((0..100).map(|i| i % 10 != 0)).proof(SORT).unwrap();
        assert!((proof.confidence - 0.8256).abs() < 1e-3, "{proof:?}");
        // 85 of 100: 76.7 %.
        assert!(after((0..100).map(|i| i % 20 > 2)).proof(SORT).is_err());
    }

    #[test]
    fn one_sort_does_not_speak_for_another() {
        let scores = after([true; 200]);
        assert!(scores.proof(Sort { sole: true, ..SORT }).is_err());
        assert!(
            scores
                .proof(Sort {
                    apart: true,
                    ..SORT
                })
                .is_err()
        );
        assert!(scores.proof(Sort { kind: 2, ..SORT }).is_err());
    }

    #[test]
    fn where_the_score_falls_it_is_switched_off() {
        let mut scores = after([true; 5_000]);
        assert!(scores.proof(SORT).is_ok());
        (0..100).for_each(|_| scores.check(SORT, false));
        assert!(scores.proof(SORT).is_err());
        // For the whole process, if most of its work is inferred wrongly.
        let mut scores = after([true; 100]);
        (0..100).for_each(|_| scores.check(Sort { kind: 2, ..SORT }, false));
        assert!(scores.proof(SORT).is_err());
    }
}
