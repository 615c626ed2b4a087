//! Log lines: the writes to one log, cut into events, per thread.

mod continuation;
mod holes;
mod text;
mod thread;

use hashbrown::HashMap;
use memchr::memchr;

use self::holes::{Follows, Holes};
use self::text::TextCheck;
use self::thread::Thread;
use super::moved::By;
use super::{LogLine, Moved};
use crate::ids::{KernelNanos, Tid};
use crate::stream::Chunk;
use crate::text::lossy;

/// An event longer than this is cut, in bytes.
const MAX_LINE: usize = 16 << 10;
/// Threads with unfinished lines per log.
const MAX_THREADS: usize = 64;
/// A line without its end is told after this time, in nanoseconds.
const IDLE_NANOS: u64 = 500_000_000;
/// A thread about which only a doubt is remembered is forgotten after this time, in nanoseconds.
const DOUBT_NANOS: u64 = 60_000_000_000;
/// A call of at least this many bytes that ends amid a line flushed a buffer.
const FLUSH_BYTES: u64 = 1024;
/// Calls that all ended with a line's end after which the next one is believed to do so.
const TRUSTED_CALLS: u32 = 16;

/// Cuts what is written to one log (one open file description) into events.
///
/// Lines of different threads may interleave; each thread's calls are assembled on their own. One
/// system call's continuation lines (stack traces, pretty-printed JSON) are merged with the line
/// before them. After a loss, an event whose beginning or end may be missing is told as
/// [`LogLine::cut`]. Blank lines are not events.
#[derive(Debug, Default)]
pub struct Lines {
    threads: HashMap<Tid, Thread>,
    holes: Holes,
    text: TextCheck,
    /// Calls so far.
    writes: u64,
    /// Calls in a row from the first one that ended with a line's end; `None` after one that did not.
    whole_calls: WholeCalls,
    flushes: bool,
}

/// What is known about where the log's calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WholeCalls {
    /// So many calls all ended with a line's end.
    All(u32),
    /// Some ended amid a line.
    Not,
}

impl Default for WholeCalls {
    fn default() -> Self {
        Self::All(0)
    }
}

impl Lines {
    /// A log to which nothing was written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A log whose writer is known to flush buffers.
    #[must_use]
    pub fn flushed() -> Self {
        Self {
            flushes: true,
            ..Self::default()
        }
    }

    /// Whether its writer was seen to flush a buffer.
    #[must_use]
    pub fn flushes(&self) -> bool {
        self.flushes
    }

    /// Whether this is a log at all. After a few calls in a row that wrote binary data it is not:
    /// final, and nothing more is told about it.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !self.text.is_binary()
    }

    /// Whether something that was written was no text, and so is not told.
    #[must_use]
    pub fn has_binary(&self) -> bool {
        self.text.has_binary()
    }

    /// Takes bytes that were written; `more`: another piece of the same system call follows.
    pub fn write(&mut self, chunk: &Chunk<'_>, more: bool, sink: &mut impl FnMut(LogLine)) {
        if self.text.is_binary() {
            return;
        }
        let by = By::of(chunk);
        match self.holes.follow(chunk) {
            Follows::InOrder => {}
            Follows::AfterHole => self.interrupt_all(sink),
            Follows::Again => self.interrupt(chunk.tid, sink),
        }
        self.in_order(chunk, more, by, sink);
    }

    fn in_order(&mut self, chunk: &Chunk<'_>, more: bool, by: By, sink: &mut impl FnMut(LogLine)) {
        let bytes = &chunk.bytes[..chunk.bytes.len().min(chunk.len as usize)];
        let cut = chunk.len as usize > bytes.len();
        let mut thread = self.threads.remove(&chunk.tid);
        let in_call = thread.as_ref().is_some_and(|t| t.in_call);
        if !in_call && !bytes.is_empty() && !self.text.look(bytes) {
            // Whatever the thread had begun does not go on with this.
            if let Some(mut thread) = thread {
                thread.interrupt(sink);
            }
            if self.text.is_binary() {
                self.threads = HashMap::new();
            }
            return;
        }
        if !in_call {
            self.writes += 1;
            if thread.is_none() && !more && !cut && self.one_line(bytes, by, sink) {
                return;
            }
        }
        let doubtful = thread.is_none() && self.may_lack_its_beginning(bytes, cut, more, by.time);
        let thread = thread.get_or_insert_default();
        if doubtful {
            thread.doubt();
        }
        if !in_call {
            thread.begin_call(self.writes);
        }
        self.piece(thread, bytes, cut, more, by, sink);
        if thread.matters() {
            let thread = std::mem::take(thread);
            self.remember(chunk.tid, thread, sink);
        }
    }

    /// The time is now `now`: tells lines whose end did not come. Call it every 100 ms or so.
    pub fn flush(&mut self, now: KernelNanos, sink: &mut impl FnMut(LogLine)) {
        for tid in self.tids() {
            let Some(thread) = self.threads.get_mut(&tid) else {
                continue;
            };
            let idle = now.since(thread.last);
            if idle >= IDLE_NANOS && thread.is_pending() {
                thread.complete(sink);
            }
            if idle >= DOUBT_NANOS || !thread.matters() {
                self.threads.remove(&tid);
            }
        }
    }

    /// The thread ended: so does its last line.
    pub fn end_thread(&mut self, tid: Tid, sink: &mut impl FnMut(LogLine)) {
        if let Some(mut thread) = self.threads.remove(&tid) {
            thread.complete(sink);
        }
    }

    /// The log was closed, or watching ends.
    pub fn end(&mut self, sink: &mut impl FnMut(LogLine)) {
        for tid in self.tids() {
            self.end_thread(tid, sink);
        }
    }

    /// Something that was written was not told, or not as it was.
    pub fn lost(&mut self, now: KernelNanos, sink: &mut impl FnMut(LogLine)) {
        self.holes.lost(now);
        self.interrupt_all(sink);
    }

    /// Most calls write one line: no state is needed for that. Whether this one did.
    fn one_line(&mut self, bytes: &[u8], by: By, sink: &mut impl FnMut(LogLine)) -> bool {
        if memchr(b'\n', bytes) != bytes.len().checked_sub(1)
            || bytes.is_empty()
            || bytes.len() > MAX_LINE
            || self.is_hole_near(by.time)
        {
            return false;
        }
        self.call_ended(true, bytes.len() as u64);
        let line = bytes.trim_ascii_end();
        if !line.is_empty() {
            let line = &bytes[..bytes.len() - 1];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            sink(LogLine {
                text: lossy(line),
                cut: false,
                moved: Moved::began(by),
                batched: self.flushes,
                write: self.writes,
            });
        }
        true
    }

    fn piece(
        &mut self,
        thread: &mut Thread,
        bytes: &[u8],
        cut: bool,
        more: bool,
        by: By,
        sink: &mut impl FnMut(LogLine),
    ) {
        thread.last = by.time;
        thread.call_bytes = thread.call_bytes.saturating_add(bytes.len() as u64);
        thread.flushes = self.flushes;
        thread.bytes(bytes, by, sink);
        if cut {
            thread.interrupt(sink);
            if more || !self.ends_calls_with_lines() {
                thread.doubt();
            }
        }
        if more {
            return;
        }
        if !cut && thread.call_bytes > 0 {
            self.call_ended(bytes.ends_with(b"\n"), thread.call_bytes);
            thread.flushes = self.flushes;
        }
        thread.end_call(sink);
    }

    fn call_ended(&mut self, with_line: bool, bytes: u64) {
        self.whole_calls = match self.whole_calls {
            WholeCalls::All(n) if with_line => WholeCalls::All(n.saturating_add(1)),
            _ => WholeCalls::Not,
        };
        self.flushes |= !with_line && bytes >= FLUSH_BYTES;
    }

    fn ends_calls_with_lines(&self) -> bool {
        matches!(self.whole_calls, WholeCalls::All(n) if n >= TRUSTED_CALLS)
    }

    fn is_hole_near(&self, now: KernelNanos) -> bool {
        !self.ends_calls_with_lines() && self.holes.is_near(now)
    }

    /// A thread of which nothing is remembered may go on with a line whose beginning nobody saw:
    /// after a hole, or because its first call seen flushed a buffer.
    fn may_lack_its_beginning(
        &self,
        bytes: &[u8],
        cut: bool,
        more: bool,
        now: KernelNanos,
    ) -> bool {
        let flushed = !self.flushes
            && !cut
            && !more
            && bytes.len() as u64 >= FLUSH_BYTES
            && !bytes.ends_with(b"\n");
        flushed || self.is_hole_near(now)
    }

    fn interrupt(&mut self, tid: Tid, sink: &mut impl FnMut(LogLine)) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.interrupt(sink);
            thread.doubt();
        }
    }

    fn interrupt_all(&mut self, sink: &mut impl FnMut(LogLine)) {
        for tid in self.tids() {
            self.interrupt(tid, sink);
        }
    }

    /// Threads with unfinished lines, in an order that does not depend on hashing.
    fn tids(&self) -> Vec<Tid> {
        let mut tids: Vec<_> = self.threads.keys().copied().collect();
        tids.sort_unstable();
        tids
    }

    fn remember(&mut self, tid: Tid, thread: Thread, sink: &mut impl FnMut(LogLine)) {
        if self.threads.len() >= MAX_THREADS
            && let Some(oldest) = self
                .threads
                .iter()
                .min_by_key(|(tid, thread)| (thread.last, **tid))
                .map(|(tid, _)| *tid)
            && let Some(mut oldest) = self.threads.remove(&oldest)
        {
            oldest.interrupt(sink);
        }
        self.threads.insert(tid, thread);
    }
}

#[cfg(test)]
mod tests;
