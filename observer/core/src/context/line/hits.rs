//! Ids found in a line, and which of them is the line's own.

use super::super::escape::escape_str;
use super::id::{LineTraceId, Reading};
use super::names::MAX_NAME;
use super::{LineContext, LineId};

/// Rank of fields of plain text that stands before a JSON object; the object's rank by their depth, from 1.
pub(super) const FIRST: u8 = 0;
/// Rank of fields of other plain text.
pub(super) const PLAIN: u8 = 128;
/// Rank of what stands within quoted strings.
pub(super) const QUOTED: u8 = 255;

/// Most further ids kept.
const MAX_OTHERS: usize = 7;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Hits {
    best: LineId,
    rank: u8,
    others: Vec<LineTraceId>,
}

impl Hits {
    /// Takes what the value of a field says. The best is an id before a zero one before a malformed
    /// one; then that of the lowest rank; then the first.
    pub fn add(&mut self, rank: u8, field: &str, value: &str, reading: Reading) {
        let field = || escape_str(field, MAX_NAME);
        let new = match reading {
            Reading::Nothing => return,
            Reading::Zero => LineId::Zero { field: field() },
            Reading::Id(trace) => LineId::Id {
                trace,
                field: field(),
            },
            Reading::Malformed => LineId::Malformed {
                raw: escape_str(value, 128),
                field: field(),
            },
        };
        let (class, old) = (class(&new), class(&self.best));
        let loser = if (class, rank) < (old, self.rank) || old == class_of_none() {
            self.rank = rank;
            std::mem::replace(&mut self.best, new)
        } else {
            new
        };
        self.keep(loser);
    }

    /// Keeps an id that is not the line's own.
    fn keep(&mut self, other: LineId) {
        if let LineId::Id { trace, .. } = other
            && self.others.len() < MAX_OTHERS
            && !self.others.contains(&trace)
        {
            self.others.push(trace);
        }
    }

    /// What was found.
    pub fn finish(mut self) -> LineContext {
        if let LineId::Id { trace, .. } = &self.best {
            self.others.retain(|other| other != trace);
        }
        LineContext {
            id: self.best,
            others: self.others,
            bare: Vec::new(),
        }
    }
}

/// Place in the order of preference.
fn class(id: &LineId) -> u8 {
    match id {
        LineId::Id { .. } => 0,
        LineId::Zero { .. } => 1,
        LineId::Malformed { .. } => 2,
        LineId::None => class_of_none(),
    }
}

const fn class_of_none() -> u8 {
    3
}
