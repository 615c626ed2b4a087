//! Processes that others began while they served requests: a command that a handler runs, a child that answers in its
//! parent's place. Whatever such a process does may be done for one of these requests, which are not its own.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ids::Tgid;

/// Processes that are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Processes that others began while they served requests.
#[derive(Debug)]
pub(super) struct Offspring(LruCache<Tgid, ()>);

impl Default for Offspring {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_PROCESSES))
    }
}

impl Offspring {
    /// A process began, `amid` requests of the one that began it.
    pub(super) fn began(&mut self, child: Tgid, amid: bool) {
        if amid {
            self.0.push(child, ());
        } else {
            self.0.pop(&child);
        }
    }

    /// Whether a process was begun amid requests.
    pub(super) fn is_begun_amid(&self, tgid: Tgid) -> bool {
        self.0.contains(&tgid)
    }
}
