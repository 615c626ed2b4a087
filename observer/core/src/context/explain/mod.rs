//! Headers explained to people: what they say, or which rule they break.
//!
//! The model here is independent of its presentation; [`render_text`] is one, serde another.

mod guess;
mod render;
#[cfg(test)]
mod tests;

pub use render::render_text;
use serde::Serialize;

use crate::text::Text;

use super::escape::{RAW_LIMIT, escape};
use super::extract::{Extractor, is_carrier};
use super::fields::Fields;
use super::formats::{Found, Repeats, Row, TABLE};
use super::rule::Broken;
use super::{Carrier, Format};

/// Longest text explained, in bytes: the longest message head. The rest is ignored.
const MAX_TEXT: usize = 64 * 1024;
/// Most values without a header name that are explained.
const MAX_BARE: usize = 32;

/// What some headers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// There is at least one propagation header, no rule is broken, and nothing was not recognised.
    pub valid: bool,
    /// The formats found: named headers in the order of the formats, then values without a name.
    pub parts: Vec<Part>,
    /// Values without a name that look like no format, escaped.
    pub unrecognised: Vec<String>,
    /// Remarks on the headers together and on how they were read, printable.
    pub notes: Vec<String>,
}

/// What the headers of one format say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The format; absent for correlation ids.
    pub format: Option<Format>,
    /// What people call it.
    pub title: &'static str,
    /// The header or headers, lower-case.
    pub headers: Vec<&'static str>,
    /// The value came without a header name, and was found to fit this format.
    pub guessed: bool,
    /// Header value, escaped; of several headers: joined.
    pub raw: Text,
    /// The trace id in the format's own notation.
    pub trace_id: Option<String>,
    /// The caller's span id.
    pub parent_id: Option<String>,
    /// Whether the caller recorded.
    pub sampled: Option<bool>,
    /// What else it says.
    pub details: Vec<Detail>,
    /// Members of a list, or correlation ids with their header names.
    pub members: Vec<Member>,
    /// The rule that it breaks.
    pub broken: Option<Problem>,
}

/// A further field of a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Its name.
    pub name: &'static str,
    /// Its value, printable.
    pub value: String,
    /// What that means.
    pub meaning: &'static str,
}

/// A member of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its key.
    pub key: Text,
    /// Its value, printable.
    pub value: Text,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its stable name.
    pub rule: &'static str,
    /// What is wrong, in a sentence.
    pub explanation: &'static str,
    /// Where the rule is written down.
    pub spec: &'static str,
    /// The header that breaks it.
    pub header: &'static str,
    /// The byte of the header's value at which it breaks, from 0, where one can be named.
    pub at: Option<usize>,
}

/// Explains headers, one a line: `name: value`, or a value whose format is guessed.
#[must_use]
pub fn explain(text: &str) -> Explanation {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    let mut named = Extractor::default();
    let mut bare = Vec::new();
    let mut notes = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match read_line(line) {
            Line::Carrier(name, value) => named.push(name.as_bytes(), value.as_bytes()),
            Line::Other(name) => notes.push(format!(
                "{} is no propagation header and was left out.",
                escape(name.as_bytes(), RAW_LIMIT)
            )),
            Line::Bare(value) => bare.push(value),
        }
    }
    let mut parts: Vec<Part> = named
        .seen()
        .map(|row| part(row, named.fields(), false))
        .collect();
    let mut unrecognised = Vec::new();
    for value in bare.iter().take(MAX_BARE) {
        let guessed = guess::parts(value);
        if guessed.is_empty() {
            unrecognised.push(escape(value.as_bytes(), RAW_LIMIT).to_string());
        }
        parts.extend(guessed);
    }
    if bare.len() > MAX_BARE {
        notes.push(format!(
            "Only the first {MAX_BARE} values without a name were read."
        ));
    }
    note(&named.finish(), &parts, &mut notes);
    note_unrecognised(&unrecognised, &mut notes);
    if parts.is_empty() && unrecognised.is_empty() {
        notes.push("There is no propagation header in this text.".to_owned());
    }
    let fits = parts.iter().all(|part| part.broken.is_none());
    Explanation {
        valid: fits && !parts.is_empty() && unrecognised.is_empty(),
        parts,
        unrecognised,
        notes,
    }
}

/// A line of the text.
enum Line<'t> {
    /// A propagation header and its value.
    Carrier(&'t str, &'t str),
    /// Another header.
    Other(&'t str),
    /// A value without a name.
    Bare(&'t str),
}

fn read_line(line: &str) -> Line<'_> {
    let field = line.split_once(':');
    if let Some((name, value)) = field
        && is_carrier(name.trim().as_bytes())
    {
        return Line::Carrier(name.trim(), value);
    }
    // The first line of a request or response, whose head was given as it is.
    if line.starts_with("HTTP/") || line.contains(" HTTP/") {
        return Line::Other(line);
    }
    let Some((name, value)) = field else {
        return Line::Bare(line);
    };
    // Jaeger's values have colons too, but neither white space nor letters after f.
    let is_name = value.starts_with([' ', '\t'])
        || (name
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit())
            && !name.contains(['%', '=', ';', ',']));
    if is_name {
        Line::Other(name)
    } else {
        Line::Bare(line)
    }
}

/// What the headers of one format say.
fn part(row: &Row, fields: &Fields<'_>, guessed: bool) -> Part {
    let seen = row
        .names
        .iter()
        .copied()
        .filter(|name| fields.count(name) > 0);
    let mut part = Part {
        format: (row.repeats != Repeats::Harmless).then_some(row.format),
        title: row.title,
        headers: seen.collect(),
        guessed,
        raw: fields.raw(row.names),
        trace_id: None,
        parent_id: None,
        sampled: None,
        details: Vec::new(),
        members: Vec::new(),
        broken: None,
    };
    match (row.read)(fields) {
        Err(broken) => part.broken = Some(problem(broken)),
        Ok(found) => {
            part.take(found);
            let details = (row.details)(fields).into_iter();
            part.details = details
                .map(|(name, value, meaning)| Detail {
                    name,
                    value,
                    meaning,
                })
                .collect();
        }
    }
    part
}

impl Part {
    fn take(&mut self, found: Option<Found>) {
        match found {
            None => {}
            Some(Found::Ids(ids)) => {
                self.trace_id = Some(ids.trace_id.to_string());
                self.parent_id = ids.parent_id.map(|id| id.to_string());
                self.sampled = ids.sampled;
            }
            Some(Found::Decision(sampled)) => self.sampled = Some(sampled),
            Some(
                Found::Tracestate(members) | Found::Baggage(members) | Found::Correlation(members),
            ) => {
                let members = members.into_iter();
                self.members = members.map(|(key, value)| Member { key, value }).collect();
            }
        }
    }
}

fn problem(broken: Broken) -> Problem {
    Problem {
        rule: broken.rule.name,
        explanation: broken.rule.explanation,
        spec: broken.rule.spec,
        header: broken.header,
        at: broken.at,
    }
}

/// Adds remarks on what the named headers say together.
fn note(carrier: &Carrier, parts: &[Part], notes: &mut Vec<String>) {
    let has = |name| {
        parts
            .iter()
            .any(|part| !part.guessed && part.headers.contains(&name))
    };
    let w3c = carrier
        .contexts
        .iter()
        .any(|context| context.format == Format::W3c);
    if has("tracestate") && !w3c {
        notes.push("Without a valid traceparent, receivers ignore the tracestate.".to_owned());
    }
    if carrier.decision.is_some() && carrier.contexts.is_empty() {
        notes.push("There is only a sampling decision and no trace to continue.".to_owned());
    }
    for name in &carrier.duplicates {
        notes.push(format!("{name} may come once but came more often."));
    }
    if carrier.formats_disagree() {
        notes.push(
            "The formats name different traces: which one counts depends on the reader.".to_owned(),
        );
    }
}

/// Says of values that look like no format which ones there are.
fn note_unrecognised(values: &[String], notes: &mut Vec<String>) {
    if values.is_empty() {
        return;
    }
    let said = |value| {
        format!("{value} is not recognised: it has the shape of no propagation header's value.")
    };
    notes.extend(values.iter().map(said));
    let names: Vec<&str> = TABLE.iter().map(|row| row.names[0]).collect();
    notes.push(format!(
        "What can be read: {}. With its name, as in `baggage: …`, a value is taken for what it is meant to be.",
        names.join(", ")
    ));
}
