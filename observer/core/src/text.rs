//! Text of observed processes, made safe to print.
//!
//! Whatever a process writes may end up on a terminal, in a log or on a page. [`printable`] leaves
//! nothing in it that such a place would act on instead of showing it: control characters (escape
//! sequences begin with one), characters that turn the direction of text around, and characters
//! that take no room and so hide what stands there.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::Serializer;

/// Text that is kept in many places: a clone of it never copies more than 24 bytes. Up to 23 bytes
/// stand in place, longer text is shared.
pub type Text = smol_str::SmolStr;

/// Whether a terminal or page would show `c` as itself.
#[must_use]
pub fn shows(c: char) -> bool {
    !matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' // C0, DEL and C1 controls
        | '\u{ad}' // soft hyphen: invisible
        | '\u{34f}' | '\u{61c}' // combining grapheme joiner, Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers: blank
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' // Khmer and Mongolian invisibles
        | '\u{200b}'..='\u{200f}' // zero-width characters and direction marks
        | '\u{2028}'..='\u{202e}' // line and paragraph separators, direction overrides
        | '\u{2060}'..='\u{206f}' // invisible operators, direction isolates
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' // selectors other than those of emoji, BOM, annotations
        | '\u{1d173}'..='\u{1d17a}' // musical formatting
        | '\u{e0000}'..='\u{e0fff}' // tags and selectors
    )
}

/// Whether `text` is nothing but printable ASCII, as most is: found out many bytes at a time.
#[must_use]
pub fn is_plain(text: &[u8]) -> bool {
    all_of(text, |byte| matches!(byte, b' '..=b'~'))
}

/// Whether all bytes are of one kind, found out many bytes at a time: `is` must not branch.
pub(crate) fn all_of(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let all = |block: &[u8; 16]| block.iter().fold(true, |all, byte| all & is(*byte));
    // The last block may begin within the one before it.
    match bytes.last_chunk() {
        Some(last) => bytes.as_chunks().0.iter().all(all) && all(last),
        None => bytes.iter().all(|byte| is(*byte)),
    }
}

/// `text` with everything that would not be shown as itself written as `\u{…}`, in the notation of
/// Rust and JavaScript (`\n`, `\r` and `\t` keep their short forms).
///
/// What is safe stays as it is, the backslash included: applying it twice changes nothing, so
/// that a sink may apply it to text that was escaped before.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(|c| !shows(c)) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        push(&mut out, c);
    }
    Cow::Owned(out)
}

/// [`printable`] for text that is kept: what shows as it is, is shared.
#[must_use]
pub fn printable_text(text: &Text) -> Text {
    match printable(text) {
        Cow::Borrowed(_) => text.clone(),
        Cow::Owned(shown) => shown.into(),
    }
}

/// [`printable`], but line feeds stay: for text of several lines that is split when it is shown.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(|c| c != '\n' && !shows(c)) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if c == '\n' {
            out.push(c);
        } else {
            push(&mut out, c);
        }
    }
    Cow::Owned(out)
}

/// Bytes as text; what is not UTF-8 is replaced. Most is, which is found out quickly.
#[must_use]
pub fn lossy(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// [`printable`] for bytes: those that are not UTF-8 become `\xNN`.
#[must_use]
pub fn printable_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Serialises what `value` shows, in one piece: a serialiser that is handed many small pieces, as by
/// `collect_str`, looks at each of them anew.
pub(crate) fn serialize_shown<S: Serializer>(
    value: &impl fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut brief = Brief {
        bytes: [0; 160],
        length: 0,
    };
    match write!(brief, "{value}") {
        Ok(()) => serializer.serialize_str(brief.as_str()),
        Err(fmt::Error) => serializer.collect_str(value),
    }
}

/// Text of bounded length, in place.
struct Brief {
    bytes: [u8; 160],
    length: usize,
}

impl Brief {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn push(out: &mut String, c: char) {
    match c {
        c if shows(c) => out.push(c),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_escape_sequences_and_direction_overrides() {
        assert_eq!(
            printable("a\x1b[31mred\u{9b}0m\r\n\t"),
            r"a\u{1b}[31mred\u{9b}0m\r\n\t"
        );
        assert_eq!(printable("gnp.\u{202e}exe"), r"gnp.\u{202e}exe");
        assert_eq!(printable("ze\u{200b}ro\u{feff}"), r"ze\u{200b}ro\u{feff}");
    }

    #[test]
    fn leaves_readable_text_alone() {
        for text in [r"C:\n \u{1b}", "größe 価格 🛒", ""] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(printable_lines("a\nb\x07"), "a\nb\\u{7}");
    }

    #[test]
    fn shows_bytes_that_are_not_utf8() {
        assert_eq!(printable_bytes(b"ok\xff\xc3\x28\x00"), r"ok\xff\xc3(\u{0}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text: String, bytes: Vec<u8>) {
            prop_assert!(printable(&text).chars().all(shows));
            prop_assert!(printable_bytes(&bytes).chars().all(shows));
            prop_assert!(printable_lines(&text).chars().all(|c| c == '\n' || shows(c)));
        }

        #[test]
        fn twice_is_once(text: String) {
            let once = printable(&text).into_owned();
            let twice = printable(&once).into_owned();
            prop_assert_eq!(twice, once);
        }
    }
}
