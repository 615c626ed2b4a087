//! Takes: which execution has a connection for its next exchange, whoever moves the bytes. HTTP clients
//! keep executions of their own for the connections of their pools; what these write says nothing.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::subject::Doer;
use crate::ids::{FileId, KernelNanos};

/// Connections that are taken at once.
const MAX_TAKEN: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Who has taken which connection.
#[derive(Debug)]
pub(super) struct Takes(LruCache<FileId, Doer>);

impl Default for Takes {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_TAKEN))
    }
}

impl Takes {
    /// A connection was taken.
    pub(super) fn took(&mut self, file: FileId, taker: Doer) {
        self.0.push(file, taker);
    }

    /// Who had taken a connection before the first byte of a request moved at `before`; each taking is for one
    /// exchange.
    pub(super) fn taken(&mut self, file: FileId, before: KernelNanos) -> Option<Doer> {
        let taken = self.0.peek(&file)?.time <= before;
        if taken { self.0.pop(&file) } else { None }
    }
}
