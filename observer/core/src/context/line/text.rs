//! Trace ids in text: `name=value`, `name: value`, bracketed ids, whole `traceparent` values.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::hits::{Hits, QUOTED};
use super::id::{LineTraceId, Reading};
use super::names::{Kind, MAX_NAME, kind};

/// Most places of one text that are looked at for each kind of sign.
const MAX_PLACES: usize = 32;
/// Longest value read, in bytes.
const MAX_VALUE: usize = 256;
/// Length of a `traceparent` of version 00.
const TRACEPARENT: usize = 55;

/// What every field name has in it: `trace` in any usual case, or SkyWalking's `TID`.
static SIGNS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [Finder::new("race"), Finder::new("RACE"), Finder::new("TID")]);
/// How a `traceparent` of version 00 begins.
static VERSION_00: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("00-"));

/// Whether a text has any sign of a trace id; false is certain.
pub(super) fn may_have_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    SIGNS.iter().any(|sign| sign.find(bytes).is_some())
        || bare_traceparents(text).next().is_some()
        || bracketed(text).next().is_some()
}

/// Finds ids in a text whose fields have this rank.
pub(super) fn scan(text: &str, rank: u8, hits: &mut Hits) {
    for sign in SIGNS.iter() {
        let mut read_to = 0;
        for place in sign.find_iter(text.as_bytes()).take(MAX_PLACES) {
            if place < read_to {
                continue;
            }
            let name = name_around(text, place);
            read_to = name.end;
            if let Some(field) = Field::read(text, name) {
                let rank = if field.quoted(text) { QUOTED } else { rank };
                field.judge(rank, hits);
            }
        }
    }
    for (field, id) in bracketed(text) {
        hits.add(rank, field, id, LineTraceId::read(id));
    }
    for id in bare_traceparents(text) {
        hits.add(QUOTED, "traceparent", id, LineTraceId::read(id));
    }
}

/// The word around a byte that can be a field's name.
fn name_around(text: &str, place: usize) -> std::ops::Range<usize> {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
    let bytes = text.as_bytes();
    let before = bytes[..place].iter().rev().take(MAX_NAME);
    let after = bytes[place..].iter().take(MAX_NAME);
    let start = place - before.take_while(|byte| part(byte)).count();
    let end = place + after.take_while(|byte| part(byte)).count();
    // `Trace ID` in words.
    let word = &bytes[start..end];
    let next = bytes.get(end..end + 3).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"trace") && next.eq_ignore_ascii_case(b" id") {
        return start..end + 3;
    }
    start..end
}

/// A field of a text.
struct Field<'t> {
    name: &'t str,
    start: usize,
    end: usize,
    kind: Kind,
    value: &'t str,
}

impl<'t> Field<'t> {
    /// The field of that name; `None` if it is no field of interest.
    fn read(text: &'t str, name: std::ops::Range<usize>) -> Option<Self> {
        let (start, end) = (name.start, name.end);
        let name = &text[name];
        let kind = kind(name)?;
        let after = skip(&text[end..], b"\"'\\` ", 4);
        let after = after.strip_prefix([':', '='])?;
        let after = after.strip_prefix('>').unwrap_or(after);
        let value = skip(after, b"\"'\\` [(<", 4);
        Some(Self {
            name,
            start,
            end,
            kind,
            value: value_of(value, kind),
        })
    }

    /// Whether it stands within a quoted string, being no quoted name itself.
    fn quoted(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let own =
            self.start > 0 && bytes[self.start - 1] == b'"' && bytes.get(self.end) == Some(&b'"');
        !own && memchr::memchr_iter(b'"', &bytes[..self.start]).count() % 2 == 1
    }

    /// Takes its value, unless it is a word of a sentence (`trace_id: missing`).
    fn judge(&self, rank: u8, hits: &mut Hits) {
        let reading = self.kind.read(self.value);
        let bytes = self.value.as_bytes();
        let id_like = bytes.len() >= 8
            && bytes.iter().any(u8::is_ascii_digit)
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte));
        if id_like || !matches!(reading, Reading::Malformed) {
            hits.add(rank, self.name, self.value, reading);
        }
    }
}

/// `text` without up to `most` of these bytes at its start.
fn skip<'t>(text: &'t str, bytes: &[u8], most: usize) -> &'t str {
    let head = text.bytes().take(most);
    &text[head.take_while(|byte| bytes.contains(byte)).count()..]
}

/// The value at the start of a text.
fn value_of(text: &str, kind: Kind) -> &str {
    let ends = |byte: u8| match byte {
        b';' | b'=' => !kind.has_fields(),
        b' '..=b'~' => b" \"'`,)]}>|&\\".contains(&byte),
        _ => true,
    };
    let length = text
        .bytes()
        .take(MAX_VALUE)
        .take_while(|byte| !ends(*byte))
        .count();
    // Punctuation of the sentence around it.
    text[..length].trim_end_matches(['.', ':'])
}

/// Ids in brackets, as Spring Boot writes them: `[app,trace,span]`, `[app,trace,span,exported]`
/// (Sleuth) and `[trace-span]` (Micrometer).
fn bracketed(text: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let bytes = text.as_bytes();
    let opened = memchr::memchr_iter(b'[', bytes).take(MAX_PLACES);
    opened.filter_map(move |open| {
        let inside = &bytes[open + 1..bytes.len().min(open + 1 + MAX_VALUE)];
        let inside = &inside[..memchr::memchr(b']', inside)?];
        let inside = std::str::from_utf8(inside).ok()?;
        if let Some((trace, span)) = inside.trim().split_once('-') {
            let ids = is_hex(trace, &[32]) && is_hex(span, &[16]);
            return ids.then_some(("[trace-span]", trace));
        }
        let mut parts = inside.split(',').map(str::trim).skip(1);
        let (trace, span) = (parts.next()?, parts.next()?);
        let ids = is_hex(trace, &[16, 32]) && is_hex(span, &[16]) && parts.count() <= 1;
        ids.then_some(("[app,trace,span]", trace))
    })
}

/// Whether a text is hex digits in one of these numbers.
fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The trace ids of whole `traceparent` values of version 00.
fn bare_traceparents(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let places = VERSION_00.find_iter(bytes).take(MAX_PLACES);
    places.filter_map(move |place| {
        let value = bytes.get(place..place + TRACEPARENT)?;
        let before = place.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(place + TRACEPARENT).copied();
        let word = |byte: Option<u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let parsed = super::super::formats::parse_traceparent(value, "traceparent");
        let bare = parsed.is_ok() && !word(before) && !word(after);
        bare.then(|| &text[place + 3..place + 35])
    })
}
