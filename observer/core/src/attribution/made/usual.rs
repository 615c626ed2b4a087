//! How far from what was told of a thread before, or is told next, tasks of each class are made.
//!
//! A virtual thread that makes a task and then waits leaves the rest of the buffer to others, none of which need be seen
//! to come: somewhere in that piece it ends and another one begins. But a program does the same again and again, so it makes a task
//! the same number of bytes after it has woken somebody as often before. Where that is known of pieces that one
//! virtual thread has filled alone, a task at just that place was made by the one that ran at the beginning.
//!
//! Only from a wake on: a thread goes on after it. Where it reads it may wait, and another one goes on from there. And not where the
//! class is made just so long before the next record, too, for then the one that runs there may have made it.

use std::num::NonZeroUsize;

use hashbrown::HashMap;
use lru::LruCache;

use super::pieces::Piece;
use super::{MAX_KNOWN, Task};
use crate::attribution::cache;
use crate::ids::Tgid;

/// Classes of tasks of which it is counted.
const MAX_CLASSES: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Places that are counted of a class; beyond that those are forgotten at which only one task was seen.
const MAX_PLACES: usize = 256;

/// Tasks at the same place after which that may be usual.
const MIN_SAME: u32 = 10;

/// Of so many tasks one must lie there: where sizes vary, after a while there has been one at every place.
const USUAL: u32 = 10;

/// Of so many tasks one lies there that are often made so long before the next record.
const AT_TIMES: u32 = 100;

/// How far from something tasks were made, bytes, and how many of them.
type Places = HashMap<u64, u32>;

/// Where tasks of each class are made usually.
#[derive(Debug)]
pub(super) struct Usual {
    classes: LruCache<(Tgid, u32), Class>,
}

/// Where tasks of one class are made.
#[derive(Debug, Default)]
struct Class {
    tasks: u32,
    /// After the record before.
    after: Places,
    /// Before the next record.
    before: Places,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            classes: LruCache::sparse(MAX_CLASSES),
        }
    }
}

impl Usual {
    /// A task lies in a piece: where in it, if one virtual thread has filled that alone.
    pub(super) fn learn(&mut self, task: Task, piece: &Piece) {
        if piece.shared || piece.first.is_none() {
            return;
        }
        let key = (task.tgid, task.class);
        let class = self.classes.get_or_insert_mut(key, Class::default);
        class.learn(task.address - piece.start, piece.end - task.address);
    }

    /// Whether a task lies where the one that ran at the beginning of a piece, which others share, makes such tasks; `None` if
    /// that is not known.
    pub(super) fn is_of_first(&self, task: Task, piece: &Piece) -> Option<bool> {
        let class = self.classes.peek(&(task.tgid, task.class))?;
        class.is_of_first(task.address - piece.start, piece.end - task.address)
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.classes, |(of, _), _| *of == tgid);
    }
}

impl Class {
    fn learn(&mut self, after: u64, before: u64) {
        let places = [&mut self.after, &mut self.before];
        if self.tasks == MAX_KNOWN {
            self.tasks /= 2;
            for places in places {
                places.retain(|_, count| {
                    *count /= 2;
                    *count > 0
                });
            }
        }
        self.tasks += 1;
        for (places, place) in [(&mut self.after, after), (&mut self.before, before)] {
            if places.len() == MAX_PLACES && !places.contains_key(&place) {
                places.retain(|_, count| *count > 1);
            }
            if places.len() < MAX_PLACES || places.contains_key(&place) {
                *places.entry(place).or_default() += 1;
            }
        }
    }

    fn is_of_first(&self, after: u64, before: u64) -> Option<bool> {
        let [after, before] = [(&self.after, after), (&self.before, before)]
            .map(|(places, place)| places.get(&place).copied().unwrap_or(0));
        if before > 0 && before * AT_TIMES >= self.tasks {
            return Some(false);
        }
        (after >= MIN_SAME && after * USUAL >= self.tasks).then_some(true)
    }
}
