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
    let mut value = 0_u128;
    for (index, byte) in field.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => return Err(Broken::at(rules.uppercase, header, at + index)),
            _ => return Err(Broken::at(rules.illegal, header, at + index)),
        };
        value = value << 4 | u128::from(digit);
    }
    Ok(value)
}

/// The value of 1 to `most` (at most 32) hex digits of either case.
pub(super) fn any_case(field: &[u8], most: usize) -> Option<u128> {
    if field.is_empty() || field.len() > most.min(32) {
        return None;
    }
    field.iter().try_fold(0_u128, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value << 4 | u128::from(digit))
    })
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
