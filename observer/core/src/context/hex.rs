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
    if let Some(value) = value(field, false) {
        return Ok(value);
    }
    let odd = |byte: &u8| digit(*byte, false) == NO_DIGIT;
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
    value(field, true)
}

/// The value of exactly 32 lower-case hex digits, if they are.
pub(super) fn wide(digits: [u8; 2 * HALF]) -> Option<u128> {
    value(&digits, false)
}

/// The value of exactly 16 lower-case hex digits, if they are.
pub(super) fn narrow(digits: [u8; HALF]) -> Option<u64> {
    together(digits, false)
}

/// The value of exactly two lower-case hex digits, if they are.
pub(super) fn pair([high, low]: [u8; 2]) -> Option<u8> {
    let (high, low) = (digit(high, false), digit(low, false));
    (high | low < NO_DIGIT).then_some(high << 4 | low)
}

/// The value of at most 32 digits; `upper` if letters may be in upper case.
fn value(digits: &[u8], upper: bool) -> Option<u128> {
    let (high, low) = digits.split_at(digits.len().saturating_sub(HALF));
    let low = half(low, upper)?;
    Some(u128::from(half(high, upper)?) << 64 | u128::from(low))
}

/// Digits of 64 bits.
const HALF: usize = 16;

/// The value of at most 16 digits.
fn half(digits: &[u8], upper: bool) -> Option<u64> {
    if let Ok(all) = digits.try_into() {
        return together(all, upper);
    }
    digits.iter().try_fold(0, |value, byte| {
        let digit = digit(*byte, upper);
        (digit != NO_DIGIT).then(|| value << 4 | u64::from(digit))
    })
}

/// The value of 16 digits, as ids have them. All of them are looked at together, without a branch, and then
/// put together in pairs, pairs of pairs, and so on.
fn together(digits: [u8; HALF], upper: bool) -> Option<u64> {
    let digits = u128::from_be_bytes(digits.map(|byte| digit(byte, upper)));
    if digits & NO_DIGITS != 0 {
        return None;
    }
    let digits = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    let digits = (digits | digits >> 8) & 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff;
    let digits = (digits | digits >> 16) & 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff;
    Some(low(digits | digits >> 32))
}

/// What is no digit.
const NO_DIGIT: u8 = 16;
/// The same, in each of 16 places.
const NO_DIGITS: u128 = u128::from_ne_bytes([NO_DIGIT; HALF]);

/// The value of a hex digit; `upper` if letters may be in upper case.
fn digit(byte: u8, upper: bool) -> u8 {
    let letter = if upper { byte | 0x20 } else { byte };
    match (byte.wrapping_sub(b'0'), letter.wrapping_sub(b'a')) {
        (digit @ 0..=9, _) => digit,
        (_, letter @ 0..=5) => letter + 10,
        _ => NO_DIGIT,
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_what_the_standard_library_takes_for_them(text in "[0-9a-fA-Fg/:@`+]{0,33}|[0-9a-f]{1,32}") {
            let number = |text: &str| u128::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'));
            prop_assert_eq!(any_case(text.as_bytes(), 32), number(&text).filter(|_| text.len() <= 32));
            let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
            if (1..=32).contains(&text.len()) {
                prop_assert_eq!(value(text.as_bytes(), false), number(&text).filter(|_| lower));
            }
        }

        #[test]
        fn any_byte_in_any_place_is_told_from_a_digit(place in 0_usize..16, byte: u8, upper: bool) {
            let mut digits = *b"0123456789abcdef";
            digits[place] = byte;
            let is_digit = byte.is_ascii_hexdigit() && (upper || !byte.is_ascii_uppercase());
            let text = String::from_utf8_lossy(&digits);
            let expected = is_digit.then(|| u64::from_str_radix(&text, 16).unwrap_or_default());
            prop_assert_eq!(together(digits, upper), expected);
        }
    }
}
