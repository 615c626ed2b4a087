//! What the tasks of a process's pools look like: which kinds of work follow each other in one.

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;

use foldhash::fast::FixedState;
use lru::LruCache;

use super::wakes::Other;
use crate::ids::{KernelNanos, Seq};

/// Kinds of tasks that are remembered per process.
const MAX_KINDS: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

/// How often something must have been a whole task to be believed one.
const MIN_SEEN: u32 = 5;

/// Something that a thread did.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) seq: Seq,
    pub(super) time: KernelNanos,
    /// What kind of work it is.
    pub(super) template: u64,
    /// It is a call.
    pub(super) call: bool,
    /// When the thread itself read the response.
    pub(super) answered: Option<KernelNanos>,
    /// The thread was woken after it, before it did anything else.
    pub(super) before_wait: bool,
}

/// Tasks by what was done in them.
#[derive(Debug)]
pub(super) struct Tasks(LruCache<u64, u32>);

impl Default for Tasks {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_KINDS))
    }
}

impl Tasks {
    /// All this was done between the ends of two tasks.
    pub(super) fn saw(&mut self, items: &[Item]) {
        let seen = self.0.get_or_insert_mut(kind(items), || 0);
        *seen = seen.saturating_add(1);
    }

    fn knows(&self, kind: u64) -> bool {
        self.0.peek(&kind).is_some_and(|seen| *seen >= MIN_SEEN)
    }
}

/// What a thread did until it woke one that waited: its ending is a task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// The thread that waited.
    pub(super) waiter: Other,
    /// The kinds of all endings that may be a task, the longest first.
    endings: Arc<[u64]>,
}

impl Task {
    /// Of what was done in `items`; a task has something in it for which `ends` holds.
    pub(super) fn new(waiter: Other, items: &[Item], ends: impl Fn(&Item) -> bool) -> Self {
        let last = items.iter().rposition(ends);
        let froms = last.map_or(0..0, |last| 0..last + 1);
        let endings = froms
            .map(|from| kind(items.get(from..).unwrap_or_default()))
            .collect();
        Self { waiter, endings }
    }

    /// Whether what was done at number `at` belongs to the task, as far as tasks of its process are known.
    pub(super) fn covers(&self, at: usize, tasks: &Tasks) -> bool {
        let shortest = self.endings.iter().rposition(|kind| tasks.knows(*kind));
        shortest.is_some_and(|from| from <= at)
    }
}

fn kind(items: &[Item]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for item in items {
        hasher.write_u64(item.template);
        hasher.write_u8(u8::from(item.call));
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::subject::Hold;
    use crate::ids::Tid;

    /// Things that were done: `c` is a call, of which the response came, everything else is a line.
    fn items(what: &str) -> Vec<Item> {
        what.bytes()
            .map(|kind| Item {
                seq: Seq(0),
                time: KernelNanos(1),
                template: u64::from(kind),
                call: kind == b'c',
                answered: (kind == b'c').then_some(KernelNanos(2)),
                before_wait: false,
            })
            .collect()
    }

    /// What of `what` belongs to the task that ended, where each of `known` was often a task.
    fn covered(known: &[&str], what: &str) -> String {
        let mut tasks = Tasks::default();
        for task in known {
            (0..MIN_SEEN).for_each(|_| tasks.saw(&items(task)));
        }
        let waiter = Other {
            tid: Tid(1),
            hold: Hold::Nothing(None),
        };
        let task = Task::new(waiter, &items(what), |item| item.answered.is_some());
        what.chars()
            .enumerate()
            .filter(|(at, _)| task.covers(*at, &tasks))
            .map(|(_, kind)| kind)
            .collect()
    }

    #[test]
    fn the_shortest_ending_that_is_a_task_is_taken() {
        assert_eq!(covered(&["cl"], "cl"), "cl");
        assert_eq!(covered(&["cl", "clcl"], "clcl"), "cl", "perhaps two tasks");
        assert_eq!(covered(&["lcm"], "clcm"), "lcm");
        assert_eq!(
            covered(&["lc", "c"], "lc"),
            "c",
            "the line may be another one's"
        );
    }

    #[test]
    fn what_was_never_a_task_is_none() {
        assert_eq!(covered(&[], "cl"), "");
        assert_eq!(covered(&["cm"], "cl"), "");
        assert_eq!(covered(&["l"], "cl"), "", "no response came in it");
    }
}
