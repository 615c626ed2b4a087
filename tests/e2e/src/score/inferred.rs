//! Inferences: how many there are of what nothing is known of, and how many are right. They count in no other figure.

use serde::Serialize;

use super::told::{Attribution, Inferred};
use super::truth::Done;
use super::{Score, Side, Targets};

/// Inferences about calls and lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Guesses {
    /// Done for a request, and given to none.
    pub open: usize,
    /// Of these, with an inference.
    pub told: usize,
    /// Of these, to the right request.
    pub right: usize,
    /// Work for no request with an inference, which is wrong.
    pub background: usize,
    /// Inferences about what is given to a request: there should be none.
    pub beside: usize,
}

impl Score {
    /// Counts what is inferred about something that was done as `done` says, or for no request.
    pub(super) fn guessed(
        &mut self,
        done: Option<&Done>,
        targets: &Targets<'_>,
        given: bool,
        inferred: Option<&Inferred>,
    ) {
        if given {
            self.guesses.beside += usize::from(inferred.is_some());
            return;
        }
        self.guesses.open += usize::from(done.is_some());
        let Some(inferred) = inferred else {
            return;
        };
        let named = targets.get(&(Side::Server, inferred.request.as_str()));
        let right = done.is_some_and(|done| named == Some(&done.request.as_str()));
        match done {
            Some(_) => self.guesses.told += 1,
            None => self.guesses.background += 1,
        }
        self.guesses.right += usize::from(right);
        let stated = Attribution {
            tier: Some(inferred.tier.clone()),
            confidence: Some(inferred.confidence),
            reason: None,
        };
        self.links.count(Some(&stated), right);
    }
}
