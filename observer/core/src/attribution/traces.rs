//! Tier 1, context identity: what carries the trace-id that a request came in with was done for it.
//! No guess about who ran what is needed.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::context::{Carrier, Context, TraceId};
use crate::ids::Seq;

/// Requests that came in with the same id that are looked at, the latest first. A client that sends the same id
/// with all of its requests (load generators do) would otherwise make each piece of work cost as
/// much as there are requests; that there are several decides, not how many.
pub(super) const MAX_SAME: usize = 32;

/// The requests of a process by trace-id.
#[derive(Debug, Default)]
pub(super) struct Traces(BTreeSet<(u64, Seq)>);

impl Traces {
    pub(super) fn insert(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            self.0.insert((key(&context.trace_id), request));
        }
    }

    pub(super) fn remove(&mut self, request: Seq, carrier: &Carrier) {
        for context in &carrier.contexts {
            self.0.remove(&(key(&context.trace_id), request));
        }
    }

    /// The latest requests that carry one of these traces, in their order; `same` compares the
    /// whole ids.
    pub(super) fn latest(
        &self,
        keys: impl Iterator<Item = u64>,
        same: impl Fn(Seq) -> bool,
    ) -> Vec<Seq> {
        let mut found = Vec::new();
        for key in keys {
            let named = self.0.range((key, Seq(0))..=(key, Seq(u64::MAX)));
            let requests = named.rev().map(|(_, request)| *request);
            found.extend(requests.filter(|r| same(*r)).take(MAX_SAME));
        }
        found.sort_unstable();
        found.dedup();
        found
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
