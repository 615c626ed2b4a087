//! Trace and span ids in the widths that formats carry.

use std::fmt;

use serde::{Serialize, Serializer};

use super::hex::Hex;
use crate::text::{Text, serialize_shown};

/// A trace id. Formats carry 128 bits, the lower 64 of them, or text of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TraceId {
    /// 128 bits, never zero.
    Wide(u128),
    /// The lower 64 bits only, never zero (Datadog, 64-bit B3 and Jaeger).
    Narrow(u64),
    /// Text of the format's own (SkyWalking), at most 128 bytes, printable.
    Text(Text),
}

impl TraceId {
    /// Whether both name the same trace: a narrow id equals a wide one with the same lower 64 bits.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower 64 bits are what is compared"
    )]
    pub fn same_trace(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wide(a), Self::Narrow(b)) | (Self::Narrow(b), Self::Wide(a)) => *a as u64 == *b,
            (a, b) => a == b,
        }
    }

    /// As it is shown, to be kept.
    #[must_use]
    pub fn to_text(&self) -> Text {
        match self {
            Self::Wide(id) => Text::new(Hex::wide(*id).as_str()),
            Self::Narrow(id) => Text::new(Hex::narrow(*id).as_str()),
            Self::Text(id) => id.clone(),
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wide(id) => f.write_str(Hex::wide(*id).as_str()),
            Self::Narrow(id) => f.write_str(Hex::narrow(*id).as_str()),
            Self::Text(id) => f.write_str(id),
        }
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}

/// A span id: 64 bits, or text of the format's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SpanId {
    /// 64 bits, never zero.
    Bits(u64),
    /// Text of the format's own (SkyWalking), at most 128 bytes, printable.
    Text(Text),
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits(id) => f.write_str(Hex::narrow(*id).as_str()),
            Self::Text(id) => f.write_str(id),
        }
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shown(self, serializer)
    }
}
