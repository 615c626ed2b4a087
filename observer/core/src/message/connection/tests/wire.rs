//! A connection under test: sends bytes and collects events in short words.

use crate::ids::{KernelNanos, Tid};
use crate::message::connection::{Connection, Heads};
use crate::message::{HttpEvent, Moved};
use crate::record::{Direction, End};
use crate::stream::Chunk;

pub(super) const READ: Direction = Direction::Read;
pub(super) const WRITE: Direction = Direction::Write;

/// A connection whose positions and times count up by themselves.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub connection: Connection,
    heads: Heads,
    pub events: Vec<HttpEvent>,
    pos: [u64; 2],
    time: u64,
    tid: u32,
}

impl Wire {
    pub fn tid(&mut self, tid: u32) -> &mut Self {
        self.tid = tid;
        self
    }

    /// Bytes that are seen.
    pub fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.send_cut(direction, bytes, 0)
    }

    /// Bytes that are seen, and then `cut` bytes of the same call that are not.
    pub fn send_cut(&mut self, direction: Direction, bytes: &[u8], cut: u32) -> &mut Self {
        self.time += 1;
        let len = u32::try_from(bytes.len()).unwrap() + cut;
        let pos = &mut self.pos[usize::from(direction == WRITE)];
        let chunk = Chunk {
            tid: Tid(self.tid),
            time: KernelNanos(self.time),
            pos: *pos,
            len,
            bytes,
            nonblocking: false,
            execution: None,
        };
        *pos += u64::from(len);
        let events = &mut self.events;
        self.connection
            .chunk(direction, &chunk, &mut self.heads, &mut |event| {
                events.push(event);
            });
        self
    }

    /// Bytes of which no record came.
    pub fn skip(&mut self, direction: Direction, n: u64) -> &mut Self {
        self.pos[usize::from(direction == WRITE)] += n;
        self
    }

    /// The next bytes are told at an earlier position.
    pub fn rewind(&mut self, direction: Direction, n: u64) -> &mut Self {
        self.pos[usize::from(direction == WRITE)] -= n;
        self
    }

    pub fn end(&mut self, direction: Direction, end: End) -> &mut Self {
        let events = &mut self.events;
        self.connection
            .end(direction, end, &mut |event| events.push(event));
        self
    }

    pub fn lost(&mut self, direction: Direction) -> &mut Self {
        let events = &mut self.events;
        self.connection
            .lost(direction, &mut |event| events.push(event));
        self
    }

    pub fn pos(&self, direction: Direction) -> u64 {
        self.pos[usize::from(direction == WRITE)]
    }

    /// The events since the last call, in short words.
    pub fn told(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| short(&event)).collect()
    }

    /// The events since the last call.
    pub fn moved(&mut self) -> Vec<Moved> {
        self.events
            .drain(..)
            .filter_map(|event| match event {
                HttpEvent::Request { moved, .. }
                | HttpEvent::RequestEnd { moved }
                | HttpEvent::Response { moved, .. }
                | HttpEvent::ResponseEnd { moved, .. } => Some(moved),
                HttpEvent::Lost | HttpEvent::Malformed { .. } | HttpEvent::Ignored(_) => None,
            })
            .collect()
    }
}

/// An event without times and threads.
pub(super) fn short(event: &HttpEvent) -> String {
    match event {
        HttpEvent::Request {
            direction, head, ..
        } => format!("{direction:?} {} {}", head.method, head.target),
        HttpEvent::RequestEnd { .. } => "sent".into(),
        HttpEvent::Response { status, .. } => format!("{status}"),
        HttpEvent::ResponseEnd { .. } => "done".into(),
        HttpEvent::Lost => "lost".into(),
        HttpEvent::Malformed {
            message,
            flaw,
            ends,
            ..
        } => {
            let ends = if *ends { "!" } else { "" };
            format!("{message:?} {flaw:?}{ends}")
        }
        HttpEvent::Ignored(protocol) => format!("{protocol:?}"),
    }
}
