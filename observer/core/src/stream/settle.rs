//! Holds back writes until it is known how much of them moved.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::ids::{FileId, KernelNanos, Tid};
use crate::record::{self, Bounds, DecodeError, Event, Record};

/// How long a write is held back at most, in nanoseconds. A call that could not block returns within
/// microseconds; one that blocks longer than this is told as it was offered.
const HOLD_NANOS: u64 = 20_000_000;
/// Bytes held back at most.
const MAX_BYTES: usize = 8 << 20;
/// Records held back at most.
const MAX_RECORDS: usize = 1 << 15;
/// Released bytes at the front of the arena that are worth moving the rest for.
const COMPACT_BYTES: usize = 256 << 10;
/// Threads remembered before those with nothing held back are forgotten.
const MAX_THREADS: usize = 4096;
/// No earlier record of the same call.
const NONE: u64 = u64::MAX;

/// The front stage: records go in and come out in the same order, corrected.
///
/// Writes are reported when they *begin*, with the bytes offered. If fewer moved, a `Short` record
/// of the same thread follows when the call returns. So the records of a written call are held back
/// until the same thread's next record shows that the call is over, and then are told complete or,
/// if that record is the `Short`, truncated. Whatever comes behind a held record waits too.
///
/// A `Short` that corrects everything is consumed. One that comes too late (after 20 ms of record
/// or tick time, or after a bound was reached) or that does not fit is passed on: what was told
/// of its stream may be wrong.
#[derive(Debug, Default)]
pub struct Settle {
    bytes: Vec<u8>,
    /// Start of the first entry's bytes.
    head: usize,
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    open: HashMap<Tid, Open>,
    now: KernelNanos,
}

/// A held record.
#[derive(Debug)]
struct Entry {
    bytes: u32,
    time: KernelNanos,
    settled: bool,
    /// Bytes that the data record offered.
    offered: u32,
    /// Of these, bytes that did not move.
    missing: u32,
    /// Number of the record before it in the same call.
    previous: u64,
}

/// A written call whose end is not known yet.
#[derive(Debug)]
struct Open {
    /// Number of its last record.
    last: u64,
    file: FileId,
    /// Position after its last record.
    end: u64,
    /// More records of the call follow.
    more: bool,
}

/// A record whose fate is known.
#[derive(Clone, Copy, Debug)]
pub struct Released<'a> {
    /// As the kernel wrote it.
    pub raw: &'a [u8],
    /// Bytes at the end of a written data record that did not move after all.
    pub missing: u32,
}

impl<'a> Released<'a> {
    /// The record, without the bytes that did not move; a write that moved nothing has length 0.
    ///
    /// # Errors
    ///
    /// As [`record::decode`].
    pub fn decode(&self) -> Result<Record<'a>, DecodeError> {
        let mut decoded = record::decode(self.raw);
        if self.missing > 0
            && let Ok(Record {
                event: Event::Data(data),
                ..
            }) = &mut decoded
        {
            data.len = data.len.saturating_sub(self.missing);
            data.payload = &data.payload[..data.payload.len().min(data.len as usize)];
        }
        decoded
    }
}

impl Settle {
    /// Takes one record as the kernel wrote it; hands out what became certain by it.
    pub fn push(&mut self, raw: &[u8], sink: &mut impl FnMut(Released<'_>)) {
        let mut entry = Entry {
            bytes: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            time: self.now,
            settled: true,
            offered: 0,
            missing: 0,
            previous: NONE,
        };
        if let Some(data) = record::bounds(raw) {
            self.came(data.time, &mut entry);
            if data.begins_write {
                self.open_call(&data, &mut entry);
            } else {
                self.close_call(data.tid);
            }
        } else if let Ok(record) = record::decode(raw) {
            self.came(record.time, &mut entry);
            match &record.event {
                Event::Short(short) => {
                    if self.shorten(record.tid, short) {
                        return self.drain(sink);
                    }
                }
                _ => self.close_call(record.tid),
            }
        }
        self.drain(sink);
        if entry.settled && self.entries.is_empty() {
            sink(Released { raw, missing: 0 });
            return;
        }
        self.bytes.extend_from_slice(raw);
        self.entries.push_back(entry);
        self.drain(sink);
    }

    /// The time is now `now`: hands out what was held back too long.
    pub fn tick(&mut self, now: KernelNanos, sink: &mut impl FnMut(Released<'_>)) {
        self.now = self.now.max(now);
        self.drain(sink);
        // A burst's memory is given back step by step.
        if self.bytes.len() < self.bytes.capacity() / 8 && self.bytes.capacity() > COMPACT_BYTES {
            self.bytes.shrink_to(self.bytes.capacity() / 2);
        }
    }

    /// Hands out everything as it stands.
    pub fn finish(&mut self, sink: &mut impl FnMut(Released<'_>)) {
        while !self.entries.is_empty() {
            self.release_front(sink);
        }
        self.open.clear();
    }

    fn came(&mut self, time: KernelNanos, entry: &mut Entry) {
        self.now = self.now.max(time);
        entry.time = time;
    }

    /// A written record: the thread's call goes on, or its last one is over and a new one begins.
    fn open_call(&mut self, data: &Bounds, entry: &mut Entry) {
        let number = self.first + self.entries.len() as u64;
        let end = data.pos.saturating_add(u64::from(data.len));
        entry.settled = false;
        entry.offered = data.len;
        let next = Open {
            last: number,
            file: data.file,
            end,
            more: data.more,
        };
        match self.open.insert(data.tid, next) {
            Some(last) if last.more && last.file == data.file => entry.previous = last.last,
            Some(last) => self.settle(last.last),
            None => self.forget_idle_threads(),
        }
    }

    /// Any other record of a thread: its last call is over, and moved all that it offered.
    fn close_call(&mut self, tid: Tid) {
        if let Some(open) = self.open.remove(&tid) {
            self.settle(open.last);
        }
    }

    /// Takes the missing bytes off the end of the thread's last call; whether that was possible.
    fn shorten(&mut self, tid: Tid, short: &record::Short) -> bool {
        let Some(open) = self.open.remove(&tid) else {
            return false;
        };
        // Otherwise records of the call were lost, or other threads wrote meanwhile.
        let fits = open.file == short.file
            && short.pos.checked_add(u64::from(short.missing)) == Some(open.end);
        let mut missing = short.missing;
        let mut number = open.last;
        while fits
            && missing > 0
            && let Some(entry) = self.entry(number)
        {
            entry.missing = missing.min(entry.offered);
            missing -= entry.missing;
            number = entry.previous;
        }
        self.settle(open.last);
        fits && missing == 0
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let index = number.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    /// Marks the records of a call as certain, from its last one back.
    fn settle(&mut self, last: u64) {
        let mut number = last;
        while let Some(entry) = self.entry(number) {
            entry.settled = true;
            number = entry.previous;
        }
    }

    #[inline]
    fn drain(&mut self, sink: &mut impl FnMut(Released<'_>)) {
        while self.is_due() {
            self.release_front(sink);
        }
    }

    /// Whether the record that comes next need not wait any longer.
    #[inline]
    fn is_due(&self) -> bool {
        self.entries.front().is_some_and(|front| {
            front.settled
                || self.now.since(front.time) >= HOLD_NANOS
                || self.entries.len() > MAX_RECORDS
                || self.bytes.len() - self.head > MAX_BYTES
        })
    }

    fn release_front(&mut self, sink: &mut impl FnMut(Released<'_>)) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        let end = self.head + entry.bytes as usize;
        sink(Released {
            raw: &self.bytes[self.head..end],
            missing: entry.missing,
        });
        self.first += 1;
        self.head = end;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head >= COMPACT_BYTES && self.head >= self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// Threads whose last record was lost would stay forever.
    fn forget_idle_threads(&mut self) {
        if self.open.len() > MAX_THREADS && self.open.len() > 2 * self.entries.len() {
            let first = self.first;
            self.open.retain(|_, open| open.last >= first);
        }
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
