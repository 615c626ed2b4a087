//! What requests of one kind have done for them, and when: learned from work whose request is certain.
//!
//! For each route and kind of work there is the number of times that such a request has it done, and how old the
//! requests are when it begins. Two requests of one route that overlap are told apart by their ages.

use std::num::NonZeroUsize;

use lru::LruCache;
use smallvec::SmallVec;

use crate::ids::Seq;

/// Routes of a process that are learned about, at most.
const MAX_ROUTES: usize = 256;

/// Kinds of work, each of one route, at most: about 400 bytes each.
const MAX_TEMPLATES: usize = 512;

/// Requests of which is known what kinds of work were done for them, at most.
const MAX_REQUESTS: usize = 1_024;

/// Kinds of work for one request that are told apart, at most.
pub(super) const MAX_KINDS: usize = 16;

/// Requests with certain work before a route is known.
pub(super) const MIN_REQUESTS: u32 = 20;

/// Counts of a route are halved when it reaches this many requests, so that what is long past counts less.
const FORGET_AT: u32 = 4_096;

/// Shortest age that is told from shorter ones: 2^13 ns, about 8 µs.
const SHORTEST: u32 = 13;

/// Octaves of age, up to about two minutes.
const OCTAVES: usize = 24;

/// Ages are told apart by quarters of an octave.
const QUARTERS: u32 = 4;

const AGES: usize = OCTAVES * QUARTERS as usize;

/// Share of work that is held to begin at any age whatever: it keeps an age that was never seen from being impossible, and from
/// being evidence.
const ANY_AGE: f64 = 0.05;

/// What is left of the chance that work is done once more than it usually is.
const ONCE_MORE: f64 = 0.05;

/// What requests of one process have done for them.
#[derive(Debug)]
pub(super) struct Templates {
    /// Requests with certain work, by route.
    routes: LruCache<u64, u32>,
    /// By route and kind of work.
    kinds: LruCache<(u64, u64), Box<Template>>,
    /// Kinds of work that were done for a request.
    done: LruCache<Seq, SmallVec<[u64; 4]>>,
}

/// One kind of work for requests of one route.
#[derive(Debug)]
struct Template {
    /// How often it was done.
    acts: u32,
    /// For how many requests.
    requests: u32,
    /// How old the request was when it began.
    ages: [u32; AGES],
}

/// How likely work begins now, per nanosecond.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Intensity {
    /// As it does for such a request at that age.
    pub(super) expected: f64,
    /// At any age.
    pub(super) anyhow: f64,
}

impl Templates {
    pub(super) fn new() -> Self {
        const ROUTES: NonZeroUsize = NonZeroUsize::new(MAX_ROUTES).expect("not zero");
        const TEMPLATES: NonZeroUsize = NonZeroUsize::new(MAX_TEMPLATES).expect("not zero");
        const REQUESTS: NonZeroUsize = NonZeroUsize::new(MAX_REQUESTS).expect("not zero");
        Self {
            routes: LruCache::sparse(ROUTES),
            kinds: LruCache::sparse(TEMPLATES),
            done: LruCache::sparse(REQUESTS),
        }
    }

    /// Work of a kind began for a request of a route, at that age in nanoseconds.
    pub(super) fn learn(&mut self, request: Seq, route: u64, kind: u64, age: u64) {
        let done = self.done.get_or_insert_mut(request, SmallVec::new);
        let first = done.is_empty();
        let new = !done.contains(&kind);
        if new {
            if done.len() == MAX_KINDS {
                return;
            }
            done.push(kind);
        }
        let requests = self.routes.get_or_insert_mut(route, || 0);
        *requests += u32::from(first);
        if *requests == FORGET_AT {
            *requests /= 2;
            let of_route = self.kinds.iter_mut().filter(|((of, _), _)| *of == route);
            of_route.for_each(|(_, template)| template.halve());
        }
        let template = self
            .kinds
            .get_or_insert_mut((route, kind), || Box::new(Template::new()));
        template.acts = template.acts.saturating_add(1);
        template.requests += u32::from(new);
        let count = &mut template.ages[slot(age)];
        *count = count.saturating_add(1);
    }

    /// Whether enough requests of a route are known.
    pub(super) fn knows(&self, route: u64) -> bool {
        self.routes
            .peek(&route)
            .is_some_and(|requests| *requests >= MIN_REQUESTS)
    }

    /// How likely work of a kind begins for a request of that age, for which it was done `done` times before.
    pub(super) fn intensity(&self, route: u64, kind: u64, age: u64, done: f64) -> Intensity {
        let requests = self.routes.peek(&route).copied().unwrap_or_default();
        let Some(template) = self.kinds.peek(&(route, kind)) else {
            return Intensity::default();
        };
        if requests == 0 || template.acts == 0 || template.requests == 0 {
            return Intensity::default();
        }
        let acts = f64::from(template.acts);
        let usual = acts / f64::from(template.requests);
        let left = (1.0 - done / usual).max(ONCE_MORE);
        let rate = acts / f64::from(requests) * left;
        let slot = slot(age);
        let width = width(slot) as f64;
        Intensity {
            expected: rate * (1.0 - ANY_AGE) * template.share(slot) / width,
            anyhow: rate * ANY_AGE / AGES as f64 / width,
        }
    }
}

impl Template {
    fn new() -> Self {
        Self {
            acts: 0,
            requests: 0,
            ages: [0; AGES],
        }
    }

    fn halve(&mut self) {
        self.requests = self.requests.div_ceil(2);
        self.ages.iter_mut().for_each(|count| *count /= 2);
        self.acts = self.ages.iter().sum();
    }

    /// Share of the ages that fall into a slot, its neighbours smoothed in.
    fn share(&self, slot: usize) -> f64 {
        let at = |slot: usize| self.ages.get(slot).copied().map_or(0.0, f64::from);
        let around = at(slot.wrapping_sub(1)) + 2.0 * at(slot) + at(slot + 1);
        around / 4.0 / f64::from(self.acts)
    }
}

/// The slot of an age in nanoseconds.
fn slot(age: u64) -> usize {
    let age = age.max(1 << SHORTEST);
    let octave = age.ilog2();
    let quarter = (age >> (octave - 2)) % u64::from(QUARTERS);
    let slot = u64::from((octave - SHORTEST) * QUARTERS) + quarter;
    usize::try_from(slot).map_or(AGES - 1, |slot| slot.min(AGES - 1))
}

/// How many nanoseconds a slot spans.
fn width(slot: usize) -> u64 {
    let octave = SHORTEST as usize + slot / QUARTERS as usize;
    1 << (octave - 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROUTE: u64 = 1;
    const KIND: u64 = 2;

    fn learned(ages: impl IntoIterator<Item = u64>) -> Templates {
        let mut templates = Templates::new();
        for (n, age) in ages.into_iter().enumerate() {
            templates.learn(Seq(n as u64), ROUTE, KIND, age);
        }
        templates
    }

    #[test]
    fn work_is_expected_when_it_was_seen() {
        let templates = learned([5_000_000; 30]);
        assert!(templates.knows(ROUTE));
        let now = |age| templates.intensity(ROUTE, KIND, age, 0.0).expected;
        assert!(now(5_100_000) > 0.0);
        assert_eq!(now(50_000), 0.0);
        assert_eq!(now(60_000_000_000), 0.0);
        let unknown = templates.intensity(ROUTE, KIND + 1, 5_000_000, 0.0);
        assert_eq!(unknown.expected, 0.0, "work that it never had done");
    }

    #[test]
    fn work_that_was_done_is_expected_less() {
        let templates = learned([5_000_000; 30]);
        let now = |done| templates.intensity(ROUTE, KIND, 5_000_000, done).expected;
        assert!(now(1.0) < now(0.0) / 10.0);
        assert!(now(1.0) > 0.0);
    }

    #[test]
    fn a_route_is_known_by_its_requests() {
        assert!(!learned([1_000_000; MIN_REQUESTS as usize - 1]).knows(ROUTE));
        let mut templates = Templates::new();
        for _ in 0..100 {
            templates.learn(Seq(1), ROUTE, KIND, 1_000_000);
        }
        assert!(!templates.knows(ROUTE), "one request, however much it does");
    }

    #[test]
    fn what_is_long_past_counts_less() {
        let past = [1_000_000; FORGET_AT as usize];
        let templates = learned(past.into_iter().chain([100_000_000; FORGET_AT as usize]));
        let now = |age| {
            let template = templates.kinds.peek(&(ROUTE, KIND)).unwrap();
            template.share(slot(age))
        };
        assert!(now(1_000_000) < now(100_000_000) / 2.0);
    }

    proptest! {
        #[test]
        fn an_age_is_in_its_slot(age in (1_u64 << SHORTEST)..(1 << 36)) {
            let slot = slot(age);
            let width = width(slot);
            let start = (4 + slot as u64 % 4) * width;
            prop_assert!((start..start + width).contains(&age));
        }

        #[test]
        fn every_age_has_a_slot_and_memory_is_bounded(
            acts in proptest::collection::vec((0..3_000_u64, 0..400_u64, 0..50_u64, any::<u64>()), 0..500),
        ) {
            let mut templates = Templates::new();
            for (request, route, kind, age) in acts {
                templates.learn(Seq(request), route, kind, age);
                let intensity = templates.intensity(route, kind, age, 0.5);
                prop_assert!(intensity.expected.is_finite() && intensity.anyhow.is_finite());
            }
            prop_assert!(templates.kinds.len() <= MAX_TEMPLATES);
        }
    }
}
