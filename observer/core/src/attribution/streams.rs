//! Which streams of HAProxy are at work on a request that they have not answered.
//!
//! A stream may log its line right before it answers, or right after, when its address may be about to be given to the next
//! request, which may have been read already. What tells both apart is a call: a stream makes none any
//! more when it has answered. So what it does after one, and before its answer, is for the request that it answers.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::cache;
use crate::ids::Tgid;
use crate::record::{Execution, ExecutionKind};

/// Streams at work that are remembered.
const MAX_STREAMS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Streams that have called and not answered since.
#[derive(Debug)]
pub(super) struct Streams(LruCache<(Tgid, u64), ()>);

impl Default for Streams {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_STREAMS))
    }
}

/// Whether an execution is a stream of HAProxy's.
pub(super) fn is_stream(execution: &Execution) -> bool {
    execution.kind == ExecutionKind::HaproxyStream
}

impl Streams {
    /// A stream makes a call, or a connection for one.
    pub(super) fn called(&mut self, tgid: Tgid, stream: &Execution) {
        if is_stream(stream) {
            self.0.push((tgid, stream.id), ());
        }
    }

    /// A stream has answered.
    pub(super) fn answered(&mut self, tgid: Tgid, stream: &Execution) {
        self.0.pop(&(tgid, stream.id));
    }

    /// Whether it is certain that an execution, if it is a stream, has not answered yet.
    pub(super) fn at_work(&self, tgid: Tgid, execution: &Execution) -> bool {
        !is_stream(execution) || self.0.contains(&(tgid, execution.id))
    }

    /// A process ended, or replaced its program.
    pub(super) fn process_ended(&mut self, tgid: Tgid) {
        cache::remove(&mut self.0, |key, ()| key.0 == tgid);
    }
}
