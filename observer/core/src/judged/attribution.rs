//! Attributions: for which request something was done, and how that is known.

use serde::Serialize;

use super::{Evidence, Reason};

/// Kind of evidence that carried an attribution, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The trace-ids are equal.
    Context,
    /// A correlation id that came in went out.
    Declared,
    /// The same execution did both.
    Execution,
    /// The work was seen to move from one execution to another.
    HandOff,
    /// Both are ends of one connection, or of one exchange on it.
    Connection,
    /// No other request was in flight.
    Exclusive,
}

/// For which request something was done, or why that is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// The evidence that decided; absent when none did.
    pub tier: Option<Tier>,
    /// Probability that the link is right, 0–1; 0 without a link.
    pub confidence: f32,
    /// All evidence for the link.
    pub evidence: Vec<Evidence>,
    /// Why there is no link.
    pub reason: Option<Reason>,
}

impl Attribution {
    /// The same, with a reason why nothing is concluded from it.
    #[must_use]
    pub fn or_reason(mut self, reason: Option<Reason>) -> Self {
        self.reason = self.reason.or(reason);
        self
    }

    /// No link, for `reason`.
    #[must_use]
    pub fn none(reason: Reason) -> Self {
        Self {
            tier: None,
            confidence: 0.0,
            evidence: Vec::new(),
            reason: Some(reason),
        }
    }
}
