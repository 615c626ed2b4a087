//! Whether what is written to a log is text at all.

/// Bytes looked at per call.
const SAMPLE: usize = 128;
/// Calls in a row that must look binary.
const CALLS: u8 = 3;

/// Judges the calls to one log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextCheck {
    binary_calls: u8,
}

impl TextCheck {
    /// Looks at the first bytes of a call; whether they are text.
    pub fn look(&mut self, bytes: &[u8]) -> bool {
        if self.is_binary() {
            return false;
        }
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        let odd: u16 = sample.iter().map(|&b| weight(b)).sum();
        let text = usize::from(odd) * 8 <= sample.len();
        self.binary_calls = if text { 0 } else { self.binary_calls + 1 };
        text
    }

    /// The log is not a log; final.
    pub fn is_binary(self) -> bool {
        self.binary_calls >= CALLS
    }
}

/// How odd a byte is in text: control characters but white space and escapes; NUL most of all.
fn weight(byte: u8) -> u16 {
    // Without branches, so that many bytes are weighed at once.
    let control = byte < 0x20 || byte == 0x7f;
    let usual = matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    u16::from(control & !usual) + 15 * u16::from(byte == 0)
}
