//! What the times of calls say against the ids that they carry, where nothing else names their requests.
//!
//! A service that goes on after its answers makes some kinds of calls then and others before, mostly. One whose contexts leak makes calls
//! with a request's id whenever another request comes to it: some are over before the answer to the request that they
//! name, others of the same kind begin after it. So for each kind of calls the requests are counted that had several, and those of them that
//! had some on each side of their answer.

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::ids::KernelNanos;

/// Of so many requests with several calls of a kind, one may have had them on both sides of its answer: calls that
/// were given up are tried again.
const TOLERATED: u32 = 20;

/// So many must have had.
const MIN_PARTED: u32 = 3;

/// Counts are halved when they reach this, so that what is long past counts less.
const RECENT: u32 = 512;

/// Kinds of calls that are counted per process, at most.
const MAX_KINDS: usize = 512;

/// Kinds of calls that are followed of one request, at most.
const MAX_KINDS_OF_ONE: usize = 8;

/// When a call was, beside the answer to the request whose id it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It was over before the answer.
    Before,
    /// It was under way.
    Across,
    /// It began after it.
    After,
}

impl When {
    /// Of a call, where the request was answered at `answered`, if it was.
    pub(super) fn of(
        (began, over): (KernelNanos, KernelNanos),
        answered: Option<KernelNanos>,
    ) -> Self {
        match answered {
            Some(answered) if answered < began => Self::After,
            Some(answered) if answered < over => Self::Across,
            _ => Self::Before,
        }
    }
}

/// The calls that carried one request's id, by kind.
#[derive(Debug, Default)]
pub(super) struct Carrying(SmallVec<[(u64, Seen); 1]>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    calls: u32,
    before: bool,
    after: bool,
}

/// How many requests of a process had calls of a kind on both sides of their answers.
#[derive(Debug, Default)]
pub(super) struct Parted(HashMap<u64, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    several: u32,
    parted: u32,
}

impl Parted {
    /// One more call of a kind is over that carries the id of a request, which the others of `carrying` carried, too.
    pub(super) fn saw(&mut self, carrying: &mut Carrying, kind: u64, when: When) {
        let Some(seen) = carrying.of(kind) else {
            return;
        };
        let was_parted = seen.before && seen.after;
        seen.calls = seen.calls.saturating_add(1);
        seen.before |= when == When::Before;
        seen.after |= when == When::After;
        let several = seen.calls == 2;
        let parted = seen.before && seen.after && !was_parted;
        if !several || (self.0.len() >= MAX_KINDS && !self.0.contains_key(&kind)) {
            if let Some(count) = self.0.get_mut(&kind).filter(|_| parted) {
                count.parted += 1;
            }
            return;
        }
        let count = self.0.entry(kind).or_default();
        if count.several == RECENT {
            count.several /= 2;
            count.parted /= 2;
        }
        count.several += 1;
        count.parted += u32::from(parted);
    }

    /// Of how many requests calls of a kind were on both sides of the answer, and how many had several, if that is too often
    /// for their ids to be right.
    pub(super) fn too_often(&self, kind: u64) -> Option<(u32, u32)> {
        let Count { several, parted } = *self.0.get(&kind)?;
        let bad = parted >= MIN_PARTED && parted.saturating_mul(TOLERATED) > several;
        bad.then_some((parted, several))
    }
}

impl Carrying {
    fn of(&mut self, kind: u64) -> Option<&mut Seen> {
        let at = match self.0.iter().position(|(of, _)| *of == kind) {
            Some(at) => at,
            None if self.0.len() == MAX_KINDS_OF_ONE => return None,
            None => {
                self.0.push((kind, Seen::default()));
                self.0.len() - 1
            }
        };
        self.0.get_mut(at).map(|(_, seen)| seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: u64 = 7;

    /// What is said after so many requests with calls at these times each.
    fn after(requests: &[(u32, &[When])]) -> Option<(u32, u32)> {
        let mut parted = Parted::default();
        for (times, calls) in requests {
            for _ in 0..*times {
                let mut carrying = Carrying::default();
                for when in *calls {
                    parted.saw(&mut carrying, KIND, *when);
                }
            }
        }
        parted.too_often(KIND)
    }

    #[test]
    fn a_service_that_goes_on_after_its_answers_is_plausible() {
        assert_eq!(after(&[(50, &[When::Before; 3])]), None);
        assert_eq!(after(&[(50, &[When::After; 3])]), None);
        assert_eq!(after(&[(50, &[When::Across, When::After])]), None);
        assert_eq!(after(&[(50, &[When::Before, When::Across])]), None);
        let either = [(50, &[When::Before][..]), (50, &[When::After][..])];
        assert_eq!(after(&either), None, "one call each says nothing");
    }

    #[test]
    fn calls_of_a_kind_on_both_sides_of_the_answer_are_not() {
        let both: &[When] = &[When::Before, When::Across, When::After, When::Before];
        assert_eq!(after(&[(2, both)]), None, "too few");
        assert_eq!(after(&[(3, both)]), Some((3, 3)));
        assert_eq!(
            after(&[(60, &[When::Before; 2]), (3, both)]),
            None,
            "too rare"
        );
        assert_eq!(after(&[(3, &[When::After, When::Before])]), Some((3, 3)));
    }

    #[test]
    fn when_a_call_was_is_told_by_its_ends() {
        let [one, two, three] = [1, 2, 3].map(KernelNanos);
        assert_eq!(When::of((one, two), None), When::Before);
        assert_eq!(When::of((one, two), Some(two)), When::Before);
        assert_eq!(When::of((one, three), Some(two)), When::Across);
        assert_eq!(When::of((two, three), Some(one)), When::After);
    }
}
