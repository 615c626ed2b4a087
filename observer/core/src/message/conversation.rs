//! A connection between processes, whatever it carries: follows the protocol that its bytes show.

use super::connection::{Connection, Heads};
use super::fastcgi::FastCgi;
use super::{HttpEvent, Protocol};
use crate::record::{Direction, End};
use crate::stream::Chunk;

/// Finds the messages in both directions of one connection. Feed it as [`Connection`].
#[derive(Debug)]
pub enum Conversation {
    /// HTTP/1.x, or nothing that is known yet.
    Http(Box<Connection>),
    /// FastCGI.
    FastCgi(Box<FastCgi>),
}

impl Default for Conversation {
    fn default() -> Self {
        Self::Http(Box::default())
    }
}

impl Conversation {
    /// Takes bytes that moved; `heads` are those that came lately, of any connections.
    pub fn chunk(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
        heads: &mut Heads,
        sink: &mut impl FnMut(HttpEvent),
    ) {
        match self {
            Self::FastCgi(fastcgi) => fastcgi.chunk(direction, chunk, sink),
            Self::Http(http) => {
                let mut fastcgi = false;
                http.chunk(direction, chunk, heads, &mut |event| match event {
                    HttpEvent::Ignored(Protocol::FastCgi) => fastcgi = true,
                    event => sink(event),
                });
                if fastcgi {
                    let mut followed = FastCgi::new(direction, http.answers(direction));
                    followed.chunk(direction, chunk, sink);
                    *self = Self::FastCgi(Box::new(followed));
                }
            }
        }
    }

    /// A direction ended.
    pub fn end(&mut self, direction: Direction, end: End, sink: &mut impl FnMut(HttpEvent)) {
        match self {
            Self::Http(http) => http.end(direction, end, sink),
            Self::FastCgi(fastcgi) => fastcgi.end(direction, end, sink),
        }
    }

    /// What was told about this direction may be wrong, or something of it is missing.
    pub fn lost(&mut self, direction: Direction, sink: &mut impl FnMut(HttpEvent)) {
        match self {
            Self::Http(http) => http.lost(direction, sink),
            Self::FastCgi(fastcgi) => fastcgi.lost(direction, sink),
        }
    }

    /// Position up to which the payload of a direction is of no interest.
    #[must_use]
    pub fn skip_until(&self, direction: Direction) -> Option<u64> {
        match self {
            Self::Http(http) => http.skip_until(direction),
            Self::FastCgi(fastcgi) => fastcgi.skip_until(direction),
        }
    }

    /// Whether something was asked and answered of which nobody knows what it was.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Http(http) if http.is_unknown())
    }

    /// Which way requests travel, if known.
    #[must_use]
    pub fn requests(&self) -> Option<Direction> {
        match self {
            Self::Http(http) => http.requests(),
            Self::FastCgi(fastcgi) => Some(fastcgi.requests()),
        }
    }
}
