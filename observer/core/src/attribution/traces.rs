//! Tier 1, context identity: what carries the trace-id that a request came in with was done for it.
//! No guess about who ran what is needed.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use hashbrown::HashMap;

use crate::context::{Carrier, Context, TraceId};
use crate::ids::Seq;

/// The requests of a process by trace-id.
#[derive(Debug, Default)]
pub(super) struct Traces(HashMap<u64, BTreeSet<Seq>>);

impl Traces {
    pub(super) fn insert(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            self.0
                .entry(key(&context.trace_id))
                .or_default()
                .insert(request);
        }
    }

    pub(super) fn remove(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            let key = key(&context.trace_id);
            if let Some(known) = self.0.get_mut(&key) {
                known.remove(&request);
                if known.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// Requests that may carry one of these traces, the latest first; the caller compares the
    /// whole ids.
    pub(super) fn candidates<'a>(
        &'a self,
        keys: impl Iterator<Item = u64> + 'a,
    ) -> impl Iterator<Item = Seq> + 'a {
        keys.filter_map(|k| self.0.get(&k))
            .flat_map(|known| known.iter().rev())
            .copied()
    }
}

/// Equal for ids that may name the same trace, whatever their width.
#[expect(
    clippy::cast_possible_truncation,
    reason = "formats share the lower 64 bits"
)]
pub(super) fn key(id: &TraceId) -> u64 {
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
