//! One direction of a connection on which requests travel as FastCGI: the values of parameters whose
//! names are those of secrets are masked, as the header fields are that they were made of.

use super::line::MASK;
use super::names::{LONGEST, is_secret};
use crate::message::fastcgi::{Kind, NoRecord, Reader, begins, length};

/// What a direction of FastCGI is in.
#[derive(Clone, Debug)]
pub(super) struct Params {
    /// `None`: where records begin is not known, so that everything may be a secret.
    reader: Option<Reader>,
    /// The request whose parameters are coming, and where in them.
    request: u16,
    pair: Pair,
}

/// Where in a name-value pair the parameters are.
#[derive(Clone, Debug)]
enum Pair {
    /// In its lengths: the bytes so far.
    Lengths { bytes: [u8; 8], known: usize },
    /// In its name.
    Name {
        seen: usize,
        name: [u8; LONGEST],
        name_len: usize,
        value_len: usize,
    },
    /// In its value: bytes left.
    Value { left: usize, secret: bool },
}

impl Default for Pair {
    fn default() -> Self {
        Self::Lengths {
            bytes: [0; 8],
            known: 0,
        }
    }
}

impl Params {
    /// One that begins with `bytes`, if they are FastCGI's.
    pub(super) fn new(bytes: &[u8], len: usize) -> Option<Self> {
        begins(bytes, len).then(|| Self {
            reader: Some(Reader::default()),
            request: 0,
            pair: Pair::default(),
        })
    }

    /// The next bytes do not follow the last ones: `missing` were not captured between, or they are sent
    /// again, which is not followed.
    pub(super) fn jump(&mut self, missing: Option<u64>) {
        let skipped = self.reader.as_mut().zip(missing).map(|(r, n)| r.skip(n));
        let known = match skipped {
            Some(Ok(record)) => record.is_none_or(|(header, _)| header.kind != Kind::Params),
            Some(Err(NoRecord)) | None => false,
        };
        if !known {
            self.reader = None;
        }
    }

    /// Goes on with `bytes`, the first of `len` that were moved, and masks what is secret.
    pub(super) fn go_on(&mut self, bytes: &mut [u8], len: u64) {
        if self.reader.is_none() && begins(bytes, usize::try_from(len).unwrap_or(usize::MAX)) {
            *self = Self {
                reader: Some(Reader::default()),
                request: 0,
                pair: Pair::default(),
            };
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(Ok((used, piece))) = self.reader.as_mut().map(|reader| reader.step(rest))
            else {
                self.reader = None;
                return rest.fill(MASK);
            };
            let params = piece.filter(|piece| piece.header.kind == Kind::Params);
            let record = params.map(|piece| piece.header);
            let (part, after) = rest.split_at_mut(used);
            rest = after;
            if let Some(header) = record {
                if self.request != header.id {
                    self.request = header.id;
                    self.pair = Pair::default();
                }
                if header.len == 0 {
                    self.request = 0;
                } else {
                    part.iter_mut().for_each(|byte| self.pair.go_on(byte));
                }
            }
        }
    }
}

impl Pair {
    fn go_on(&mut self, byte: &mut u8) {
        match self {
            Self::Lengths { bytes, known } => {
                bytes[*known] = *byte;
                *known += 1;
                if let Some((name_len, value_len)) = lengths(&bytes[..*known]) {
                    *self = Self::Name {
                        seen: 0,
                        name: [0; LONGEST],
                        name_len,
                        value_len,
                    }
                    .or_value();
                }
            }
            Self::Name { seen, name, .. } => {
                if let Some(place) = name.get_mut(*seen) {
                    *place = byte.to_ascii_lowercase();
                }
                *seen += 1;
                *self = std::mem::take(self).or_value();
            }
            Self::Value { left, secret } => {
                if *secret {
                    *byte = MASK;
                }
                *left -= 1;
                if *left == 0 {
                    *self = Self::default();
                }
            }
        }
    }

    /// The value, if the name is complete; the next pair, if there is no value.
    fn or_value(self) -> Self {
        match self {
            Self::Name {
                seen,
                name,
                name_len,
                value_len,
            } if seen == name_len => match value_len {
                0 => Self::default(),
                left => Self::Value {
                    left,
                    secret: name.get(..name_len).is_some_and(is_secret),
                },
            },
            other => other,
        }
    }
}

/// Both lengths, once all of their bytes are there.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let (name, rest) = length(bytes)?;
    let (value, _) = length(rest)?;
    Some((name, value))
}
