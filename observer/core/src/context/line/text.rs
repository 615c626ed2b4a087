//! Trace ids in text: `name=value`, `name: value`, bracketed ids, whole `traceparent` values.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::hits::{Hits, QUOTED};
use super::id::{LineTraceId, Reading};
use super::names::{Kind, MAX_NAME, kind};

/// Most brackets of one text that are looked into.
const MAX_BRACKETS: usize = 256;
/// Longest text that is looked through byte by byte.
const SHORT: usize = 64;
/// Longest value read, in bytes.
const MAX_VALUE: usize = 192;
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
    if bytes.len() <= SHORT {
        return has_end_of_sign(bytes);
    }
    SIGNS.iter().any(|sign| sign.find(bytes).is_some())
        || bare_traceparents(text).next().is_some()
        || bracketed(text).next().is_some()
}

/// Whether a short text has any sign of a trace id: for a value, setting up a search for each sign
/// takes longer than going through it.
fn has_end_of_sign(text: &[u8]) -> bool {
    let mut bytes = text.iter().enumerate();
    bytes.any(|(at, byte)| MAY_END_SIGN[usize::from(*byte)] && ends_sign(&text[..at], *byte))
}

/// Which bytes [`ends_sign`] knows.
static MAY_END_SIGN: [bool; 256] = ends_of_signs();

const fn ends_of_signs() -> [bool; 256] {
    const ENDS: [u8; 5] = *b"eED-[";
    let mut known = [false; 256];
    let mut end = 0;
    while end < ENDS.len() {
        known[ENDS[end] as usize] = true;
        end += 1;
    }
    known
}

/// Whether a byte ends a sign of a trace id, after what stands before it.
fn ends_sign(before: &[u8], byte: u8) -> bool {
    match byte {
        b'e' => before.ends_with(b"rac"),
        b'E' => before.ends_with(b"RAC"),
        b'D' => before.ends_with(b"TI"),
        b'-' => before.ends_with(b"00"),
        b'[' => true,
        _ => false,
    }
}

/// Finds ids in a text whose fields have this rank.
pub(super) fn scan(text: &str, rank: u8, hits: &mut Hits) {
    for sign in SIGNS.iter() {
        let mut read_to = 0;
        let mut quotes = Quotes::default();
        for place in sign.find_iter(text.as_bytes()) {
            if place < read_to {
                continue;
            }
            let name = name_around(text, place);
            read_to = name.end;
            if let Some(field) = Field::read(text, name) {
                let rank = if field.quoted(text, &mut quotes) {
                    QUOTED
                } else {
                    rank
                };
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
    let start = start + end_of_colour(bytes, start);
    let end = place + after.take_while(|byte| part(byte)).count();
    // `Trace ID` in words.
    let word = &bytes[start..end];
    let next = bytes.get(end..end + 3).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"trace") && next.eq_ignore_ascii_case(b" id") {
        return start..end + 3;
    }
    start..end
}

/// How many bytes at `start` are the end of a colour sequence (`ESC [ 36 m`) of a console logger.
fn end_of_colour(text: &[u8], start: usize) -> usize {
    let digits = text[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let opened = start > 0 && b"[;".contains(&text[start - 1]);
    if opened && text.get(start + digits) == Some(&b'm') {
        digits + 1
    } else {
        0
    }
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
        let after = skip(&text[end..], b"\"'\\` ");
        let after = after.strip_prefix([':', '='])?;
        let after = after.strip_prefix('>').unwrap_or(after);
        let value = skip(after, b"\"'\\` [(<");
        let value = inside_parentheses(value).unwrap_or(value);
        Some(Self {
            name,
            start,
            end,
            kind,
            value: value_of(value, kind),
        })
    }

    /// Whether it stands within a quoted string, being no quoted name itself.
    fn quoted(&self, text: &str, quotes: &mut Quotes) -> bool {
        let bytes = text.as_bytes();
        let before = self.start.checked_sub(1).map(|before| bytes[before]);
        let own = before == Some(b'"') && bytes.get(self.end) == Some(&b'"');
        !own && quotes.before(bytes, self.start) % 2 == 1
    }

    /// Takes its value, unless it is a word of a sentence (`trace_id: missing`).
    fn judge(&self, rank: u8, hits: &mut Hits) {
        let reading = self.kind.read(self.value);
        let bytes = self.value.as_bytes();
        let id_like = || {
            bytes.len() >= 8
                && bytes.iter().any(u8::is_ascii_digit)
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte))
        };
        if !matches!(reading, Reading::Malformed) || id_like() {
            hits.add(rank, self.name, self.value, reading);
        }
    }
}

/// Counts the quotes of a text on the way through it.
#[derive(Default)]
struct Quotes {
    count: usize,
    read_to: usize,
}

impl Quotes {
    /// How many quotes stand before a place, which must not lie before the last one asked for.
    fn before(&mut self, text: &[u8], place: usize) -> usize {
        self.count += memchr::memchr_iter(b'"', &text[self.read_to..place]).count();
        self.read_to = place;
        self.count
    }
}

/// `text` without a few of these bytes, and colour sequences, at its start.
fn skip<'t>(mut text: &'t str, bytes: &[u8]) -> &'t str {
    for _ in 0..6 {
        let Some(first) = text.bytes().next() else {
            break;
        };
        if bytes.contains(&first) {
            text = &text[1..];
        } else if let Some(colour) = text.strip_prefix("\x1b[") {
            let parameters = colour.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            text = parameters.strip_prefix('m').unwrap_or(parameters);
        } else {
            break;
        }
    }
    text
}

/// What stands in parentheses after a word: `Some("…")`, `TraceId(…)`.
fn inside_parentheses(text: &str) -> Option<&str> {
    let word = text
        .bytes()
        .take(16)
        .take_while(u8::is_ascii_alphabetic)
        .count();
    let inside = text[word..].strip_prefix('(')?;
    Some(skip(inside, b"\"'\\"))
}

/// The value at the start of a text.
fn value_of(text: &str, kind: Kind) -> &str {
    let part = if kind.has_fields() { FIELDS } else { VALUE };
    let length = text
        .bytes()
        .take(MAX_VALUE)
        .take_while(|byte| PARTS[usize::from(*byte)] >= part)
        .count();
    // Punctuation of the sentence around it.
    text[..length].trim_end_matches(['.', ':'])
}

/// A byte that is part of values that have fields.
const FIELDS: u8 = 1;
/// A byte that is part of any value.
const VALUE: u8 = 2;

/// Of which values each byte is part; the others end any.
static PARTS: [u8; 256] = parts();

const fn parts() -> [u8; 256] {
    const ENDS: &[u8] = b"\"'`,&|\\()[]{}<>";
    let mut parts = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        parts[byte as usize] = VALUE;
        byte += 1;
    }
    let mut end = 0;
    while end < ENDS.len() {
        parts[ENDS[end] as usize] = 0;
        end += 1;
    }
    parts[b';' as usize] = FIELDS;
    parts[b'=' as usize] = FIELDS;
    parts
}

/// Ids in brackets, as Spring Boot writes them: `[app,trace,span]`, `[app,trace,span,exported]`
/// (Sleuth) and `[trace-span]` (Micrometer).
fn bracketed(text: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let bytes = text.as_bytes();
    let opened = memchr::memchr_iter(b'[', bytes).take(MAX_BRACKETS);
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
    let places = VERSION_00.find_iter(bytes);
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
