//! One line of a stream, of which any part may have been seen.

use super::names::{LONGEST, is_secret};

/// What a secret byte becomes.
pub(super) const MASK: u8 = b'*';

/// How far a line has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Perhaps in the name of a header field.
    Name,
    /// In the value of a secret field.
    Secret,
    /// In something else.
    Plain,
}

/// The line that a stream is in.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Position of its first byte.
    pub(super) start: u64,
    kind: Kind,
    /// Position of the byte that decided what it is, unless that is open.
    decided: u64,
    name: [u8; LONGEST],
    /// The line before it was secret, so that a blank at its start continues that (RFC 9112 §5.2).
    after_secret: bool,
}

impl Line {
    /// A line that begins at `start`.
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            kind: Kind::Name,
            decided: 0,
            name: [0; LONGEST],
            after_secret: false,
        }
    }

    /// A line of which the beginning is known to be no secret.
    pub(super) fn plain(start: u64) -> Self {
        Self {
            kind: Kind::Plain,
            ..Self::new(start)
        }
    }

    pub(super) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Goes on with `bytes`, which lie at `pos`, up to the end of the line, and masks what is secret.
    /// Returns how many of them belong to it, and whether it has ended with them.
    pub(super) fn go_on(&mut self, pos: u64, bytes: &mut [u8]) -> (usize, bool) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let len = end.unwrap_or(bytes.len());
        for (i, byte) in bytes[..len].iter_mut().enumerate() {
            match self.kind {
                Kind::Name => self.decide(*byte, pos.saturating_add(i as u64)),
                Kind::Secret if !matches!(byte, b' ' | b'\t' | b'\r') => *byte = MASK,
                Kind::Secret => {}
                Kind::Plain => break,
            }
        }
        (len + usize::from(end.is_some()), end.is_some())
    }

    fn decide(&mut self, byte: u8, at: u64) {
        let seen = usize::try_from(at.saturating_sub(self.start)).unwrap_or(LONGEST);
        self.kind = match byte {
            b':' if self.name.get(..seen).is_some_and(is_secret) => Kind::Secret,
            b' ' | b'\t' if seen == 0 && self.after_secret => Kind::Secret,
            b':' => Kind::Plain,
            _ => match self.name.get_mut(seen) {
                Some(place) => {
                    *place = byte.to_ascii_lowercase();
                    return;
                }
                None => Kind::Plain,
            },
        };
        self.decided = at;
    }

    /// The stream goes back to `pos` in this line.
    pub(super) fn go_back(&mut self, pos: u64) {
        if self.kind != Kind::Name && pos <= self.decided {
            self.kind = Kind::Name;
        }
    }

    /// The line behind this one, which begins at `start`.
    pub(super) fn next(&self, start: u64) -> Self {
        Self {
            after_secret: self.is_secret(),
            ..Self::new(start)
        }
    }
}
