//! Hexadecimal and decimal ids, strictly.

use super::rule::{Broken, Rule};

/// The rules for a field of lower-case hex digits.
pub(super) struct HexRules {
    /// Broken by a wrong number of digits.
    pub length: &'static Rule,
    /// Broken by `A`–`F`.
    pub uppercase: &'static Rule,
    /// Broken by anything else that is no hex digit.
    pub illegal: &'static Rule,
}

/// The value of exactly `digits` lower-case hex digits; `at` is where the field starts in its header.
pub(super) fn lower(
    field: &[u8],
    digits: usize,
    rules: &HexRules,
    header: &'static str,
    at: usize,
) -> Result<u128, Broken> {
    if field.len() != digits {
        return Err(Broken::at(
            rules.length,
            header,
            at + field.len().min(digits),
        ));
    }
    lower_digits(field, rules, header, at)
}

/// The value of at most 32 lower-case hex digits, whatever their number.
pub(super) fn lower_digits(
    field: &[u8],
    rules: &HexRules,
    header: &'static str,
    at: usize,
) -> Result<u128, Broken> {
    if let Some(value) = value(field, &LOWER) {
        return Ok(value);
    }
    let odd = |byte: &u8| LOWER[usize::from(*byte)] == NO_DIGIT;
    let index = field.iter().position(odd).unwrap_or_default();
    let rule = match field.get(index) {
        Some(b'A'..=b'F') => rules.uppercase,
        _ => rules.illegal,
    };
    Err(Broken::at(rule, header, at + index))
}

/// The value of 1 to `most` (at most 32) hex digits of either case.
pub(super) fn any_case(field: &[u8], most: usize) -> Option<u128> {
    if field.is_empty() || field.len() > most.min(32) {
        return None;
    }
    value(field, &EITHER)
}

/// The value of at most 32 digits.
fn value(digits: &[u8], values: &[u8; 256]) -> Option<u128> {
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    let low = half(low, values)?;
    Some(u128::from(half(high, values)?) << 64 | u128::from(low))
}

/// The value of at most 16 digits.
fn half(digits: &[u8], values: &[u8; 256]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for byte in digits {
        let digit = values[usize::from(*byte)];
        seen |= digit;
        value = value << 4 | u64::from(digit & 15);
    }
    (seen < NO_DIGIT).then_some(value)
}

/// What is no digit, in [`LOWER`] and [`EITHER`].
const NO_DIGIT: u8 = 16;
/// The value of each byte as a lower-case hex digit.
static LOWER: [u8; 256] = values(false);
/// The value of each byte as a hex digit of either case.
static EITHER: [u8; 256] = values(true);

const fn values(upper: bool) -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = DIGITS[value as usize];
        values[digit as usize] = value;
        if upper {
            values[digit.to_ascii_uppercase() as usize] = value;
        }
        value += 1;
    }
    values
}

/// The value of decimal digits alone (no sign) that fit 64 bits.
pub(super) fn decimal(field: &[u8]) -> Option<u64> {
    decimal_wide(field).and_then(|value| u64::try_from(value).ok())
}

/// The value of decimal digits alone (no sign) that fit 128 bits.
pub(super) fn decimal_wide(field: &[u8]) -> Option<u128> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The lower 64 bits of an id.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is asked for"
)]
pub(super) fn low(id: u128) -> u64 {
    id as u64
}

/// An id as lower-case hex digits with leading zeros, in place.
pub(super) struct Hex {
    digits: [u8; 32],
    from: usize,
}

impl Hex {
    /// 32 digits.
    pub fn wide(mut id: u128) -> Self {
        let mut digits = [0; 32];
        for pair in digits.rchunks_exact_mut(2) {
            let byte = usize::from(low(id).to_le_bytes()[0]);
            pair.copy_from_slice(&[DIGITS[byte >> 4], DIGITS[byte & 15]]);
            id >>= 8;
        }
        Self { digits, from: 0 }
    }

    /// 16 digits.
    pub fn narrow(id: u64) -> Self {
        Self {
            from: 16,
            ..Self::wide(u128::from(id))
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[self.from..]).unwrap_or_default()
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
