//! Whether what is written to a log is text at all.

use memchr::memchr;

/// Bytes looked at per call.
const SAMPLE: usize = 128;
/// Bytes at the start of a call where a number before binary data would be.
const NUMBER: usize = 4;
/// Calls in a row that must look binary.
const CALLS: u8 = 3;

/// Judges the calls to one log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextCheck {
    binary_calls: u8,
    any: bool,
}

impl TextCheck {
    /// Looks at the first bytes of a call; whether they are text.
    pub fn look(&mut self, bytes: &[u8]) -> bool {
        if self.is_binary() {
            return false;
        }
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        // So many as the sample has bytes fit.
        let odd = sample.iter().map(|&b| u8::from(is_odd(b))).sum::<u8>();
        let text = odd == 0
            || usize::from(odd) * 8 <= sample.len()
                && (memchr(0, sample).is_none() || may_hold_nul(sample));
        self.binary_calls = if text { 0 } else { self.binary_calls + 1 };
        self.any |= !text;
        text
    }

    /// Something that was written was no text.
    pub fn has_binary(self) -> bool {
        self.any
    }

    /// The log is not a log; final.
    pub fn is_binary(self) -> bool {
        self.binary_calls >= CALLS
    }
}

/// Whether a byte is odd in text: control characters but white space and escapes.
fn is_odd(byte: u8) -> bool {
    // Without branches, so that many bytes are looked at at once.
    let control = byte < 0x20 || byte == 0x7f;
    let usual = matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    control & !usual
}

/// Whether bytes among which are NULs may be text: something that is logged may hold one. In binary data they come
/// early or in a row, as parts of numbers, or among bytes that are no text.
fn may_hold_nul(sample: &[u8]) -> bool {
    let early = &sample[..sample.len().min(NUMBER)];
    let rows = sample.windows(2).any(|pair| pair == [0, 0]);
    let utf8 = match str::from_utf8(sample) {
        Ok(_) => true,
        // The sample may end amid a character.
        Err(error) => error.error_len().is_none(),
    };
    memchr(0, early).is_none() && !rows && utf8
}
