//! Which header fields are carriers; replaced by `crate::context` as soon as that has them.

use crate::context::Carrier;

/// Whether a field is of interest for propagation.
pub(super) fn is_carrier(name: &str) -> bool {
    name.eq_ignore_ascii_case("traceparent")
}

/// The fields of interest.
pub(super) fn extract<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Carrier {
    Carrier {
        correlation: fields
            .filter(|(name, _)| is_carrier(name))
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value).into_owned();
                (name.to_ascii_lowercase(), value)
            })
            .collect(),
        ..Carrier::default()
    }
}
