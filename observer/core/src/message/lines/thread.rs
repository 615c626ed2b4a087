//! The lines of one thread: calls in, events out.

use memchr::memchr;

use super::MAX_LINE;
use super::continuation::Shape;
use crate::ids::KernelNanos;
use crate::message::moved::{By, Span, same};
use crate::message::{LogLine, Moved};
use crate::text::lossy;

/// What a thread has written that is not an event yet.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// The line in progress.
    line: Vec<u8>,
    line_cut: bool,
    line_span: Span,
    /// The line in progress was begun by a call with other events, or shares the one that goes on.
    line_batched: bool,
    /// The event in progress, which the next line may go on with.
    event: Option<Event>,
    /// Events begun by the call in progress.
    events: u32,
    /// Where the next line begins is not known.
    unsure: bool,
    /// Number of the call in progress or of the last one.
    pub write: u64,
    /// A call is in progress: more of its pieces follow.
    pub in_call: bool,
    /// Bytes of the call in progress.
    pub call_bytes: u64,
    /// When the thread wrote last.
    pub last: KernelNanos,
    /// The log's writer flushes buffers.
    pub flushes: bool,
}

#[derive(Debug)]
struct Event {
    text: Vec<u8>,
    cut: bool,
    moved: Moved,
    batched: bool,
    shape: Shape,
}

impl Thread {
    /// Something is pending or must be remembered.
    pub fn matters(&self) -> bool {
        self.in_call || self.unsure || self.is_pending()
    }

    /// Text waits for its end.
    pub fn is_pending(&self) -> bool {
        self.event.is_some() || self.line_span.moved().is_some()
    }

    /// The next line may lack its beginning.
    pub fn doubt(&mut self) {
        self.unsure = true;
    }

    /// A call begins.
    pub fn begin_call(&mut self, write: u64) {
        self.write = write;
        self.in_call = true;
        self.call_bytes = 0;
        self.events = u32::from(self.event.is_some());
    }

    /// Bytes of the call.
    pub fn bytes(&mut self, bytes: &[u8], by: By, sink: &mut impl FnMut(LogLine)) {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            self.line_span.add(by);
            if self.line.is_empty() {
                self.line_ends(&rest[..end], sink);
            } else {
                self.gather(&rest[..end]);
                let line = std::mem::take(&mut self.line);
                self.line_ends(&line, sink);
            }
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            self.line_span.add(by);
            self.gather(rest);
        }
    }

    /// The call is over.
    pub fn end_call(&mut self, sink: &mut impl FnMut(LogLine)) {
        self.in_call = false;
        let in_line = self.line_span.moved().is_some();
        if in_line {
            let goes_on = self
                .event
                .as_ref()
                .is_some_and(|event| event.shape.clone().goes_on(&self.line));
            if goes_on {
                return;
            }
            self.line_batched |= self.event.is_some();
        }
        self.emit(in_line || self.events > 1, sink);
    }

    /// What follows does not go on with what is pending, whose end is missing.
    pub fn interrupt(&mut self, sink: &mut impl FnMut(LogLine)) {
        self.line_cut = true;
        self.tell_all(sink);
    }

    /// What is pending is all there will be, as far as can be known.
    pub fn complete(&mut self, sink: &mut impl FnMut(LogLine)) {
        let in_line = self.line_span.moved().is_some();
        self.tell_all(sink);
        self.unsure |= in_line;
    }

    fn tell_all(&mut self, sink: &mut impl FnMut(LogLine)) {
        if self.line_span.moved().is_some() {
            let line = std::mem::take(&mut self.line);
            self.line_ends(&line, sink);
        }
        self.line_cut = false;
        self.emit(self.events > 1, sink);
    }

    fn gather(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.line_cut |= bytes.len() > room;
    }

    fn line_ends(&mut self, line: &[u8], sink: &mut impl FnMut(LogLine)) {
        let cut = std::mem::take(&mut self.line_cut) | std::mem::take(&mut self.unsure);
        let batched = std::mem::take(&mut self.line_batched);
        let moved = self.line_span.moved();
        self.line_span.clear();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(moved) = moved else { return };
        if line.trim_ascii().is_empty() && !cut {
            return;
        }
        if let Some(event) = &mut self.event
            && event.shape.goes_on(line)
        {
            return event.add(line, cut, moved);
        }
        self.emit(true, sink);
        self.events += 1;
        self.event = Some(Event::begin(line, cut, moved, batched));
    }

    fn emit(&mut self, batched: bool, sink: &mut impl FnMut(LogLine)) {
        if let Some(event) = self.event.take() {
            sink(LogLine {
                text: lossy(&event.text),
                cut: event.cut,
                moved: event.moved,
                batched: batched | event.batched | self.flushes,
                write: self.write,
            });
        }
    }
}

impl Event {
    fn begin(line: &[u8], cut: bool, moved: Moved, batched: bool) -> Self {
        Self {
            text: line[..line.len().min(MAX_LINE)].to_vec(),
            cut: cut | (line.len() > MAX_LINE),
            moved,
            batched,
            shape: Shape::of(line),
        }
    }

    fn add(&mut self, line: &[u8], cut: bool, moved: Moved) {
        let room = MAX_LINE.saturating_sub(self.text.len() + 1);
        if room > 0 {
            self.text.push(b'\n');
            self.text.extend_from_slice(&line[..line.len().min(room)]);
        }
        self.cut |= cut | (line.len() > room);
        self.moved.one_thread &= moved.one_thread && self.moved.tid == moved.tid;
        self.moved.tid = moved.tid;
        self.moved.time = moved.time;
        self.moved.nonblocking |= moved.nonblocking;
        self.moved.one_execution &=
            moved.one_execution && same(self.moved.execution, moved.execution);
    }
}
