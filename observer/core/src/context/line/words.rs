//! Words of text that look like trace ids.

use super::super::hex::any_case;

/// The words of exactly 32 hex digits in a text, as numbers other than zero: to recognise lines that
/// carry a known id without a field name.
pub(super) fn find_hex_ids(text: &str) -> impl Iterator<Item = u128> {
    HexWords { text, pos: 0 }
}

const DIGITS: usize = 32;

struct HexWords<'t> {
    text: &'t str,
    /// Where the next word can begin; what stands before it is no part of a word.
    pos: usize,
}

impl Iterator for HexWords<'_> {
    type Item = u128;

    fn next(&mut self) -> Option<u128> {
        let bytes = self.text.as_bytes();
        while let Some(window) = bytes.get(self.pos..self.pos + DIGITS) {
            // Read from the end: what is no digit there rules out every word that begins before it.
            if let Some(other) = window.iter().rposition(|byte| !byte.is_ascii_hexdigit()) {
                // A letter beyond f makes the rest of its word no id either.
                let after = self.pos + other;
                self.pos = if in_word(bytes[after]) {
                    end_of_word(bytes, after)
                } else {
                    after + 1
                };
                continue;
            }
            let (start, end) = (self.pos, end_of_word(bytes, self.pos));
            self.pos = end + 1;
            let begins = start == 0 || !in_word(bytes[start - 1]);
            if begins && end - start == DIGITS {
                let id = any_case(&bytes[start..end], DIGITS).unwrap_or(0);
                if id != 0 {
                    return Some(id);
                }
            }
        }
        None
    }
}

fn end_of_word(bytes: &[u8], from: usize) -> usize {
    let rest = bytes[from..].iter();
    from + rest.take_while(|byte| in_word(**byte)).count()
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
