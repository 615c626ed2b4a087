//! Words of text that look like trace ids.

use super::super::hex::any_case;

/// The words of exactly 32 hex digits in a text: to recognise lines that carry a known id without a field name.
pub(super) fn find_hex_words(text: &str) -> impl Iterator<Item = &str> {
    HexWords { text, pos: 0 }
}

/// The number that such a word is, other than zero.
pub(super) fn hex_id(word: &str) -> Option<u128> {
    any_case(word.as_bytes(), DIGITS).filter(|id| *id != 0)
}

const DIGITS: usize = 32;

struct HexWords<'t> {
    text: &'t str,
    /// Where the next run of digits can begin.
    pos: usize,
}

impl<'t> Iterator for HexWords<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let bytes = self.text.as_bytes();
        // Whatever run of 32 digits begins here or later has its last byte at the probe or behind it,
        // and its first one at it or before: one look per 32 bytes finds all.
        while let Some(probe) = bytes.get(self.pos + DIGITS - 1) {
            let at = self.pos + DIGITS - 1;
            if !is_digit(probe) {
                self.pos = at + 1;
                continue;
            }
            let (before, after) = bytes.split_at(at);
            let before = before[self.pos..].iter().rev();
            let start = at - before.take_while(|byte| is_digit(byte)).count();
            let end = at + after.iter().take_while(|byte| is_digit(byte)).count();
            self.pos = end;
            let stands_alone = |next: Option<&u8>| next.is_none_or(|byte| !in_word(*byte));
            if end - start == DIGITS
                && stands_alone(start.checked_sub(1).map(|before| &bytes[before]))
                && stands_alone(bytes.get(end))
            {
                return self.text.get(start..end);
            }
        }
        None
    }
}

/// Whether each byte is a hex digit: a run of them is looked through byte by byte.
static DIGIT: [bool; 256] = digits();

const fn digits() -> [bool; 256] {
    let mut digits = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        digits[byte as usize] = byte.is_ascii_hexdigit();
        byte += 1;
    }
    digits
}

fn is_digit(byte: &u8) -> bool {
    DIGIT[usize::from(*byte)]
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
