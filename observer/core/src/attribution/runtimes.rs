//! What processes run on, as far as attribution minds.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::exchange::Begun;
use crate::facts::{ProcessFacts, Runtime};
use crate::ids::{Tgid, Tid};
use crate::message::Version;

/// Processes whose runtime is remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// What processes run on.
#[derive(Debug)]
pub(super) struct Runtimes {
    runtimes: LruCache<Tgid, Runtime>,
    /// Threads that are workers by their names, of processes that have any.
    workers: LruCache<Tgid, BTreeSet<Tid>>,
}

impl Default for Runtimes {
    fn default() -> Self {
        Self {
            runtimes: LruCache::sparse(MAX_PROCESSES),
            workers: LruCache::sparse(MAX_PROCESSES),
        }
    }
}

impl Runtimes {
    /// Takes note of a process.
    pub(super) fn learn(&mut self, facts: &ProcessFacts) {
        if let Some(runtime) = facts.runtime {
            self.runtimes.push(facts.tgid, runtime);
        }
        if facts.workers.is_empty() {
            self.workers.pop(&facts.tgid);
        } else {
            self.workers.push(facts.tgid, facts.workers.clone());
        }
    }

    /// Whether a thread is by its name a worker of a server that gives each of them one request at a time.
    pub(super) fn is_worker(&self, tgid: Tgid, tid: Tid) -> bool {
        let workers = self.workers.peek(&tgid);
        workers.is_some_and(|workers| workers.contains(&tid))
    }

    /// Whether servers on the runtime read without blocking and yet may give each request a thread
    /// of its own.
    pub(super) fn has_workers(&self, tgid: Tgid) -> bool {
        matches!(
            self.runtimes.peek(&tgid),
            Some(Runtime::Java | Runtime::Ruby)
        )
    }

    /// Whether a worker of PHP-FPM has read a request.
    pub(super) fn is_fpm(&self, begun: &Begun) -> bool {
        begun.head.version == Version::FastCgi
            && matches!(self.runtimes.peek(&begun.tgid), Some(Runtime::Php))
    }

    /// Whether the runtime has pools that hand each task to an idle thread directly.
    pub(super) fn hands_over(&self, tgid: Tgid) -> bool {
        matches!(self.runtimes.peek(&tgid), Some(Runtime::Java))
    }

    /// Whether the runtime starts its threads for all that it runs, not for single requests.
    pub(super) fn shares_threads(&self, tgid: Tgid) -> bool {
        matches!(self.runtimes.peek(&tgid), Some(Runtime::Go | Runtime::Node))
    }
}
