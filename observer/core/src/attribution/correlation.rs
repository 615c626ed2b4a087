//! Tier 2, declared identity: a correlation id that came in with one request, and with no other,
//! goes out with what is done for it.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::context::Carrier;
use crate::ids::Seq;
use crate::text::Text;

/// Shorter values are counters or flags rather than identities.
const MIN_LENGTH: usize = 8;

/// The requests of a process by correlation id.
#[derive(Debug, Default)]
pub(super) struct Correlations(HashMap<Text, BTreeSet<Seq>>);

impl Correlations {
    pub(super) fn insert(&mut self, request: Seq, carrier: &Carrier) {
        for (_, value) in identities(carrier) {
            self.0.entry_ref(value).or_default().insert(request);
        }
    }

    pub(super) fn remove(&mut self, request: Seq, carrier: &Carrier) {
        for (_, value) in identities(carrier) {
            if let Some(known) = self.0.get_mut(value) {
                known.remove(&request);
                if known.is_empty() {
                    self.0.remove(value);
                }
            }
        }
    }

    /// The header by which a call names its request, and the requests that came in with its value.
    pub(super) fn named_by<'c>(&self, call: &'c Carrier) -> Option<(&'c str, &BTreeSet<Seq>)> {
        identities(call)
            .find_map(|(name, value)| Some((name.as_str(), self.0.get(value.as_str())?)))
    }
}

fn identities(carrier: &Carrier) -> impl Iterator<Item = &(Text, Text)> {
    carrier
        .correlation
        .iter()
        .filter(|(_, value)| value.len() >= MIN_LENGTH)
}
