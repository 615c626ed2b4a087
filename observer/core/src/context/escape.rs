//! Text from outside, made safe to print.

use crate::text::{Text, all_of};

/// Longest raw value kept, in bytes after escaping.
pub(super) const RAW_LIMIT: usize = 512;

/// `bytes` as printable ASCII of at most `limit` bytes: `\` becomes `\\`, and everything but
/// printable ASCII becomes `\xNN`. What does not fit is cut off, never in the middle of an escape.
pub(super) fn escape(bytes: &[u8], limit: usize) -> String {
    let mut out = String::with_capacity(bytes.len().min(limit));
    escape_onto(&mut out, bytes, limit);
    out
}

/// [`escape`], as text that is kept.
pub(super) fn escape_text(bytes: &[u8], limit: usize) -> Text {
    match std::str::from_utf8(bytes) {
        Ok(text) => escape_str(text, limit),
        Err(_) => escape(bytes, limit).into(),
    }
}

/// [`escape_text`] of what is text.
pub(super) fn escape_str(text: &str, limit: usize) -> Text {
    let same = |byte| matches!(byte, b' '..=b'~') & (byte != b'\\');
    if text.len() <= limit && all_of(text.as_bytes(), same) {
        return Text::new(text);
    }
    escape(text.as_bytes(), limit).into()
}

/// Appends the escaped `bytes` to `out`, which grows to at most `limit` bytes.
pub(super) fn escape_onto(out: &mut String, bytes: &[u8], limit: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        let room = limit.saturating_sub(out.len());
        match byte {
            b'\\' if room >= 2 => out.push_str("\\\\"),
            b' '..=b'~' if byte != b'\\' && room >= 1 => out.push(char::from(byte)),
            0..=0x1f | 0x7f.. if room >= 4 => {
                out.push_str("\\x");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        assert_eq!(escape(b"a\x1b[31m\\\xff\n", 99), r"a\x1b[31m\\\xff\x0a");
    }

    #[test]
    fn cuts_before_an_escape_that_does_not_fit() {
        assert_eq!(escape(b"ab\x00", 5), "ab");
        assert_eq!(escape(b"ab\x00c", 6), "ab\\x00");
    }

    proptest! {
        #[test]
        fn output_is_printable_and_bounded(bytes: Vec<u8>, limit in 0_usize..600) {
            let text = escape(&bytes, limit);
            prop_assert!(text.len() <= limit);
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(escape_text(&bytes, limit), text);
        }
    }
}
