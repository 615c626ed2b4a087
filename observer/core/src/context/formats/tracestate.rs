//! W3C Trace Context `tracestate` (Level 2, §3.3).
//!
//! Level 1 told simple keys from multi-tenant ones (`tenant@system`, 241 and 14 characters); Level 2
//! allows any key of at most 256 characters, which includes both. Here the wider grammar counts, so
//! that no sender of either level is blamed.

use super::super::Format;
use super::super::fields::{Fields, offset, trim};
use super::super::rule::{Broken, declare_rules};
use super::{Detail, Found, Reading, Repeats, Row};
use crate::text::Text;

const NAME: &str = "tracestate";

pub(super) const ROW: Row = Row {
    format: Format::W3c,
    title: "W3C tracestate",
    names: &[NAME],
    repeats: Repeats::List,
    read,
    details,
};

/// Most members of a list (§3.3.1.1).
pub(in crate::context) const MAX_MEMBERS: usize = 32;
/// Longest key, and longest value, in characters (§3.3.1.3).
const MAX_PART: usize = 256;

declare_rules! {
    NO_EQUALS = "tracestate-member-without-equals",
        "A list member is not of the form key=value.",
        "W3C Trace Context §3.3.1.1";
    KEY_EMPTY = "tracestate-key-empty",
        "A list member has no key.",
        "W3C Trace Context §3.3.1.3.1";
    KEY_START = "tracestate-key-start",
        "A key does not begin with a lower-case letter or a digit.",
        "W3C Trace Context §3.3.1.3.1";
    KEY_ILLEGAL = "tracestate-key-illegal-character",
        "A key has a character other than a-z, 0-9, _, -, *, / and @.",
        "W3C Trace Context §3.3.1.3.1";
    KEY_LENGTH = "tracestate-key-length",
        "A key is longer than 256 characters.",
        "W3C Trace Context §3.3.1.3.1";
    VALUE_EMPTY = "tracestate-value-empty",
        "A list member has no value.",
        "W3C Trace Context §3.3.1.3.2";
    VALUE_ILLEGAL = "tracestate-value-illegal-character",
        "A value has an equals sign or something that is not printable ASCII.",
        "W3C Trace Context §3.3.1.3.2";
    VALUE_LENGTH = "tracestate-value-length",
        "A value is longer than 256 characters.",
        "W3C Trace Context §3.3.1.3.2";
    TOO_MANY = "tracestate-too-many-members",
        "The list has more than 32 members.",
        "W3C Trace Context §3.3.1";
}

/// Members of all `tracestate` headers in order. Of members with one key the left-most counts: it is
/// the most recent, and a receiver may discard the others.
fn read(fields: &Fields<'_>) -> Reading {
    let mut members: Vec<(Text, Text)> = Vec::with_capacity(1);
    let mut count = 0;
    for list in fields.all(NAME) {
        let mut rest = list;
        while !rest.is_empty() {
            let Some((key, value, after)) = first(rest, list)? else {
                break;
            };
            rest = after;
            count += 1;
            if count > MAX_MEMBERS {
                return Err(Broken::whole(&TOO_MANY, NAME));
            }
            if members.iter().all(|(seen, _)| seen != key) {
                members.push((Text::new(key), Text::new(value)));
            }
        }
    }
    Ok((count > 0).then_some(Found::Tracestate(members)))
}

/// What may stand in a key.
const IN_KEY: u8 = 1;
/// What may stand in a value.
const IN_VALUE: u8 = 2;

/// What each byte may stand in.
static PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x7f {
        let key = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        let value = matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
        places[byte as usize] = (key as u8 * IN_KEY) | (value as u8 * IN_VALUE);
        byte += 1;
    }
    places
};

/// Key and value of a list's first member that is not empty, and what follows it in the list. `rest` is what is left of the list.
fn first<'a>(rest: &'a [u8], list: &'a [u8]) -> Result<Option<Member<'a>>, Broken> {
    if let Some(usual) = usual(rest) {
        return Ok(Some(usual));
    }
    let mut rest = rest;
    let Some(text) = next(&mut rest) else {
        return Ok(None);
    };
    let (key, value) = member(text, offset(list, text))?;
    Ok(Some((key, value, rest)))
}

/// The first member of a list that is not empty, which is taken from what is left of it.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    while !rest.is_empty() {
        let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
        let text = trim(&rest[..end]);
        *rest = rest.get(end + 1..).unwrap_or_default();
        if !text.is_empty() {
            return Some(text);
        }
    }
    None
}

/// Key, value, and what follows the comma.
type Member<'a> = (&'a str, &'a str, &'a [u8]);

/// [`first`] of what begins with a member that is valid for certain, as nearly all are: looked through once.
fn usual(rest: &[u8]) -> Option<Member<'_>> {
    let is = |byte: u8, place| PLACES[usize::from(byte)] & place != 0;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let equals = rest.iter().position(|byte| !is(*byte, IN_KEY))?;
    let value = &rest[equals + 1..];
    let end = value.iter().position(|byte| !is(*byte, IN_VALUE));
    let after = match end {
        Some(end) if value[end] == b',' => &value[end + 1..],
        Some(_) => return None,
        None => &[],
    };
    let mut length = end.unwrap_or(value.len());
    while length > 0 && value[length - 1] == b' ' {
        length -= 1;
    }
    let valid = rest[equals] == b'='
        && matches!(rest[0], b'a'..=b'z' | b'0'..=b'9')
        && equals <= MAX_PART
        && (1..=MAX_PART).contains(&length);
    let text = &rest[..equals + 1 + length];
    let text = std::str::from_utf8(text).ok().filter(|_| valid)?;
    Some((text.get(..equals)?, text.get(equals + 1..)?, after))
}

/// The non-empty members of all headers, each with its place in its header's value.
fn list<'a>(fields: &Fields<'a>) -> impl Iterator<Item = (&'a [u8], usize)> {
    fields.all(NAME).flat_map(|value| {
        let mut rest = value;
        let members = std::iter::from_fn(move || next(&mut rest));
        members.map(move |member| (member, offset(value, member)))
    })
}

/// Key and value of a member that stands at byte `at` of its header.
fn member(member: &[u8], at: usize) -> Result<(&str, &str), Broken> {
    let Some(equals) = memchr::memchr(b'=', member) else {
        return Err(Broken::at(&NO_EQUALS, NAME, at));
    };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    check_key(key, at)?;
    check_value(value, at + equals + 1)?;
    // Both are ASCII, or they would have been refused.
    Ok((
        std::str::from_utf8(key).unwrap_or_default(),
        std::str::from_utf8(value).unwrap_or_default(),
    ))
}

fn check_key(key: &[u8], at: usize) -> Result<(), Broken> {
    let starts = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let continues = |byte: &u8| starts(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    if let Some(illegal) = key.iter().position(|byte| !continues(byte)) {
        return Err(Broken::at(&KEY_ILLEGAL, NAME, at + illegal));
    }
    match key.first() {
        None => Err(Broken::at(&KEY_EMPTY, NAME, at)),
        Some(first) if !starts(first) => Err(Broken::at(&KEY_START, NAME, at)),
        Some(_) if key.len() > MAX_PART => Err(Broken::at(&KEY_LENGTH, NAME, at)),
        Some(_) => Ok(()),
    }
}

fn check_value(value: &[u8], at: usize) -> Result<(), Broken> {
    let allowed = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    if let Some(illegal) = value.iter().position(|byte| !allowed(byte)) {
        return Err(Broken::at(&VALUE_ILLEGAL, NAME, at + illegal));
    }
    if value.is_empty() {
        return Err(Broken::at(&VALUE_EMPTY, NAME, at));
    }
    if value.len() > MAX_PART {
        return Err(Broken::at(&VALUE_LENGTH, NAME, at));
    }
    Ok(())
}

/// Keys that stand more than once.
fn details(fields: &Fields<'_>) -> Vec<Detail> {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for (text, at) in list(fields) {
        let Ok((key, _)) = member(text, at) else {
            continue;
        };
        if seen.contains(&key) {
            let meaning = "stands more than once; the left-most counts";
            out.push(("key", key.to_owned(), meaning));
        }
        seen.push(key);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_is_read_as_its_members_are(lists in proptest::collection::vec("(a|1|@|B|=|,|, | |\t|é|x=y|~){0,9}", 1..3)) {
            let mut fields = Fields::default();
            for list in &lists {
                fields.push(NAME, true, list.as_bytes());
            }
            let each: Result<Vec<_>, _> = list(&fields).map(|(text, at)| member(text, at)).collect();
            let expected = each.map(|members| {
                let mut first: Vec<(Text, Text)> = Vec::new();
                for (key, value) in members {
                    if first.iter().all(|(seen, _)| seen != key) {
                        first.push((key.into(), value.into()));
                    }
                }
                (!first.is_empty()).then_some(Found::Tracestate(first))
            });
            prop_assert_eq!(read(&fields), expected);
        }
    }
}
