//! How long a message's body is (RFC 9112 §6) and where its chunks end (§7.1).

use memchr::memchr;

use crate::message::Flaw;

/// A line of a chunked body (size with extensions, trailer field) longer than this is not HTTP.
const MAX_LINE: u32 = 16 << 10;
/// A trailer section longer than this is not HTTP.
const MAX_TRAILER: u32 = 64 << 10;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// This many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// When the connection ends.
    Close,
}

/// What the header fields say about the body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyFields {
    length: Option<u64>,
    coding: Coding,
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    /// A transfer coding other than `chunked` is the last one.
    Other,
}

impl BodyFields {
    /// A `Content-Length` field: one number, or the same one again (RFC 9112 §6.3).
    pub fn content_length(&mut self, value: &[u8]) {
        for part in value.split(|&b| b == b',') {
            match (number(part.trim_ascii()), self.length) {
                (Some(n), None) => self.length = Some(n),
                (Some(n), Some(known)) if n == known => {}
                _ => self.flaw = Some(Flaw::ContentLength),
            }
        }
    }

    /// A `Transfer-Encoding` field.
    pub fn transfer_encoding(&mut self, value: &[u8]) {
        for part in value.split(|&b| b == b',') {
            let name = part.split(|&b| b == b';').next().unwrap_or_default();
            match name.trim_ascii() {
                b"" => {}
                name if name.eq_ignore_ascii_case(b"identity") => {}
                name if name.eq_ignore_ascii_case(b"chunked") => {
                    self.coded(Coding::Chunked);
                }
                _ => self.coded(Coding::Other),
            }
        }
    }

    /// `chunked` is the last coding, and applied once (RFC 9112 §6.1).
    fn coded(&mut self, coding: Coding) {
        if self.coding == Coding::Chunked {
            self.flaw = Some(Flaw::TransferEncoding);
        }
        self.coding = coding;
    }

    /// Framing of a request, or why it has none.
    pub fn of_request(self, version: u8) -> Result<Framing, Flaw> {
        match self.common(version)? {
            Some(framing) => Ok(framing),
            None if self.coding == Coding::Other => Err(Flaw::TransferEncoding),
            None => Ok(Framing::Empty),
        }
    }

    /// Framing of a response that may have a body, or why it has none.
    pub fn of_response(self, version: u8) -> Result<Framing, Flaw> {
        Ok(self.common(version)?.unwrap_or(Framing::Close))
    }

    fn common(self, version: u8) -> Result<Option<Framing>, Flaw> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        // A 1.0 message with a transfer coding has faulty framing (RFC 9112 §6.1).
        if version == 10 && self.coding != Coding::None {
            return Err(Flaw::TransferEncoding);
        }
        Ok(match (self.coding, self.length) {
            (Coding::Chunked, _) => Some(Framing::Chunked),
            (Coding::Other, _) | (Coding::None, None) => None,
            (Coding::None, Some(0)) => Some(Framing::Empty),
            (Coding::None, Some(n)) => Some(Framing::Length(n)),
        })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        let digit = b.checked_sub(b'0').filter(|&d| d <= 9)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Where in a chunked body the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// After the digits, up to the line break; the bytes of it so far.
    Extension { size: u64, bytes: u32 },
    /// In a chunk's data: bytes left.
    Data(u64),
    /// Before the line break that follows a chunk's data.
    DataEnd,
    /// Between its two bytes.
    DataEndLf,
    /// At the start of a trailer line; bytes of the section so far.
    TrailerStart(u32),
    /// Within a trailer line.
    Trailer(u32),
    /// Between the two bytes of the last line break.
    LastLf,
}

/// What a step through a chunked body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All bytes belong to the body.
    More,
    /// The body ended after this many bytes.
    End(usize),
    /// Not a chunked body.
    Invalid(Flaw),
}

impl Chunked {
    pub const START: Self = Self::Size { size: 0, digits: 0 };

    /// Goes through `bytes`.
    pub fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.step(rest) {
                Ok((used, false)) => at += used,
                Ok((used, true)) => return Progress::End(at + used),
                Err(flaw) => return Progress::Invalid(flaw),
            }
        }
        Progress::More
    }

    /// One step: bytes used, and whether the body ended with them. `rest` is not empty.
    fn step(&mut self, rest: &[u8]) -> Result<(usize, bool), Flaw> {
        let byte = rest[0];
        match *self {
            Self::Size { size, digits } => match char::from(byte).to_digit(16) {
                Some(_) if digits == 16 => return Err(Flaw::ChunkSize),
                Some(digit) => {
                    *self = Self::Size {
                        size: size << 4 | u64::from(digit),
                        digits: digits + 1,
                    };
                }
                None if digits == 0 || !matches!(byte, b'\r' | b'\n' | b';' | b' ' | b'\t') => {
                    return Err(Flaw::ChunkSize);
                }
                None => {
                    *self = Self::Extension { size, bytes: 0 };
                    return Ok((0, false));
                }
            },
            Self::Extension { size, bytes } => {
                let (used, ended) = line(rest, bytes, MAX_LINE).ok_or(Flaw::ChunkSize)?;
                *self = match (ended, size) {
                    (false, _) => Self::Extension {
                        size,
                        bytes: bytes.saturating_add(short(used)),
                    },
                    (true, 0) => Self::TrailerStart(0),
                    (true, _) => Self::Data(size),
                };
                return Ok((used, false));
            }
            Self::Data(left) => {
                let used = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                self.skip(used as u64);
                return Ok((used, false));
            }
            Self::DataEnd if byte == b'\r' => *self = Self::DataEndLf,
            Self::DataEnd | Self::DataEndLf if byte == b'\n' => *self = Self::START,
            Self::DataEnd | Self::DataEndLf => return Err(Flaw::ChunkEnd),
            Self::TrailerStart(_) if byte == b'\r' => *self = Self::LastLf,
            Self::TrailerStart(_) | Self::LastLf if byte == b'\n' => return Ok((1, true)),
            Self::LastLf => return Err(Flaw::ChunkEnd),
            Self::TrailerStart(bytes) | Self::Trailer(bytes) => {
                let (used, ended) = line(rest, bytes, MAX_TRAILER).ok_or(Flaw::Trailer)?;
                let bytes = bytes.saturating_add(short(used));
                *self = if ended {
                    Self::TrailerStart(bytes)
                } else {
                    Self::Trailer(bytes)
                };
                return Ok((used, false));
            }
        }
        Ok((1, false))
    }

    /// Bytes left in the chunk whose data is being moved.
    pub fn data_left(self) -> Option<u64> {
        match self {
            Self::Data(left) => Some(left),
            _ => None,
        }
    }

    /// Goes `n` bytes forward in a chunk's data; `n` is at most [`Self::data_left`].
    pub fn skip(&mut self, n: u64) {
        if let Self::Data(left) = self {
            *left -= n;
            if *left == 0 {
                *self = Self::DataEnd;
            }
        }
    }
}

/// A length that [`line`] has checked.
fn short(used: usize) -> u32 {
    u32::try_from(used).unwrap_or(u32::MAX)
}

/// Goes to the end of a line: bytes used, and whether it ended; `None` if it is too long.
fn line(rest: &[u8], before: u32, max: u32) -> Option<(usize, bool)> {
    let (used, ended) = match memchr(b'\n', rest) {
        Some(at) => (at + 1, true),
        None => (rest.len(), false),
    };
    (before as usize + used <= max as usize).then_some((used, ended))
}
