//! One connection that carries FastCGI 1.0: requests from a web server to an application such as
//! PHP-FPM, each with the header fields that its client had sent.

mod answer;
mod params;
mod record;
mod requests;

pub(crate) use params::length;
use record::{FIXED_BODY, Header, Piece};
pub(crate) use record::{Kind, NoRecord, Reader};
use requests::{Asked, Requests};

use super::moved::{By, Span};
use super::sniff::Dark;
use super::{HttpEvent, Protocol};
use crate::record::{Direction, End};
use crate::stream::{Assembler, Break, Chunk};

/// A part of a record shorter than this is not worth a word to the kernel, in bytes.
const WORTH_SKIPPING: u16 = 4096;

/// Whether a connection that begins with `bytes`, which one call moved, carries FastCGI: the header of
/// `FCGI_BEGIN_REQUEST`, alone (as PHP reads it) or with what follows of the role that it asks for.
pub(crate) fn begins(bytes: &[u8], len: usize) -> bool {
    let Some((head, rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let role = rest.get(..usize::from(FIXED_BODY));
    Header::parse(*head).is_some_and(|h| h.kind == Kind::Begin)
        && (role.is_some() || len == bytes.len())
        && rest.iter().zip(0..FIXED_BODY).all(|(byte, at)| match at {
            1 => (1..=3).contains(byte),
            2 => *byte <= 1,
            _ => *byte == 0,
        })
}

/// Finds the messages in both directions of one connection that carries FastCGI.
///
/// Feed it as [`Connection`](super::connection::Connection), which finds out what a connection
/// carries. Requests may share the connection at the same time; each has its number. Of an answer,
/// what is told is its head's status and its end. An idle connection holds no buffers.
///
/// A gap inside the content of a record that is not looked at is gone over. So is any gap in the answer
/// to the only request of a connection that ends with it. Any other gap is [`HttpEvent::Lost`].
#[derive(Debug)]
pub struct FastCgi {
    read: Half,
    write: Half,
    requests: Direction,
    open: Requests,
    /// What was skipped since the last request.
    dark: Dark,
    ignored: bool,
}

#[derive(Debug, Default)]
struct Half {
    assembler: Assembler,
    state: State,
    /// Who moved the current record.
    record: Span,
    /// Position of its first byte.
    at: u64,
}

/// Where a direction is.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Unknown: everything is skipped until a chunk begins with a record that is looked for.
    #[default]
    Unsynced,
    Records(Reader),
    /// In the answer to the only request, whose records can't be told apart any more.
    ToTheEnd,
}

impl Half {
    fn unsync(&mut self) {
        self.state = State::Unsynced;
        self.record.clear();
    }
}

impl FastCgi {
    /// A connection on which requests travel in the direction of `requests`, before its first request;
    /// `answers` says how far the other direction has come.
    pub(super) fn new(requests: Direction, answers: Assembler) -> Self {
        let asking = Half::default();
        let answering = Half {
            assembler: answers,
            state: State::Records(Reader::default()),
            ..Half::default()
        };
        let (read, write) = match requests {
            Direction::Read => (asking, answering),
            Direction::Write => (answering, asking),
        };
        Self {
            read,
            write,
            requests,
            open: Requests::default(),
            dark: Dark::default(),
            ignored: false,
        }
    }

    /// Takes bytes that moved.
    pub fn chunk(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
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
        self.find(direction, step.bytes, chunk.len, sink);
        self.bytes(direction, step.bytes, chunk.pos, by, sink);
        if step.cut > 0 && !self.ignored {
            self.gap(direction, step.cut, Some(by), sink);
        }
    }

    /// A direction ended. Only an answer whose records can't be told apart is completed by it.
    pub fn end(&mut self, direction: Direction, end: End, sink: &mut impl FnMut(HttpEvent)) {
        if matches!(self.half(direction).state, State::ToTheEnd)
            && end == End::Eof
            && let Some(asked) = self.open.sole()
        {
            answered(0, &asked, sink);
        }
        self.half(direction).unsync();
    }

    /// What was told about this direction may be wrong, or something of it is missing.
    pub fn lost(&mut self, direction: Direction, sink: &mut impl FnMut(HttpEvent)) {
        if self.ignored {
            return;
        }
        self.half(direction).unsync();
        self.open = Requests::default();
        sink(HttpEvent::Lost);
    }

    /// As [`Connection::skip_until`](super::connection::Connection::skip_until).
    #[must_use]
    pub fn skip_until(&self, direction: Direction) -> Option<u64> {
        let half = match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        };
        match half.state {
            State::Unsynced => None,
            State::ToTheEnd => Some(u64::MAX),
            State::Records(reader) => {
                let (header, left) = reader.content_left()?;
                let idle = match header.kind {
                    Kind::Stdin | Kind::Data => true,
                    Kind::Stdout => self.open.has_answer(header.id),
                    _ => false,
                };
                (idle && left >= WORTH_SKIPPING)
                    .then(|| half.assembler.next().saturating_add(u64::from(left)))
            }
        }
    }

    /// Which way requests travel: what is read is served here, what is written is a call.
    #[must_use]
    pub fn requests(&self) -> Direction {
        self.requests
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Where the state of a direction is unknown, a chunk may begin with a record that makes it known.
    fn find(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        len: u32,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        if !matches!(self.half(direction).state, State::Unsynced) {
            return;
        }
        let found = if direction == self.requests {
            begins(bytes, len as usize)
        } else {
            let header = bytes.first_chunk().and_then(|head| Header::parse(*head));
            header.is_some_and(|h| {
                matches!(h.kind, Kind::Stdout | Kind::Stderr | Kind::End) && self.open.has(h.id)
            })
        };
        if found {
            self.half(direction).state = State::Records(Reader::default());
            return;
        }
        self.dark.chunk(direction, len);
        if self.dark.is_hopeless() {
            self.ignored = true;
            self.open = Requests::default();
            sink(HttpEvent::Ignored(Protocol::Unknown));
        }
    }

    fn bytes(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        pos: u64,
        by: By,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let half = self.half(direction);
            match &mut half.state {
                State::Unsynced => return,
                State::ToTheEnd => return self.open.went_on(Some(by)),
                State::Records(reader) => {
                    if matches!(reader, Reader::Header { known: 0, .. }) {
                        half.record.clear();
                        half.at = pos.saturating_add((bytes.len() - rest.len()) as u64);
                    }
                    half.record.add(by);
                    let Ok((used, piece)) = reader.step(rest) else {
                        return self.broken(direction, Some(by), sink);
                    };
                    rest = &rest[used..];
                    if let Some(piece) = piece
                        && !self.piece(direction, piece, by, sink)
                    {
                        return self.broken(direction, Some(by), sink);
                    }
                }
            }
        }
    }

    /// A piece of a record; `false` if it can't stand there.
    fn piece(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        by: By,
        sink: &mut impl FnMut(HttpEvent),
    ) -> bool {
        let Header { kind, id, .. } = piece.header;
        let asks = direction == self.requests;
        match kind {
            Kind::Begin if asks => {
                let half = self.half(direction);
                let (at, span) = (half.at, half.record);
                if self.open.begins(id, piece, at, span) {
                    sink(HttpEvent::Lost);
                }
                true
            }
            Kind::Params if asks => match self.open.params(id, piece, by) {
                Ok(None) => true,
                Ok(Some((head, moved))) => {
                    self.dark = Dark::default();
                    sink(HttpEvent::Request {
                        direction,
                        head,
                        moved,
                    });
                    true
                }
                Err(requests::Unfit) => false,
            },
            Kind::Stdin | Kind::Data | Kind::Abort if asks => true,
            Kind::Stdout | Kind::Stderr | Kind::End if !asks => {
                self.answer(id, piece, by, sink);
                true
            }
            Kind::Management => true,
            _ => false,
        }
    }

    fn answer(&mut self, id: u16, piece: Piece<'_>, by: By, sink: &mut impl FnMut(HttpEvent)) {
        let Some((nth, asked)) = self.open.asked(id) else {
            return;
        };
        asked.response.add(by);
        match piece.header.kind {
            Kind::Stdout => {
                if let Some(status) = asked.answer.push(piece.content)
                    && let Some(moved) = asked.response.moved()
                {
                    sink(HttpEvent::Response { nth, status, moved });
                }
            }
            Kind::End if piece.last => self.ends(id, sink),
            _ => {}
        }
    }

    /// A request's answer is complete.
    fn ends(&mut self, id: u16, sink: &mut impl FnMut(HttpEvent)) {
        if let Some((nth, _)) = self.open.asked(id) {
            let asked = self.open.remove(nth);
            answered(nth, &asked, sink);
        }
    }

    /// Goes over `n` bytes that were not seen, and were moved by `by`, if that is known.
    fn gap(
        &mut self,
        direction: Direction,
        n: u64,
        by: Option<By>,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        let idle = self.open.is_empty();
        match &mut self.half(direction).state {
            State::Unsynced if idle => {}
            State::Unsynced => self.lost(direction, sink),
            State::ToTheEnd => self.open.went_on(by),
            State::Records(reader) => match reader.skip(n) {
                Ok(Some((header, over))) => {
                    let known = match header.kind {
                        Kind::Stdin | Kind::Data | Kind::Management => true,
                        Kind::Stdout | Kind::Stderr => {
                            self.open.missed(header, by);
                            true
                        }
                        Kind::End => {
                            self.open.missed(header, by);
                            if over {
                                self.ends(header.id, sink);
                            }
                            true
                        }
                        Kind::Begin | Kind::Params | Kind::Abort => false,
                    };
                    if !known {
                        self.broken(direction, by, sink);
                    }
                }
                Ok(None) => {}
                Err(NoRecord) => self.broken(direction, by, sink),
            },
        }
    }

    /// The records can't be told apart any more.
    fn broken(&mut self, direction: Direction, by: Option<By>, sink: &mut impl FnMut(HttpEvent)) {
        if direction != self.requests && self.open.is_last() {
            self.half(direction).state = State::ToTheEnd;
            self.open.went_on(by);
        } else {
            self.lost(direction, sink);
        }
    }
}

fn answered(nth: usize, asked: &Asked, sink: &mut impl FnMut(HttpEvent)) {
    if let Some(moved) = asked.response.moved() {
        sink(HttpEvent::ResponseEnd { nth, moved });
    }
}

#[cfg(test)]
mod tests;
