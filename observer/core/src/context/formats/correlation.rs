//! Correlation ids: `X-Request-Id`, `X-Correlation-Id`. No specification, so nothing to break.

use super::super::Format;
use super::super::escape::{RAW_LIMIT, escape_text};
use super::super::fields::Fields;
use super::{Found, Reading, Repeats, Row, no_details};
use crate::text::Text;

const NAMES: &[&str] = &["x-request-id", "x-correlation-id"];

pub(super) const ROW: Row = Row {
    // Never told: reading correlation ids can't fail.
    format: Format::W3c,
    title: "correlation id",
    names: NAMES,
    repeats: Repeats::Harmless,
    read,
    details: no_details,
};

fn read(fields: &Fields<'_>) -> Reading {
    let mut ids: Vec<(Text, Text)> = Vec::new();
    for name in NAMES {
        for value in fields.all(name).filter(|value| !value.is_empty()) {
            let id = (Text::new_static(name), escape_text(value, RAW_LIMIT));
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok((!ids.is_empty()).then_some(Found::Correlation(ids)))
}
