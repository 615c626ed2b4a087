//! Whether what another observer tells of the traces that threads work in is right, process by process.
//!
//! Such an observer takes the trace of the request that a thread read last, as a rule, which is wrong where threads are
//! shared: it tells of another request, or of one that has ended. Answers show it: who writes a response works for its
//! request. So they are counted, and only those to requests that overlapped with others: one at a time, anybody is right.
//!
//! A thread that never answers may keep a trace of long ago, so each has to have answered itself.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::served::Served;
use crate::context::TraceId;
use crate::exchange::Ended;
use crate::ids::Tid;
use crate::record::ExecutionKind;

/// Threads that are remembered per process.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Answers that must have been told rightly.
const MIN_RIGHT: u32 = 20;

/// Of so many answers one may have been told wrongly.
const ALLOWED: u32 = 100;

/// How one process was told of.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    right: u32,
    wrong: u32,
    /// Threads that answered, as was told, the request whose trace was told; made for the first one.
    threads: Option<LruCache<Tid, ()>>,
}

impl Pinned {
    /// A request has ended that overlapped with others.
    pub(super) fn ended(&mut self, served: &Served, ended: &Ended) {
        let mut contexts = served.carrier.contexts.iter().peekable();
        let Ok(response) = &ended.outcome else {
            return;
        };
        let told = response.sole_execution();
        let told = told.filter(|e| e.kind == ExecutionKind::Pinned);
        // Of a process of which nothing was told, silence is no mistake.
        if contexts.peek().is_none() || (told.is_none() && self.right == 0) {
            return;
        }
        let trace = told.and_then(|e| e.published()).map(TraceId::Wide);
        let right = trace.is_some_and(|trace| contexts.any(|c| c.trace_id.same_trace(&trace)));
        if right {
            self.right = self.right.saturating_add(1);
            let threads = self
                .threads
                .get_or_insert_with(|| LruCache::sparse(MAX_THREADS));
            threads.put(response.tid, ());
        } else {
            self.wrong = self.wrong.saturating_add(1);
            if let Some(threads) = &mut self.threads {
                threads.pop(&response.tid);
            }
        }
    }

    /// Whether what is told of a thread is to be believed.
    pub(super) fn is_right(&self, thread: Tid) -> bool {
        let rare = self.wrong.saturating_mul(ALLOWED) <= self.right;
        let answers = self.threads.as_ref().is_some_and(|t| t.contains(&thread));
        self.right >= MIN_RIGHT && rare && answers
    }
}
