//! Inferences: what is likely, and decides nothing.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::ExchangeId;

/// The likeliest request of something that no evidence links to one (tier 7). It is no
/// [`Attribution`](super::Attribution): nothing is judged or counted by it, and nothing made of it.
///
/// Its form is `{tier, request, confidence, evidence}`, where the tier is `inference`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inferred {
    /// The request.
    pub request: ExchangeId,
    /// Probability that it is right, 0.8–0.9: the lower end of the 95 % Wilson interval of `right` of `checked`, at most 0.9.
    pub confidence: f32,
    /// How many requests were in flight.
    pub candidates: usize,
    /// How many inferences of this sort were right, of those that could be checked lately.
    pub right: u32,
    /// How many could be checked.
    pub checked: u32,
}

impl Inferred {
    /// The name of its tier.
    pub const TIER: &str = "inference";
}

impl fmt::Display for Inferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            candidates,
            right,
            checked,
            ..
        } = self;
        if *candidates == 1 {
            f.write_str("the only request in flight, and such work is usual then")?;
        } else {
            write!(
                f,
                "of {candidates} requests in flight the one for which such work was due"
            )?;
        }
        write!(
            f,
            "; of {checked} such inferences that could be checked, {right} were right"
        )
    }
}

impl Serialize for Inferred {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Inferred", 4)?;
        object.serialize_field("tier", Self::TIER)?;
        object.serialize_field("request", &self.request)?;
        object.serialize_field("confidence", &self.confidence)?;
        object.serialize_field("evidence", &[self.to_string()])?;
        object.end()
    }
}
