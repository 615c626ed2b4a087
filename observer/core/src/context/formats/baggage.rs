//! W3C Baggage `baggage` (§3.3).

use super::super::Format;
use super::super::fields::{Fields, offset, trim};
use super::super::rule::{Broken, declare_rules};
use super::{Found, Reading, Repeats, Row, no_details};
use crate::text::Text;

const NAME: &str = "baggage";

pub(super) const ROW: Row = Row {
    format: Format::W3c,
    title: "W3C baggage",
    names: &[NAME],
    repeats: Repeats::List,
    read,
    details: no_details,
};

/// Most members of a list (ABNF of §3.3.1).
const MAX_MEMBERS: usize = 180;
/// Most bytes of all members together; beyond, a platform may drop some (§3.3.2).
const MAX_BYTES: usize = 8192;

declare_rules! {
    NO_EQUALS = "baggage-member-without-equals",
        "A list member is not of the form key=value.",
        "W3C Baggage §3.3.1";
    KEY_EMPTY = "baggage-key-empty",
        "A list member has no key.",
        "W3C Baggage §3.3.1.1";
    KEY_ILLEGAL = "baggage-key-illegal-character",
        "A key has a character that is not allowed in a token.",
        "W3C Baggage §3.3.1.1";
    VALUE_ILLEGAL = "baggage-value-illegal-character",
        "A value has a space, quote, backslash, or something that is not printable ASCII and should be percent-encoded.",
        "W3C Baggage §3.3.1.2";
    TOO_MANY = "baggage-too-many-members",
        "The list has more than 180 members.",
        "W3C Baggage §3.3.1";
    TOO_LONG = "baggage-too-long",
        "The members are longer than 8192 bytes together, so that others may drop some.",
        "W3C Baggage §3.3.2";
}

/// Members of all `baggage` headers in order: keys and still encoded values, without properties.
fn read(fields: &Fields<'_>) -> Reading {
    if fields.all(NAME).map(<[u8]>::len).sum::<usize>() > MAX_BYTES {
        return Err(Broken::whole(&TOO_LONG, NAME));
    }
    let mut members = Vec::new();
    for header in fields.all(NAME) {
        for text in header.split(|byte| *byte == b',').map(trim) {
            if text.is_empty() {
                continue;
            }
            if members.len() == MAX_MEMBERS {
                return Err(Broken::whole(&TOO_MANY, NAME));
            }
            members.push(member(text, offset(header, text))?);
        }
    }
    Ok((!members.is_empty()).then_some(Found::Baggage(members)))
}

/// Key and value of a member that stands at byte `at` of its header.
fn member(member: &[u8], at: usize) -> Result<(Text, Text), Broken> {
    let pair = member
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let Some(equals) = memchr::memchr(b'=', pair) else {
        return Err(Broken::at(&NO_EQUALS, NAME, at));
    };
    let (key, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
    if key.is_empty() {
        return Err(Broken::at(&KEY_EMPTY, NAME, at));
    }
    if let Some(illegal) = key.iter().position(|byte| !is_token(*byte)) {
        return Err(Broken::at(&KEY_ILLEGAL, NAME, at + illegal));
    }
    if let Some(illegal) = value.iter().position(|byte| !is_octet(*byte)) {
        let before = offset(member, value);
        return Err(Broken::at(&VALUE_ILLEGAL, NAME, at + before + illegal));
    }
    let text = |bytes: &[u8]| Text::new(String::from_utf8_lossy(bytes));
    Ok((text(key), text(value)))
}

/// RFC 9110 §5.6.2 `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `baggage-octet`.
fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
