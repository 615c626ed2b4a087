//! Tier 2, declared identity: a correlation id that came in with one request, and with no other,
//! goes out with what is done for it.

use hashbrown::HashMap;

use super::requests::Requests;
use crate::context::Carrier;
use crate::ids::Seq;
use crate::text::Text;

/// Shorter values are counters or flags rather than identities.
const MIN_LENGTH: usize = 8;

/// The requests of a process by correlation id.
#[derive(Debug, Default)]
pub(super) struct Correlations(HashMap<Text, Requests>);

impl Correlations {
    pub(super) fn insert(&mut self, request: Seq, carrier: &Carrier) {
        for (_, value) in identities(carrier) {
            self.0
                .entry_ref(value)
                .or_insert(Requests::One(request))
                .insert(request);
        }
    }

    pub(super) fn remove(&mut self, request: Seq, carrier: &Carrier) {
        for (_, value) in identities(carrier) {
            if self.0.get_mut(value).is_some_and(|r| r.remove(request)) {
                self.0.remove(value);
            }
        }
    }

    /// The header by which a call names its request, and the requests that came in with its value.
    pub(super) fn named_by<'c>(&self, call: &'c Carrier) -> Option<(&'c str, &Requests)> {
        identities(call).find_map(|(name, value)| Some((name.as_str(), self.0.get(value)?)))
    }
}

fn identities(carrier: &Carrier) -> impl Iterator<Item = &(Text, Text)> {
    carrier
        .correlation
        .iter()
        .filter(|(_, value)| value.len() >= MIN_LENGTH)
}
