//! Tier 1, context identity: what carries the trace-id that a request came in with was done for it.
//! No guess about who ran what is needed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use hashbrown::HashMap;

use super::requests::Requests;
use crate::context::{Carrier, Context, TraceId};
use crate::ids::Seq;

/// The requests of a process by trace-id.
#[derive(Debug, Default)]
pub(super) struct Traces(HashMap<u64, Requests>);

impl Traces {
    pub(super) fn insert(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            self.0
                .entry(key(&context.trace_id))
                .or_insert(Requests::One(request))
                .insert(request);
        }
    }

    pub(super) fn remove(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            let key = key(&context.trace_id);
            if self.0.get_mut(&key).is_some_and(|r| r.remove(request)) {
                self.0.remove(&key);
            }
        }
    }

    /// Requests that may carry this trace, the latest first; the caller compares the whole ids.
    pub(super) fn candidates(&self, id: &TraceId) -> impl Iterator<Item = Seq> {
        let known = self.0.get(&key(id));
        known.into_iter().flat_map(Requests::latest_first)
    }
}

/// Equal for ids that may name the same trace, whatever their width.
#[expect(
    clippy::cast_possible_truncation,
    reason = "formats share the lower 64 bits"
)]
fn key(id: &TraceId) -> u64 {
    match id {
        TraceId::Wide(id) => *id as u64,
        TraceId::Narrow(id) => *id,
        TraceId::Text(text) => {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        }
    }
}

/// Whether any of these contexts is of the same trace as any of those.
pub(super) fn share_trace(a: &[Context], b: &[Context]) -> bool {
    a.iter()
        .any(|a| b.iter().any(|b| a.trace_id.same_trace(&b.trace_id)))
}
