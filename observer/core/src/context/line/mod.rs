//! What a log line says about its trace.
//!
//! Looked for, in this order: fields of a JSON object (the shallowest first), fields of logfmt and
//! other `name=value` or `name: value` text, bracketed ids as Spring Boot writes them, whole
//! `traceparent` values; then the same within quoted strings. `names.rs` lists the field names.

mod flat;
mod hits;
mod id;
mod json;
mod names;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use id::{Encoding, LineTraceId, Relation, relation};

use hits::Hits;

use crate::text::Text;

/// What a log line says about its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineContext {
    /// The id of its trace.
    pub id: LineId,
    /// Further ids that it mentions, at most 7: of links, of other requests, of the same trace in
    /// another notation. If one of them is the request's, the line can be found.
    pub others: Vec<LineTraceId>,
    /// Words of exactly 32 hex digits, under whatever name or none, as numbers other than zero; but those
    /// that stand among the ids.
    pub bare: Vec<u128>,
}

/// The trace id of a log line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LineId {
    /// There is no field for one, or the field is empty, null, or says that there is none (`-`, `N/A`).
    #[default]
    None,
    /// The field is zero: `0`, `0000…`.
    Zero {
        /// The field's name, printable, at most 64 bytes.
        field: Text,
    },
    /// An id.
    Id {
        /// The id.
        trace: LineTraceId,
        /// The field's name, printable, at most 64 bytes.
        field: Text,
    },
    /// The field holds something that can't be a trace id.
    Malformed {
        /// What it holds, escaped for printing, at most 128 bytes.
        raw: Text,
        /// The field's name, printable, at most 64 bytes.
        field: Text,
    },
}

impl LineContext {
    /// All ids that the line mentions, that of its trace first.
    pub fn ids(&self) -> impl Iterator<Item = &LineTraceId> {
        let own = match &self.id {
            LineId::Id { trace, .. } => Some(trace),
            _ => None,
        };
        own.into_iter().chain(&self.others)
    }
}

/// Reads a line. Those without any sign of a trace id are told quickly.
#[must_use]
pub fn scan(text: &str) -> LineContext {
    let mut hits = Hits::default();
    if text::may_have_id(text) {
        scan_into(text, &mut hits);
    }
    let mut context = hits.finish();
    let known = |word: &str| context.ids().any(|id| id.raw() == word);
    let bare = words::find_hex_words(text).filter(|word| !known(word));
    context.bare = bare.filter_map(words::hex_id).collect();
    context
}

/// Finds ids in the text before a JSON object, in the object, and after it.
fn scan_into(line: &str, hits: &mut Hits) {
    let Some(start) = json::find_object(line) else {
        return text::scan(line, hits::PLAIN, hits);
    };
    let (before, object) = line.split_at(start);
    if !before.is_empty() {
        text::scan(before, hits::FIRST, hits);
    }
    // If it is not JSON after all, or cut, what was read of it stands and all is read as text.
    let end = json::scan(object, hits).unwrap_or(0);
    if end < object.len() {
        text::scan(&object[end..], hits::PLAIN, hits);
    }
}
