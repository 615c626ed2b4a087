//! Which header fields are carriers; replaced by `crate::context` as soon as that has them.

use crate::context::Carrier;

/// Whether a field is of interest for propagation.
pub(super) fn is_carrier(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"traceparent")
}

/// The fields of interest.
pub(super) fn extract<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Carrier {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Carrier {
        correlation: fields
            .into_iter()
            .filter(|(name, _)| is_carrier(name))
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        ..Carrier::default()
    }
}
