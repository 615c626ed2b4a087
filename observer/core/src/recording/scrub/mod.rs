//! Keeps secrets out of recordings: the values of header fields that are known to hold them are
//! overwritten, byte for byte, so that everything else keeps its place and a replay says the same.
//!
//! Each direction of each connection is followed line by line, since a line may come in several
//! records: bytes that are sent again after a short write, and bytes behind a gap, are judged by
//! what is known of the line that they are in.

mod line;
mod names;
mod params;

use std::collections::VecDeque;
use std::mem::offset_of;
use std::num::NonZeroUsize;

use line::Line;
use lru::LruCache;
use observer_abi::{self as abi, class, data_flag, kind};
use params::Params;

use crate::record::payload_at;

/// Directions that are followed at once; of one that was forgotten, a line begins with its next record.
const MAX_STREAMS: usize = 16_384;

/// Secret lines behind the current one that a stream may go back to.
const MAX_SECRETS: usize = 8;

/// Overwrites secrets in the records of one recording.
#[derive(Debug)]
pub(super) struct Scrubber {
    streams: LruCache<(u64, bool), Stream>,
}

/// One direction of a connection.
#[derive(Debug)]
struct Stream {
    /// Position behind the last byte that was moved.
    next: u64,
    /// Whether the last bytes before that were not captured.
    cut: bool,
    line: Line,
    /// The last secret lines before it, with their ends.
    secrets: VecDeque<(Line, u64)>,
    /// Nothing is known of what lies before.
    since: u64,
    /// It carries FastCGI, whose requests have no lines.
    params: Option<Params>,
}

impl Default for Scrubber {
    fn default() -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(MAX_STREAMS).expect("not zero");
        Self {
            streams: LruCache::sparse(LIMIT),
        }
    }
}

impl Scrubber {
    /// Overwrites secrets in a record as the kernel wrote it, if it holds bytes of a connection.
    pub(super) fn scrub(&mut self, record: &mut [u8]) {
        let byte = |at: usize| record.get(at).copied().unwrap_or(0);
        let of_connection = byte(offset_of!(abi::Header, kind)) == kind::DATA
            && matches!(
                byte(offset_of!(abi::Data, class)),
                class::TCP4 | class::TCP6 | class::UNIX
            );
        let payload_at = payload_at(byte(offset_of!(abi::Header, abi)));
        let written = byte(offset_of!(abi::Header, flags)) & data_flag::WRITE != 0;
        let (Some(file), Some(pos), Some(len)) = (
            long(record, offset_of!(abi::Data, file)),
            long(record, offset_of!(abi::Data, pos)),
            word(record, offset_of!(abi::Data, len)),
        ) else {
            return;
        };
        if let Some(payload) = record.get_mut(payload_at..).filter(|_| of_connection) {
            let stream = self.streams.get_or_insert_mut((file, written), || {
                Stream::begin(pos, payload, len as usize)
            });
            stream.go_on(pos, u64::from(len), payload);
        }
    }
}

impl Stream {
    /// One of which `bytes` are the first that were seen, of `len` that were moved.
    fn begin(pos: u64, bytes: &[u8], len: usize) -> Self {
        Self {
            params: Params::new(bytes, len),
            ..Self::new(pos)
        }
    }

    fn new(pos: u64) -> Self {
        Self {
            next: pos,
            cut: false,
            line: Line::new(pos),
            secrets: VecDeque::new(),
            since: pos,
            params: None,
        }
    }

    /// `len` bytes were moved from `pos` on, of which the first are `bytes`.
    fn go_on(&mut self, pos: u64, len: u64, bytes: &mut [u8]) {
        let (next, captured) = (self.next, bytes.len() as u64);
        if let Some(params) = &mut self.params {
            if pos != next {
                params.jump(pos.checked_sub(next));
            }
            params.go_on(bytes, len);
            if captured < len {
                params.jump(Some(len - captured));
            }
            self.next = pos.saturating_add(len);
            return;
        }
        if pos < self.next {
            self.go_back(pos);
        } else if pos > self.next || self.cut {
            self.skip(pos, bytes);
        }
        let (mut pos, end, captured) = (pos, pos.saturating_add(len), bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (len, ended) = self.line.go_on(pos, rest);
            pos = pos.saturating_add(len as u64);
            rest = &mut rest[len..];
            if ended {
                self.end_line(pos);
            }
        }
        self.next = end;
        self.cut = captured < len;
    }

    fn end_line(&mut self, end: u64) {
        let line = std::mem::replace(&mut self.line, Line::new(end));
        self.line.clone_from(&line.next(end));
        if line.is_secret() {
            self.secrets.push_back((line, end));
        }
        if self.secrets.len() > MAX_SECRETS
            && let Some((_, end)) = self.secrets.pop_front()
        {
            self.since = end;
        }
    }

    /// Bytes from `pos` on are sent again.
    fn go_back(&mut self, pos: u64) {
        if pos < self.since {
            *self = Self::new(pos);
        } else if pos < self.line.start {
            let within = |(line, end): &&(Line, u64)| line.start <= pos && pos < *end;
            let secret = self
                .secrets
                .iter()
                .find(within)
                .map(|(line, _)| line.clone());
            self.line = secret.unwrap_or_else(|| Line::plain(pos));
            self.secrets
                .retain(|(line, _)| line.start < self.line.start);
        }
        self.line.go_back(pos);
        self.cut = false;
    }

    /// What lies before `pos` was not captured. A secret whose end was not seen goes on, unless a
    /// message begins here.
    fn skip(&mut self, pos: u64, bytes: &[u8]) {
        if !self.line.is_secret() || begins_message(bytes) {
            *self = Self::new(pos);
        }
    }
}

/// Whether the first line of `bytes` is that of a request or response.
fn begins_message(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    const VERSION: &[u8] = b"HTTP/1.";
    line.starts_with(VERSION)
        || line
            .windows(VERSION.len() + 1)
            .any(|part| part == b" HTTP/1.")
}

fn long(record: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?))
}

fn word(record: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
