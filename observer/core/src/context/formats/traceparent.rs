//! W3C Trace Context `traceparent` (Level 2, §3.2), also used by `elastic-apm-traceparent`.

use super::super::fields::Fields;
use super::super::hex::{self, HexRules, low, lower};
use super::super::rule::{Broken, declare_rules};
use super::super::{Format, SpanId, TraceId};
use super::{Detail, Found, Ids, Reading, Repeats, Row};

const NAME: &str = "traceparent";

pub(super) const ROW: Row = Row {
    format: Format::W3c,
    title: "W3C traceparent",
    names: &[NAME],
    repeats: Repeats::Fault,
    read: |fields| read(fields, NAME),
    details: |fields| details(fields, NAME),
};

declare_rules! {
    DUPLICATE = "traceparent-duplicate",
        "The header came more than once; a receiver must ignore it and start a new trace.",
        "W3C Trace Context §3.2";
    VERSION_LENGTH = "version-length",
        "The value does not begin with a version of two hex digits and a dash.",
        "W3C Trace Context §3.2.2.1, §3.2.4";
    VERSION_UPPERCASE = "version-uppercase",
        "The version has upper-case hex digits; only lower-case ones are allowed.",
        "W3C Trace Context §3.2.2";
    VERSION_ILLEGAL = "version-illegal-character",
        "The version has a character that is no hex digit.",
        "W3C Trace Context §3.2.2.1";
    VERSION_FF = "version-ff",
        "Version ff is forbidden.",
        "W3C Trace Context §3.2.2.1";
    TRACE_ID_LENGTH = "trace-id-length",
        "The trace-id is not 32 digits long.",
        "W3C Trace Context §3.2.2.2";
    TRACE_ID_UPPERCASE = "trace-id-uppercase",
        "The trace-id has upper-case hex digits; only lower-case ones are allowed.",
        "W3C Trace Context §3.2.2.3";
    TRACE_ID_ILLEGAL = "trace-id-illegal-character",
        "The trace-id has a character that is no hex digit.",
        "W3C Trace Context §3.2.2.3";
    TRACE_ID_ZERO = "trace-id-all-zero",
        "The trace-id is all zeros, which means that there is none.",
        "W3C Trace Context §3.2.2.3";
    PARENT_ID_LENGTH = "parent-id-length",
        "The parent-id is not 16 digits long.",
        "W3C Trace Context §3.2.2.2";
    PARENT_ID_UPPERCASE = "parent-id-uppercase",
        "The parent-id has upper-case hex digits; only lower-case ones are allowed.",
        "W3C Trace Context §3.2.2.4";
    PARENT_ID_ILLEGAL = "parent-id-illegal-character",
        "The parent-id has a character that is no hex digit.",
        "W3C Trace Context §3.2.2.4";
    PARENT_ID_ZERO = "parent-id-all-zero",
        "The parent-id is all zeros, which means that there is none.",
        "W3C Trace Context §3.2.2.4";
    FLAGS_LENGTH = "trace-flags-length",
        "The trace-flags are not two digits long.",
        "W3C Trace Context §3.2.2.2";
    FLAGS_UPPERCASE = "trace-flags-uppercase",
        "The trace-flags have upper-case hex digits; only lower-case ones are allowed.",
        "W3C Trace Context §3.2.2.2";
    FLAGS_ILLEGAL = "trace-flags-illegal-character",
        "The trace-flags have a character that is no hex digit.",
        "W3C Trace Context §3.2.2.2";
    TRAILING_DATA = "traceparent-trailing-data",
        "Version 00 has four fields, but more follow.",
        "W3C Trace Context §3.2.2.2";
}

const VERSION: HexRules = HexRules {
    length: &VERSION_LENGTH,
    uppercase: &VERSION_UPPERCASE,
    illegal: &VERSION_ILLEGAL,
};
const TRACE_ID: HexRules = HexRules {
    length: &TRACE_ID_LENGTH,
    uppercase: &TRACE_ID_UPPERCASE,
    illegal: &TRACE_ID_ILLEGAL,
};
const PARENT_ID: HexRules = HexRules {
    length: &PARENT_ID_LENGTH,
    uppercase: &PARENT_ID_UPPERCASE,
    illegal: &PARENT_ID_ILLEGAL,
};
const FLAGS: HexRules = HexRules {
    length: &FLAGS_LENGTH,
    uppercase: &FLAGS_UPPERCASE,
    illegal: &FLAGS_ILLEGAL,
};

/// The sampled flag (§3.2.2.5.1).
pub(in crate::context) const SAMPLED: u8 = 1;
/// The random-trace-id flag (§3.2.2.5.2, Level 2).
pub(in crate::context) const RANDOM: u8 = 2;

/// The fields of a valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::context) struct Traceparent {
    /// 0 to 254.
    pub version: u8,
    /// Never zero.
    pub trace_id: u128,
    /// Never zero.
    pub parent_id: u64,
    /// All eight bits as carried.
    pub flags: u8,
}

/// Parses a value without white space around it.
///
/// Versions after 00 are read as §3.2.4 demands: the known four fields, then nothing or a dash.
///
/// # Errors
/// The first rule broken, from left to right.
pub(in crate::context) fn parse(value: &[u8], header: &'static str) -> Result<Traceparent, Broken> {
    match usual(value) {
        Some(parsed) => Ok(parsed),
        None => by_fields(value, header),
    }
}

/// A valid value of version 00, as nearly all are: each field stands where it has to.
fn usual(value: &[u8]) -> Option<Traceparent> {
    let (version, rest) = value.split_first_chunk::<3>()?;
    let (trace_id, rest) = rest.split_first_chunk::<32>()?;
    let (dash, rest) = rest.split_first()?;
    let (parent_id, rest) = rest.split_first_chunk::<16>()?;
    let &[other_dash, high, low] = rest else {
        return None;
    };
    if version != b"00-" || (*dash, other_dash) != (b'-', b'-') {
        return None;
    }
    Some(Traceparent {
        version: 0,
        trace_id: hex::wide(*trace_id).filter(|id| *id != 0)?,
        parent_id: hex::narrow(*parent_id).filter(|id| *id != 0)?,
        flags: hex::pair([high, low])?,
    })
}

/// [`parse`], field by field.
fn by_fields(value: &[u8], header: &'static str) -> Result<Traceparent, Broken> {
    let mut rest = Rest { value, pos: 0 };
    let (field, at) = rest.field();
    let version = byte(lower(field, 2, &VERSION, header, at)?);
    if version == 0xff {
        return Err(Broken::at(&VERSION_FF, header, at));
    }
    let (field, at) = rest.field();
    let trace_id = lower(field, 32, &TRACE_ID, header, at)?;
    if trace_id == 0 {
        return Err(Broken::at(&TRACE_ID_ZERO, header, at));
    }
    let (field, at) = rest.field();
    let parent_id = low(lower(field, 16, &PARENT_ID, header, at)?);
    if parent_id == 0 {
        return Err(Broken::at(&PARENT_ID_ZERO, header, at));
    }
    let (field, at) = rest.field();
    let flags = byte(lower(field, 2, &FLAGS, header, at)?);
    if version == 0 && rest.pos <= value.len() {
        return Err(Broken::at(&TRAILING_DATA, header, rest.pos - 1));
    }
    Ok(Traceparent {
        version,
        trace_id,
        parent_id,
        flags,
    })
}

/// What is left of a value, to be cut at dashes.
struct Rest<'a> {
    value: &'a [u8],
    /// Where the next field starts; past the end once the last field was taken.
    pos: usize,
}

impl<'a> Rest<'a> {
    /// The next field (empty when there is none) and where it starts.
    fn field(&mut self) -> (&'a [u8], usize) {
        let at = self.pos.min(self.value.len());
        let rest = &self.value[at..];
        let end = memchr::memchr(b'-', rest).unwrap_or(rest.len());
        self.pos = at + end + 1;
        (&rest[..end], at)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "two hex digits fit a byte")]
fn byte(two_digits: u128) -> u8 {
    two_digits as u8
}

/// Reads the header of that name.
pub(super) fn read(fields: &Fields<'_>, name: &'static str) -> Reading {
    let Some(value) = fields.only(name, &DUPLICATE)? else {
        return Ok(None);
    };
    let parsed = parse(value, name)?;
    Ok(Some(Found::Ids(Ids {
        trace_id: TraceId::Wide(parsed.trace_id),
        parent_id: Some(SpanId::Bits(parsed.parent_id)),
        sampled: Some(parsed.flags & SAMPLED != 0),
    })))
}

/// Version and flags.
pub(super) fn details(fields: &Fields<'_>, name: &'static str) -> Vec<Detail> {
    let value = fields.all(name).next().unwrap_or_default();
    let Ok(parsed) = parse(value, name) else {
        return Vec::new();
    };
    let version = if parsed.version == 0 {
        "the current version"
    } else {
        "a later version, read as far as it is known"
    };
    let random = if parsed.flags & RANDOM == 0 {
        "random-trace-id flag not set"
    } else {
        "random-trace-id flag set: the last 7 bytes of the trace-id are random"
    };
    vec![
        ("version", format!("{:02x}", parsed.version), version),
        ("trace-flags", format!("{:02x}", parsed.flags), random),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn usual_values_are_read_as_any(place in 0_usize..55, byte: u8, cut in 0_usize..3, zero in 0_usize..4) {
            let mut value = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec();
            match zero {
                0 => value[3..35].fill(b'0'),
                1 => value[36..52].fill(b'0'),
                _ => value[place] = byte,
            }
            value.truncate(55 - cut / 2);
            let usual = usual(&value);
            prop_assert!(usual.is_none() || usual == by_fields(&value, NAME).ok());
            prop_assert_eq!(usual.is_some(), value.starts_with(b"00") && by_fields(&value, NAME).is_ok());
        }
    }
}
