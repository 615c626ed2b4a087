//! What threads were started to run.

use lru::LruCache;

use super::MAX_TASKS;
use super::pieces::Place;
use crate::attribution::births::BirthId;
use crate::attribution::cache;
use crate::ids::Tgid;
use crate::record::Heap;

/// What each of many threads was started to run.
#[derive(Debug)]
pub(super) struct Targets {
    /// Where that lay when it was told first: later it may have been moved.
    places: LruCache<BirthId, Place>,
    /// The thread that was started to run what lies at a place; `None` if several were.
    threads: LruCache<Place, Option<BirthId>>,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            places: LruCache::sparse(MAX_TASKS),
            threads: LruCache::sparse(MAX_TASKS),
        }
    }
}

impl Targets {
    /// `heap` was told of the thread with this birth.
    pub(super) fn told(&mut self, birth: BirthId, tgid: Tgid, heap: &Heap) {
        // Without a buffer a collection may be moving objects.
        let known = heap.target != 0 && heap.start != 0;
        if known && !self.places.contains(&birth) {
            let place = (tgid, heap.collections, heap.target);
            self.places.push(birth, place);
            let first = !self.threads.contains(&place);
            self.threads.push(place, first.then_some(birth));
        }
    }

    /// Where that lies which the thread with this birth, and no other one, was started to run.
    pub(super) fn of(&self, birth: BirthId) -> Option<Place> {
        let place = *self.places.peek(&birth)?;
        let only = *self.threads.peek(&place)? == Some(birth);
        only.then_some(place)
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.places, |_, (of, ..)| *of == tgid);
        cache::remove(&mut self.threads, |(of, ..), _| *of == tgid);
    }
}
