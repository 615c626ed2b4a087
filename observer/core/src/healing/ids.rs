//! Ids of spans, derived from the identity of what they stand for: nobody has to be asked for one,
//! and nobody makes two for the same exchange.

use std::fmt;
use std::hash::Hasher;

use serde::{Serialize, Serializer};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::ids::Identity;

/// A trace's id as OpenTelemetry has it: 128 bits, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

/// A span's id as OpenTelemetry has it: 64 bits, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

/// Which of the two spans of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// Of the side that served the request.
    Server,
    /// Of the side that made it.
    Client,
}

impl TraceId {
    /// The id with these bits, unless they are zero.
    #[must_use]
    pub fn new(bits: u128) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }

    /// The trace that begins with an exchange, where nothing came in.
    #[must_use]
    pub fn beginning_with(identity: Identity) -> Self {
        Self(derived(identity, b"trace").max(1))
    }

    /// Most significant byte first, as on the wire.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// From the form in which lines say it: 32 hexadecimal digits.
    pub(super) fn said(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        Self::new(u128::from_str_radix(text, 16).ok().filter(|_| fits)?)
    }
}

impl SpanId {
    /// The id with these bits, unless they are zero.
    #[must_use]
    pub fn new(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }

    /// The span that stands for one side of an exchange.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    pub fn of(identity: Identity, kind: SpanKind) -> Self {
        let label = match kind {
            SpanKind::Server => &b"server"[..],
            SpanKind::Client => b"client",
        };
        Self((derived(identity, label) as u64).max(1))
    }

    /// Most significant byte first, as on the wire.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

fn derived(identity: Identity, label: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(&identity.0.to_le_bytes());
    hasher.write(label);
    hasher.finish128().as_u128()
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_derived_apart_and_stay_what_they_are() {
        let one = Identity(1);
        let (server, client) = (
            SpanId::of(one, SpanKind::Server),
            SpanId::of(one, SpanKind::Client),
        );
        assert_ne!(server, client);
        // Another version of the observer must derive the same ids.
        assert_eq!(server.to_string(), "c4deb1ad86fe94e1");
        assert_eq!(
            TraceId::beginning_with(one).to_string(),
            "2eb4295b70e9285b4984101644e96005"
        );
    }

    #[test]
    fn ids_in_lines_are_read_strictly() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(TraceId::said(id).unwrap().to_string(), id);
        for bad in [
            "",
            "a3ce929d0e0e4736",
            "+bf92f3577b34da6a3ce929d0e0e4736",
            "größe-größe-größe-größe-grö",
            "00000000000000000000000000000000",
        ] {
            assert_eq!(TraceId::said(bad), None, "{bad}");
        }
    }
}
