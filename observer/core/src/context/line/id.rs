//! Trace ids as log lines write them, and how they relate to those of requests.

use serde::Serialize;

use super::super::TraceId;
use super::super::formats::{parse_traceparent, xray_root};
use super::super::hex::{any_case, decimal_wide, low};
use crate::text::{Text, all_of};

/// Longest id kept, in bytes.
const MAX_RAW: usize = 128;
/// Fewest hex digits of an id with letters: shorter ones are words (`bad`, `face`).
const MIN_HEX: usize = 8;

/// A trace id as a log line writes it. The same digits can mean several numbers: all are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LineTraceId {
    raw: Text,
    hex: Option<u128>,
    decimal: Option<u128>,
    form: Form,
}

/// How an id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// This many digits and nothing else, letters in lower case.
    Plain { digits: usize },
    /// As before, with upper-case letters.
    Uppercase { digits: usize },
    /// 8-4-4-4-12.
    Uuid,
    /// `1-` 8 - 24.
    Xray,
    /// Within a whole header value.
    Embedded,
    /// Text of the format's own.
    Text,
}

/// How the id of a line relates to that of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same id in the same notation: a search for the one finds the other.
    Same,
    /// The same trace, written so that a search for the one does not find the other.
    Reencoded(Encoding),
    /// Another trace.
    Different,
}

/// How a line's id is written when it is not written like the request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// The lower 64 bits in hex.
    Hex64,
    /// The lower 64 bits in decimal (Datadog).
    Decimal64,
    /// All 128 bits in decimal.
    Decimal128,
    /// With the dashes of a UUID.
    Uuid,
    /// With upper-case letters.
    Uppercase,
    /// Without its leading zeros.
    Unpadded,
    /// As AWS X-Ray writes it.
    Xray,
    /// Within a whole `traceparent`.
    Embedded,
}

/// What a value says when read as a trace id.
pub(super) enum Reading {
    Nothing,
    Zero,
    Id(LineTraceId),
    Malformed,
}

impl LineTraceId {
    /// The id as written, printable, at most 128 bytes.
    #[must_use]
    pub fn raw(&self) -> &Text {
        &self.raw
    }

    /// Calls `look` with the ids that this can mean, likely ones first: to look up whose it is.
    pub fn each_candidate(&self, mut look: impl FnMut(&TraceId)) {
        let narrow = |id: u128| u64::try_from(id).ok().filter(|id| *id != 0);
        let wide = |id: &u128| *id != 0;
        if let Some(id) = self.hex.filter(wide) {
            look(&TraceId::Wide(id));
        }
        for id in self.hex.into_iter().chain(self.decimal).filter_map(narrow) {
            look(&TraceId::Narrow(id));
        }
        if let Some(id) = self.decimal.filter(wide) {
            look(&TraceId::Wide(id));
        }
        if self.form == Form::Text {
            look(&TraceId::Text(self.raw.clone()));
        }
    }

    /// Reads a value of unknown notation.
    pub(super) fn read(value: &str) -> Reading {
        if is_placeholder(value) {
            return Reading::Nothing;
        }
        let bytes = value.as_bytes();
        let plain = || {
            let digits = bytes.len();
            let decimal = decimal_wide(bytes);
            let hex = any_case(bytes, 32).filter(|_| decimal.is_some() || digits >= MIN_HEX);
            if hex.is_none() && decimal.is_none() {
                return None;
            }
            let form = match all_of(bytes, |byte| !byte.is_ascii_uppercase()) {
                true => Form::Plain { digits },
                false => Form::Uppercase { digits },
            };
            Some((hex, decimal, form))
        };
        let found = plain()
            .or_else(|| uuid(bytes).map(|id| (Some(id), None, Form::Uuid)))
            .or_else(|| xray_root(bytes).map(|id| (Some(id), None, Form::Xray)))
            .or_else(|| {
                let parsed = parse_traceparent(bytes, "traceparent").ok()?;
                Some((Some(parsed.trace_id), None, Form::Embedded))
            });
        match found {
            Some((Some(0), ..) | (None, Some(0), _)) => Reading::Zero,
            Some((hex, decimal, form)) if value.len() <= MAX_RAW => Reading::Id(Self {
                raw: value.into(),
                hex,
                decimal,
                form,
            }),
            _ if bytes.len() >= 2 && bytes.iter().all(|byte| matches!(byte, b'0' | b'-')) => {
                Reading::Zero
            }
            _ => Reading::Malformed,
        }
    }

    /// Reads a SkyWalking id: text of three parts, `ID.THREAD.SEQUENCE`.
    pub(super) fn read_skywalking(value: &str) -> Reading {
        let parts = value.split('.').filter(|part| !part.is_empty()).count();
        let numbered = value
            .rsplit('.')
            .take(2)
            .all(|part| decimal_wide(part.as_bytes()).is_some());
        let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
        // Anything else under the name is no trace id (a thread id, `N/A`): nothing to complain of.
        if parts != 3 || !numbered || !printable || value.len() > MAX_RAW {
            return Reading::Nothing;
        }
        Reading::Id(Self {
            raw: value.into(),
            hex: None,
            decimal: None,
            form: Form::Text,
        })
    }
}

/// How the id of a line relates to that of a request.
#[must_use]
pub fn relation(line: &LineTraceId, request: &TraceId) -> Relation {
    match request {
        TraceId::Text(text) if line.raw == *text => Relation::Same,
        TraceId::Text(_) => Relation::Different,
        TraceId::Wide(id) => line.relation_to_wide(*id),
        TraceId::Narrow(id) => line.relation_to_narrow(*id),
    }
}

impl LineTraceId {
    fn relation_to_wide(&self, id: u128) -> Relation {
        let lower = u128::from(low(id));
        let encoding = match (self.hex, self.form) {
            (Some(hex), Form::Plain { digits: 32 }) if hex == id => return Relation::Same,
            (Some(hex), form) if hex == id => match form {
                Form::Uppercase { digits: 32 } => Encoding::Uppercase,
                Form::Plain { digits: 17.. } | Form::Uppercase { digits: 17.. } => {
                    Encoding::Unpadded
                }
                Form::Plain { .. } | Form::Uppercase { .. } => Encoding::Hex64,
                Form::Uuid => Encoding::Uuid,
                Form::Xray => Encoding::Xray,
                Form::Embedded | Form::Text => Encoding::Embedded,
            },
            (Some(hex), _) if hex == lower && lower != 0 => Encoding::Hex64,
            _ if self.decimal == Some(lower) && lower != 0 => Encoding::Decimal64,
            _ if self.decimal == Some(id) => Encoding::Decimal128,
            _ => return Relation::Different,
        };
        Relation::Reencoded(encoding)
    }

    fn relation_to_narrow(&self, id: u64) -> Relation {
        let encoding = match (self.hex, self.form) {
            // A full id, or the half with zeros before it, is found by the half that came in.
            (Some(hex), Form::Plain { digits: 16 | 32 }) if low(hex) == id => {
                return Relation::Same;
            }
            (Some(hex), form) if low(hex) == id => match form {
                Form::Plain { .. } => Encoding::Unpadded,
                Form::Uppercase { .. } => Encoding::Uppercase,
                Form::Uuid => Encoding::Uuid,
                Form::Xray => Encoding::Xray,
                Form::Embedded | Form::Text => Encoding::Embedded,
            },
            _ if self.decimal == Some(u128::from(id)) => Encoding::Decimal64,
            _ if self.decimal.is_some_and(|decimal| low(decimal) == id) => Encoding::Decimal128,
            _ => return Relation::Different,
        };
        Relation::Reencoded(encoding)
    }
}

/// Words that loggers write when they have no id.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 12] = [
        "",
        "-",
        "--",
        "null",
        "nil",
        "<nil>",
        "(null)",
        "none",
        "n/a",
        "undefined",
        "unknown",
        "nan",
    ];
    const LONGEST: usize = "undefined".len();
    value.len() <= LONGEST && WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// The value of a UUID: 8-4-4-4-12 hex digits.
fn uuid(text: &[u8]) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut digits = [0; 32];
    let mut at = 0;
    for (index, byte) in text.iter().enumerate() {
        let dash = matches!(index, 8 | 13 | 18 | 23);
        if dash != (*byte == b'-') {
            return None;
        }
        if !dash {
            digits[at] = *byte;
            at += 1;
        }
    }
    any_case(&digits, 32)
}
