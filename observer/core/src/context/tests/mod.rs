//! Tests of the extraction of contexts from header fields.

mod compare;
mod formats;
mod properties;
mod w3c;

use super::{Carrier, extract};

/// What header fields given as text carry.
fn carrier<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Carrier {
    extract(
        fields
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref())),
    )
}

/// The rules that the fields break.
fn broken(carrier: &Carrier) -> Vec<&'static str> {
    carrier.invalid.iter().map(|invalid| invalid.rule).collect()
}
