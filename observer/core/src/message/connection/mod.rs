//! One connection that may carry HTTP/1.x (RFC 9112).

mod asked;
mod body;
mod half;
mod head;
mod heads;
mod malformed;
mod messages;
mod start;

use asked::Waiting;
use half::{BodyStep, Half, MAX_HEAD, State};
use head::Parsed;
pub use heads::Heads;

use super::moved::By;
use super::sniff::{Dark, Sniffer};
use super::{Flaw, HttpEvent, Protocol};
use crate::record::{Direction, End};
use crate::stream::{Assembler, Break, Chunk};

/// Finds the messages in both directions of one connection.
///
/// Feed it the chunks of both directions in the order in which they moved. How the bytes were
/// chunked does not matter, except that after a loss (and when watching began amid a connection) a
/// message is found again only where a chunk begins with it.
///
/// A gap inside a body of known length is gone over; its bytes count as moved, and if the message
/// ends with unseen bytes, the time of its end is that of its last seen part and
/// [`Moved::one_thread`] is false. Any other gap is [`HttpEvent::Lost`]. What breaks the rules of HTTP, with nothing
/// missing, is [`HttpEvent::Malformed`]; a head is searched anew after it, too.
///
/// An idle connection holds no buffers.
#[derive(Debug, Default)]
pub struct Connection {
    read: Half,
    write: Half,
    /// Which way requests travel, once a head was seen. Never changes.
    requests: Option<Direction>,
    waiting: Waiting,
    /// What was skipped since the last message head.
    dark: Dark,
    sniffer: Sniffer,
    ignored: bool,
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Read => Direction::Write,
        Direction::Write => Direction::Read,
    }
}

impl Connection {
    /// A connection of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that moved; `heads` are those that came lately, of any connections.
    pub fn chunk(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        if self.ignored || chunk.len == 0 {
            return;
        }
        let by = By::of(chunk);
        let step = self.half(direction).assembler.step(chunk);
        match step.before {
            Break::None => {}
            Break::Gap(n) => self.gap(direction, n, None, sink),
            Break::Overlap => self.lost(direction, sink),
        }
        if self.half(direction).state == State::Unsynced {
            self.in_the_dark(direction, step.bytes, chunk.len, sink);
        }
        let end = chunk.pos.saturating_add(step.bytes.len() as u64);
        self.bytes(direction, step.bytes, end, by, heads, sink);
        if step.cut > 0 && !self.ignored {
            self.gap(direction, step.cut, Some(by), sink);
        }
    }

    /// A direction ended: the end of the stream, an error, or the close of the description (the
    /// end of what was written). Only a body that ends with the connection is completed by it.
    pub fn end(&mut self, direction: Direction, end: End, sink: &mut impl FnMut(HttpEvent)) {
        if self.ignored {
            return;
        }
        if self.half(direction).state == State::Close && end == End::Eof {
            self.message_ends(direction, sink);
        }
        self.half(direction).unsync();
    }

    /// What was told about this direction may be wrong, or something of it is missing.
    pub fn lost(&mut self, direction: Direction, sink: &mut impl FnMut(HttpEvent)) {
        if self.ignored {
            return;
        }
        self.forget(direction);
        if self.requests.is_some() {
            sink(HttpEvent::Lost);
        }
    }

    /// Nothing more is told of what is open.
    fn forget(&mut self, direction: Direction) {
        self.half(direction).unsync();
        self.half(other(direction)).silent = true;
        self.waiting.lost();
    }

    /// Position up to which the payload of a direction is of no interest; `None` when it is from
    /// the next byte on. Valid until the next call. Records must still come, without payload:
    /// otherwise the end of a message shows only with the next one.
    #[must_use]
    pub fn skip_until(&self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Read => self.read.skip_until(),
            Direction::Write => self.write.skip_until(),
        }
    }

    /// Whether something was asked and answered of which nobody knows what it was: bytes moved in both
    /// directions, none of them like HTTP, nor like anything else that is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let both = self.read.assembler.has_begun() && self.write.assembler.has_begun();
        both && self.requests.is_none() && !self.ignored
    }

    /// Which way requests travel, if known: what is read is served here, what is written is a call.
    #[must_use]
    pub fn requests(&self) -> Option<Direction> {
        self.requests
    }

    /// How far the direction opposite to `requests` has come.
    pub(super) fn answers(&self, requests: Direction) -> Assembler {
        match requests {
            Direction::Read => self.write.assembler,
            Direction::Write => self.read.assembler,
        }
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    fn may_carry_requests(&self, direction: Direction) -> bool {
        self.requests.is_none_or(|d| d == direction)
    }

    fn may_carry_responses(&self, direction: Direction) -> bool {
        self.requests.is_none_or(|d| d != direction)
    }

    fn may_begin(&self, direction: Direction, bytes: &[u8]) -> bool {
        // Servers ignore empty lines before a request (RFC 9112 §2.2).
        let request = start::after_blank(bytes);
        (self.may_carry_requests(direction)
            && !request.is_empty()
            && start::may_be_request(request))
            || (self.may_carry_responses(direction) && start::may_be_response(bytes))
    }

    /// A chunk of a direction whose state is unknown: perhaps it shows another protocol, or that
    /// there is no HTTP to be found.
    fn in_the_dark(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        len: u32,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let turn = self.dark.chunk(direction, len);
        if self.may_begin(direction, bytes) && !bytes.is_empty() {
            return;
        }
        let known = if turn && self.requests.is_none() {
            self.sniffer.look(bytes, len)
        } else {
            None
        };
        if let Some(protocol) = known.or(self.dark.is_hopeless().then_some(Protocol::Unknown)) {
            self.ignore(protocol, sink);
        }
    }

    fn ignore(&mut self, protocol: Protocol, sink: &mut impl FnMut(HttpEvent)) {
        self.ignored = true;
        self.read.unsync();
        self.write.unsync();
        self.waiting = Waiting::default();
        sink(HttpEvent::Ignored(protocol));
    }

    fn gap(
        &mut self,
        direction: Direction,
        n: u64,
        by: Option<By>,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let is_open = self.waiting.is_open();
        let half = self.half(direction);
        if matches!(half.state, State::Unsynced | State::Tentative) {
            half.unsync();
            if is_open {
                // What was not seen may have been the answer.
                self.lost(direction, sink);
            }
            return;
        }
        half.moved_by(by);
        match half.gap(n) {
            BodyStep::More => {}
            BodyStep::End(_) => self.message_ends(direction, sink),
            BodyStep::Lost | BodyStep::Broken(_) => self.gone(direction, sink),
        }
    }

    fn bytes(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        end: u64,
        by: By,
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.ignored {
            let begins = rest.len() == bytes.len();
            let half = self.half(direction);
            match half.state {
                State::Unsynced => {
                    if !begins || !self.may_begin(direction, rest) {
                        return;
                    }
                    self.half(direction).state = State::Tentative;
                }
                State::Tentative | State::Head => {
                    if half.buffer.is_empty() {
                        half.at = end.saturating_sub(rest.len() as u64);
                    }
                    match self.head(direction, rest, by, heads, sink) {
                        Some(used) => rest = &rest[used..],
                        None => return,
                    }
                }
                State::Tunnel => return,
                State::Length(_) | State::Chunked(_) | State::Close => {
                    if begins && half.guess && start::is_response(rest) {
                        half.unsync();
                        continue;
                    }
                    half.span.add(by);
                    match half.body(rest) {
                        BodyStep::More => return,
                        BodyStep::End(used) => {
                            rest = &rest[used..];
                            self.message_ends(direction, sink);
                        }
                        BodyStep::Lost => return self.gone(direction, sink),
                        BodyStep::Broken(flaw) => return self.malformed(direction, flaw, sink),
                    }
                }
            }
        }
    }

    /// Bytes of a head: how many were used, or `None` if the rest of the chunk is of no use.
    fn head(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        by: By,
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) -> Option<usize> {
        let (requests, responses) = (
            self.may_carry_requests(direction),
            self.may_carry_responses(direction),
        );
        let half = self.half(direction);
        if half.buffer.is_empty() {
            let blank = bytes.len() - start::after_blank(bytes).len();
            if blank > 0 {
                return Some(blank);
            }
            half.span.clear();
            half.span.add(by);
            return match self.parse(direction, bytes, heads, sink) {
                Parsed::Complete(used, ()) => Some(used),
                Parsed::Partial => self.gather(direction, bytes, heads, sink),
                Parsed::Invalid(flaw) => {
                    self.no_head(direction, bytes, flaw, sink);
                    None
                }
            };
        }
        if half.state == State::Tentative && !half.may_go_on(bytes, requests, responses) {
            half.unsync();
            return Some(0);
        }
        half.span.add(by);
        self.gather(direction, bytes, heads, sink)
    }

    /// Adds to an incomplete head, and parses it when it is complete.
    fn gather(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) -> Option<usize> {
        let half = self.half(direction);
        let seen = half.buffer.len();
        let room = MAX_HEAD.saturating_sub(seen);
        half.buffer
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(end) = start::head_end(&half.buffer, seen) else {
            if half.buffer.len() >= MAX_HEAD {
                let buffer = std::mem::take(&mut half.buffer);
                self.no_head(direction, &buffer, Flaw::TooLong, sink);
                return None;
            }
            return Some(bytes.len());
        };
        let buffer = std::mem::take(&mut half.buffer);
        match self.parse(direction, &buffer[..end], heads, sink) {
            Parsed::Complete(used, ()) if used == end => Some(end - seen),
            parsed => {
                let flaw = match parsed {
                    Parsed::Invalid(flaw) => flaw,
                    Parsed::Complete(..) | Parsed::Partial => Flaw::LineEnd,
                };
                let again = self.half(direction).state == State::Tentative
                    && seen > 0
                    && self.may_begin(direction, bytes);
                if again {
                    self.half(direction).unsync();
                } else {
                    self.no_head(direction, &buffer, flaw, sink);
                }
                // What began like a head was none; the chunk may begin with one of its own.
                (again && !self.ignored).then_some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
