//! Lines that a process only relays: what it reads from the pipe of another process and writes on, as
//! PHP-FPM's master does with what its workers print. They are told once, of who wrote them first.
//!
//! The bytes decide. A line counts as relayed when the process has read from the pipe that the same line
//! was written to, and writes it afterwards; as it was, or in the words in which PHP-FPM reports it. Where
//! the writer is not watched nothing is relayed, and the line is of the process that is.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lru::LruCache;

use crate::ids::{KernelNanos, Tgid};

/// Pipes that are followed at once.
const PIPES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Processes that read from them, at most.
const READERS: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// Lines that a process has still to relay, at most; the oldest is forgotten first.
const MAX_LINES: usize = 1_024;

/// The same for a pipe of which it is not known who reads it.
const MAX_UNREAD: usize = 64;

/// How long a line is expected to be relayed, nanoseconds. Relays do it at once.
const PATIENCE: u64 = 10_000_000_000;

/// What is known about relays.
#[derive(Debug)]
pub(super) struct Relays {
    /// By inode number.
    pipes: LruCache<u64, Pipe>,
    readers: LruCache<Tgid, Reader>,
}

#[derive(Debug, Default)]
struct Pipe {
    reader: Option<Tgid>,
    /// Lines that were written before it was known who reads.
    unread: VecDeque<(KernelNanos, u64)>,
    /// When something was written before that, and left out.
    unseen: Option<KernelNanos>,
}

#[derive(Debug, Default)]
struct Reader {
    /// Lines that were written to its pipes.
    expected: Lines,
    /// Of those, the ones that it has written on, and that were not told yet.
    relayed: Lines,
    /// When something was written to its pipes that is left out.
    unseen: Option<KernelNanos>,
}

/// Lines by their fingerprints, oldest first.
#[derive(Debug, Default)]
struct Lines {
    order: VecDeque<(KernelNanos, u64)>,
    counts: HashMap<u64, u32>,
}

impl Default for Relays {
    fn default() -> Self {
        Self {
            pipes: LruCache::sparse(PIPES),
            readers: LruCache::sparse(READERS),
        }
    }
}

impl Relays {
    /// A process wrote to its log, which is the pipe `pipe` if it is one.
    pub(super) fn wrote(&mut self, tgid: Tgid, pipe: Option<u64>, bytes: &[u8], time: KernelNanos) {
        if let Some(reader) = self.readers.get_mut(&tgid) {
            reader.expected.expire(time);
            for line in whole_lines(bytes) {
                if let Some(print) = reader.expected.named(&line) {
                    reader.expected.take(print);
                    reader.relayed.push(time, fingerprint(&line));
                }
            }
        }
        if let Some(pipe) = pipe {
            let pipe = self.pipes.get_or_insert_mut(pipe, Pipe::default);
            let reader = pipe.reader.filter(|reader| *reader != tgid);
            let reader = reader.and_then(|reader| self.readers.get_mut(&reader));
            let prints = whole_lines(bytes).map(|line| (time, fingerprint(&line)));
            match reader {
                Some(reader) => prints.for_each(|(time, print)| reader.expected.push(time, print)),
                None => {
                    pipe.unread.extend(prints);
                    let excess = pipe.unread.len().saturating_sub(MAX_UNREAD);
                    pipe.unread.drain(..excess);
                }
            }
        }
    }

    /// A process wrote to its log something that is left out; the log is the pipe `pipe` if it is one.
    pub(super) fn left_out(&mut self, tgid: Tgid, pipe: Option<u64>, time: KernelNanos) {
        let Some(pipe) = pipe else { return };
        let pipe = self.pipes.get_or_insert_mut(pipe, Pipe::default);
        let reader = pipe.reader.filter(|reader| *reader != tgid);
        match reader.and_then(|reader| self.readers.get_mut(&reader)) {
            Some(reader) => reader.unseen = Some(time),
            None => pipe.unseen = Some(time),
        }
    }

    /// A process read from a pipe.
    pub(super) fn read(&mut self, tgid: Tgid, pipe: u64) {
        let pipe = self.pipes.get_or_insert_mut(pipe, Pipe::default);
        pipe.reader = Some(tgid);
        let reader = self.readers.get_or_insert_mut(tgid, Reader::default);
        for (time, print) in std::mem::take(&mut pipe.unread) {
            reader.expected.push(time, print);
        }
        reader.unseen = reader.unseen.max(pipe.unseen.take());
    }

    /// Whether an event that `tgid` logged is nothing but relayed lines, or may be lines that were left out where they were
    /// written first; asked once for each.
    pub(super) fn is_relayed(&mut self, tgid: Tgid, text: &str, time: KernelNanos) -> bool {
        let Some(reader) = self.readers.peek_mut(&tgid) else {
            return false;
        };
        let lines = || text.split('\n').map(|line| fingerprint(end(line)));
        let relayed = lines().all(|print| reader.relayed.has(print));
        if relayed {
            lines().for_each(|print| reader.relayed.take(print));
        }
        relayed
            || reader
                .unseen
                .is_some_and(|unseen| time.since(unseen) < PATIENCE)
    }
}

impl Lines {
    fn push(&mut self, time: KernelNanos, print: u64) {
        if self.order.len() == MAX_LINES {
            self.forget_oldest();
        }
        self.order.push_back((time, print));
        *self.counts.entry(print).or_default() += 1;
    }

    fn has(&self, print: u64) -> bool {
        self.counts.contains_key(&print)
    }

    /// The fingerprint by which a line is among these.
    fn named(&self, line: &str) -> Option<u64> {
        let own = fingerprint(line);
        if self.has(own) {
            return Some(own);
        }
        let said = fingerprint(said(line)?);
        self.has(said).then_some(said)
    }

    /// Takes out one such line; its place in the order is given up when it comes to the front.
    fn take(&mut self, print: u64) {
        if let Some(count) = self.counts.get_mut(&print) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&print);
            }
        }
        if let Some(at) = self.order.iter().position(|(_, p)| *p == print) {
            self.order.remove(at);
        }
    }

    fn expire(&mut self, now: KernelNanos) {
        while let Some((time, _)) = self.order.front()
            && now.since(*time) > PATIENCE
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, print)) = self.order.front().copied() {
            self.take(print);
        }
    }
}

/// The lines that end within `bytes`.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    let whole = memchr::memrchr(b'\n', bytes).map_or(&bytes[..0], |at| &bytes[..at]);
    let lines = (!whole.is_empty()).then(|| whole.split(|&b| b == b'\n'));
    lines
        .into_iter()
        .flatten()
        .map(|line| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn end(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// The line of a worker that PHP-FPM's master reports (php-src, `sapi/fpm/fpm/fpm_stdio.c`,
/// `decorate_workers_output`): `… [pool www] child 7 said into stderr: "LINE"`.
fn said(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" said into std")?;
    let quoted = rest
        .strip_prefix("err: \"")
        .or_else(|| rest.strip_prefix("out: \""))?;
    quoted.strip_suffix('"')
}

fn fingerprint(line: &str) -> u64 {
    FixedState::default().hash_one(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: Tgid = Tgid(1);
    const WORKER: Tgid = Tgid(2);
    const PIPE: u64 = 77;

    fn at(seconds: u64) -> KernelNanos {
        KernelNanos(seconds * 1_000_000_000)
    }

    /// The worker writes to the pipe, the master reads it and writes `said`.
    fn relay(relays: &mut Relays, written: &str, said: &str, seconds: u64) {
        relays.wrote(WORKER, Some(PIPE), written.as_bytes(), at(seconds));
        relays.read(MASTER, PIPE);
        relays.wrote(MASTER, None, said.as_bytes(), at(seconds));
    }

    #[test]
    fn a_line_is_told_of_who_wrote_it_first() {
        let mut relays = Relays::default();
        relay(&mut relays, "one\ntwo\n", "one\ntwo\n", 1);
        assert!(!relays.is_relayed(WORKER, "one", at(1)));
        assert!(relays.is_relayed(MASTER, "two", at(1)));
        assert!(relays.is_relayed(MASTER, "one", at(1)));
        assert!(
            !relays.is_relayed(MASTER, "one", at(1)),
            "once written, once told"
        );
        relay(&mut relays, "three\n", "own\nthree\r\n", 2);
        assert!(!relays.is_relayed(MASTER, "own", at(2)));
        assert!(relays.is_relayed(MASTER, "three", at(2)));
    }

    #[test]
    fn the_words_around_it_do_not_matter() {
        let mut relays = Relays::default();
        let report = r#"[x] WARNING: [pool www] child 7 said into stderr: "a "b"""#;
        relay(&mut relays, "a \"b\"\n", &format!("{report}\n"), 1);
        assert!(relays.is_relayed(MASTER, report, at(1)));
    }

    #[test]
    fn an_event_of_several_lines_is_relayed_as_a_whole_or_not() {
        let mut relays = Relays::default();
        relay(&mut relays, "a\n  b\n", "a\n  b\n  c\n", 1);
        assert!(!relays.is_relayed(MASTER, "a\n  b\n  c", at(1)));
        assert!(relays.is_relayed(MASTER, "a\n  b", at(1)));
    }

    #[test]
    fn what_was_written_before_it_was_read_or_long_ago_is_nobodys() {
        let mut relays = Relays::default();
        relays.wrote(MASTER, None, b"early\n", at(1));
        relays.wrote(WORKER, Some(PIPE), b"early\nlate\n", at(1));
        relays.read(MASTER, PIPE);
        assert!(!relays.is_relayed(MASTER, "early", at(1)));
        relays.wrote(MASTER, None, b"late\n", at(12));
        assert!(!relays.is_relayed(MASTER, "late", at(12)));
    }

    #[test]
    fn what_may_have_been_left_out_where_it_was_written_first_is_nobodys() {
        let mut relays = Relays::default();
        relays.left_out(WORKER, Some(PIPE), at(1));
        relays.read(MASTER, PIPE);
        assert!(relays.is_relayed(MASTER, "unknown", at(1)));
        assert!(!relays.is_relayed(MASTER, "own", at(12)));
        relays.left_out(WORKER, Some(PIPE), at(20));
        assert!(relays.is_relayed(MASTER, "unknown", at(21)));
        assert!(!relays.is_relayed(WORKER, "seen", at(21)));
    }

    #[test]
    fn a_process_does_not_relay_to_itself() {
        let mut relays = Relays::default();
        relays.wrote(WORKER, Some(PIPE), b"x\n", at(1));
        relays.read(WORKER, PIPE);
        relays.wrote(WORKER, Some(PIPE), b"x\n", at(1));
        relays.wrote(WORKER, Some(PIPE), b"y\n", at(1));
        assert!(!relays.is_relayed(WORKER, "y", at(1)));
    }

    #[test]
    fn lines_that_nobody_relays_do_not_pile_up() {
        let mut relays = Relays::default();
        let write = |relays: &mut Relays| {
            for n in 0..3 * MAX_LINES {
                relays.wrote(WORKER, Some(PIPE), format!("{n}\n").as_bytes(), at(1));
            }
        };
        write(&mut relays);
        relays.read(MASTER, PIPE);
        let expected = |relays: &Relays| {
            let expected = &relays.readers.peek(&MASTER).unwrap().expected;
            (expected.order.len(), expected.counts.len())
        };
        assert_eq!(expected(&relays), (MAX_UNREAD, MAX_UNREAD));
        write(&mut relays);
        assert_eq!(expected(&relays), (MAX_LINES, MAX_LINES));
    }
}
