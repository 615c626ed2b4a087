//! The requests of one connection that are not answered yet.

use super::answer::Answer;
use super::params;
use super::record::{FIXED_BODY, Header, Kind, Piece};
use crate::message::moved::{By, Span};
use crate::message::{Moved, RequestHead};

/// Name-value pairs of one request, in bytes; web servers send no more than a few KiB.
const MAX_PARAMS: usize = 64 << 10;

/// Requests of one connection whose pairs are not complete, at most: memory is `MAX_PARAMS` for each.
const MAX_BEGINNING: usize = 4;

/// Requests of one connection that wait for their answer, at most. Known servers take one at a time.
const MAX_ASKED: usize = 256;

/// The flag by which the client keeps the connection (specification §5.1, `FCGI_KEEP_CONN`).
const KEEP: u8 = 1;

/// A request whose pairs are not complete.
#[derive(Debug)]
struct Beginning {
    id: u16,
    /// Position of its first byte.
    at: u64,
    keep: bool,
    /// Bytes of `FCGI_BEGIN_REQUEST`'s content so far.
    body: u16,
    params: Vec<u8>,
    span: Span,
}

/// A request that was told, and waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    id: u16,
    keep: bool,
    pub answer: Answer,
    pub response: Span,
}

/// A record that can't stand where it does, or more than is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

/// Requests in the order in which they were told, and those that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    beginning: Vec<Beginning>,
    asked: Vec<Asked>,
}

impl Requests {
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.beginning.is_empty()
    }

    pub fn has(&self, id: u16) -> bool {
        self.asked.iter().any(|a| a.id == id)
    }

    /// Whether what comes of an answer says nothing any more.
    pub fn has_answer(&self, id: u16) -> bool {
        self.asked
            .iter()
            .find(|a| a.id == id)
            .is_none_or(|a| matches!(a.answer, Answer::Over))
    }

    /// A request begins. Returns whether others are given up for it: too many, or its number is in use,
    /// so that an end was missed.
    pub fn begins(&mut self, id: u16, piece: Piece<'_>, at: u64, span: Span) -> bool {
        let going_on = |b: &&mut Beginning| b.id == id && b.body < FIXED_BODY;
        if let Some(begun) = self.beginning.iter_mut().find(going_on) {
            begun.span = span;
            begun.begin(piece.content);
            return false;
        }
        let in_use = self.has(id) || self.beginning.iter().any(|b| b.id == id);
        let full = self.beginning.len() == MAX_BEGINNING || self.asked.len() == MAX_ASKED;
        if in_use || full {
            *self = Self::default();
        }
        let mut begun = Beginning {
            id,
            at,
            keep: false,
            body: 0,
            params: Vec::new(),
            span,
        };
        begun.begin(piece.content);
        self.beginning.push(begun);
        in_use || full
    }

    /// A piece of a request's pairs; the last record of them is empty, and makes the request known.
    pub fn params(
        &mut self,
        id: u16,
        piece: Piece<'_>,
        by: By,
    ) -> Result<Option<(RequestHead, Moved)>, Unfit> {
        let Some(nth) = self.beginning.iter().position(|b| b.id == id) else {
            // It began unseen.
            return Ok(None);
        };
        let begun = &mut self.beginning[nth];
        begun.span.add(by);
        if piece.header.len > 0 {
            if begun.params.len() + piece.content.len() > MAX_PARAMS {
                return Err(Unfit);
            }
            begun.params.extend_from_slice(piece.content);
            return Ok(None);
        }
        let begun = self.beginning.remove(nth);
        let head = params::request(begun.at, &begun.params).ok_or(Unfit)?;
        let moved = begun.span.moved().ok_or(Unfit)?;
        self.asked.push(Asked {
            id,
            keep: begun.keep,
            answer: Answer::default(),
            response: Span::default(),
        });
        Ok(Some((head, moved)))
    }

    /// The request of a number, and its place among those that wait, oldest first.
    pub fn asked(&mut self, id: u16) -> Option<(usize, &mut Asked)> {
        self.asked.iter_mut().enumerate().find(|(_, a)| a.id == id)
    }

    /// Takes out the request at a place.
    pub fn remove(&mut self, nth: usize) -> Asked {
        self.asked.remove(nth)
    }

    /// Whether the connection ends with the answer to the one request that is open.
    pub fn is_last(&self) -> bool {
        self.beginning.is_empty() && matches!(self.asked[..], [Asked { keep: false, .. }])
    }

    /// Takes out the only request.
    pub fn sole(&mut self) -> Option<Asked> {
        self.is_last().then(|| self.asked.pop()).flatten()
    }

    /// Bytes of the only answer moved that are not looked at; `by` whom, if that is known.
    pub fn went_on(&mut self, by: Option<By>) {
        if let Some(asked) = self.asked.first_mut() {
            asked.answer.missed();
            asked.moved(by);
        }
    }

    /// Content of an answer's record was not seen.
    pub fn missed(&mut self, record: Header, by: Option<By>) {
        if let Some((_, asked)) = self.asked(record.id) {
            if record.kind == Kind::Stdout {
                asked.answer.missed();
            }
            asked.moved(by);
        }
    }
}

impl Beginning {
    /// Takes content of `FCGI_BEGIN_REQUEST`: two bytes of the role, then the flags.
    fn begin(&mut self, content: &[u8]) {
        if let Some(flags) = 2usize
            .checked_sub(usize::from(self.body))
            .and_then(|at| content.get(at))
        {
            self.keep = flags & KEEP != 0;
        }
        let len = u16::try_from(content.len()).unwrap_or(FIXED_BODY);
        self.body = self.body.saturating_add(len);
    }
}

impl Asked {
    fn moved(&mut self, by: Option<By>) {
        match by {
            Some(by) => self.response.add(by),
            None => self.response.add_unseen(),
        }
    }
}
