//! What processes run on, as far as attribution minds.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::exchange::Begun;
use crate::facts::Runtime;
use crate::ids::Tgid;
use crate::message::Version;

/// Processes whose runtime is remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// What processes run on.
#[derive(Debug)]
pub(super) struct Runtimes(pub(super) LruCache<Tgid, Runtime>);

impl Default for Runtimes {
    fn default() -> Self {
        Self(LruCache::new(MAX_PROCESSES))
    }
}

impl Runtimes {
    /// Whether servers on the runtime read without blocking and yet may give each request a thread
    /// of its own.
    pub(super) fn has_workers(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Java | Runtime::Ruby))
    }

    /// Whether a worker of PHP-FPM has read a request.
    pub(super) fn is_fpm(&self, begun: &Begun) -> bool {
        begun.head.version == Version::FastCgi
            && matches!(self.0.peek(&begun.tgid), Some(Runtime::Php))
    }

    /// Whether the runtime has pools that hand each task to an idle thread directly.
    pub(super) fn hands_over(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Java))
    }

    /// Whether the runtime starts its threads for all that it runs, not for single requests.
    pub(super) fn shares_threads(&self, tgid: Tgid) -> bool {
        matches!(self.0.peek(&tgid), Some(Runtime::Go | Runtime::Node))
    }
}
