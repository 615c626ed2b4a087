//! One direction of a connection: where in which message it is.

use super::body::{Chunked, Framing, Progress};
use super::start;
use crate::message::Flaw;
use crate::message::moved::{By, Span};
use crate::stream::Assembler;

/// A head longer than this is not followed, in bytes.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// A body part shorter than this is not worth a word to the kernel, in bytes.
const WORTH_SKIPPING: u64 = 4096;

/// Where a direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Unknown: everything is skipped until a chunk begins with a message head.
    #[default]
    Unsynced,
    /// A chunk began like a head; whether it is one shows when it is complete.
    Tentative,
    /// Between messages or in a head.
    Head,
    /// In a body with this many bytes left.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In a body that ends with the connection.
    Close,
    /// After `CONNECT`, until it is answered.
    Tunnel,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub assembler: Assembler,
    pub state: State,
    /// An incomplete head; empty (and without memory) most of the time.
    pub buffer: Vec<u8>,
    /// Who moved the current message.
    pub span: Span,
    /// Position of the current message's first byte.
    pub at: u64,
    /// Nothing is told about the current message.
    pub silent: bool,
    /// The framing of the current message is guessed: the request's method is not known for sure.
    pub guess: bool,
    /// So was that of the message before: whether a head begins here shows when it is complete.
    pub after_guess: bool,
}

/// What bytes of a body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyStep {
    /// This many bytes belong to the body, which goes on.
    More,
    /// The message ended after this many bytes.
    End(usize),
    /// What was not seen hides where the message ends.
    Lost,
    /// The framing is broken.
    Broken(Flaw),
}

impl Half {
    /// Forgets the message in progress; the next one is searched.
    pub fn unsync(&mut self) {
        self.state = State::Unsynced;
        self.next_message();
    }

    /// Ready for the next message's first byte.
    pub fn next_message(&mut self) {
        self.buffer = Vec::new();
        self.span.clear();
        self.silent = false;
        self.after_guess = self.guess;
        self.guess = false;
    }

    /// Enters the body of the current message; whether the message is already complete.
    pub fn enter(&mut self, framing: Framing) -> bool {
        self.after_guess = false;
        self.state = match framing {
            Framing::Empty => State::Head,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => State::Chunked(Chunked::START),
            Framing::Close => State::Close,
        };
        framing == Framing::Empty
    }

    /// Goes through bytes of a body.
    pub fn body(&mut self, bytes: &[u8]) -> BodyStep {
        match &mut self.state {
            State::Length(left) => {
                let used = (*left).min(bytes.len() as u64);
                *left -= used;
                match (*left, usize::try_from(used)) {
                    (0, Ok(used)) => BodyStep::End(used),
                    _ => BodyStep::More,
                }
            }
            State::Chunked(chunked) => match chunked.advance(bytes) {
                Progress::More => BodyStep::More,
                Progress::End(used) => BodyStep::End(used),
                Progress::Invalid(flaw) => BodyStep::Broken(flaw),
            },
            _ => BodyStep::More,
        }
    }

    /// Goes over `n` bytes that were not seen.
    pub fn gap(&mut self, n: u64) -> BodyStep {
        match &mut self.state {
            State::Length(left) if n <= *left => {
                *left -= n;
                if *left == 0 {
                    BodyStep::End(0)
                } else {
                    BodyStep::More
                }
            }
            State::Chunked(chunked) if chunked.data_left().is_some_and(|left| n <= left) => {
                chunked.skip(n);
                BodyStep::More
            }
            State::Close | State::Tunnel | State::Unsynced => BodyStep::More,
            _ => BodyStep::Lost,
        }
    }

    /// Notes who moved bytes of the current message; `None`: nobody saw it.
    pub fn moved_by(&mut self, by: Option<By>) {
        match by {
            Some(by) => self.span.add(by),
            None => self.span.add_unseen(),
        }
    }

    /// Whether a head may go on with `bytes` after what is in the buffer.
    pub fn may_go_on(&self, bytes: &[u8], request: bool, response: bool) -> bool {
        if self.buffer.len() >= start::ENOUGH {
            return true;
        }
        let mut first = [0; 2 * start::ENOUGH];
        let added = bytes.len().min(start::ENOUGH);
        let len = self.buffer.len() + added;
        first[..self.buffer.len()].copy_from_slice(&self.buffer);
        first[self.buffer.len()..len].copy_from_slice(&bytes[..added]);
        let first = &first[..len];
        (request && start::may_be_request(first)) || (response && start::may_be_response(first))
    }

    /// Position up to which payload is of no interest.
    pub fn skip_until(&self) -> Option<u64> {
        let next = self.assembler.next();
        let left = match self.state {
            _ if self.guess => return None,
            State::Close => return Some(u64::MAX),
            State::Length(left) => left,
            State::Chunked(chunked) => chunked.data_left()?,
            _ => return None,
        };
        (left >= WORTH_SKIPPING).then(|| next.saturating_add(left))
    }
}
