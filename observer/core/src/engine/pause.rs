//! Times in which system calls are not observed.
//!
//! A pause is blindness of known bounds. What was under way when it began ends unseen, and so does everything that is known of
//! descriptions: afterwards they come under other identities, as when a watch begins. Nothing that happened on both sides of it is
//! linked, and nothing is concluded from what did not happen in it; that is not counted as lost.

use std::mem;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::files::Description;
use super::{MAX_LOGS, Stages};
use crate::ids::KernelNanos;
use crate::message::lines::Lines;
use crate::record::{Event, File};

/// Whether system calls are observed.
#[derive(Debug)]
pub(super) struct Pauses {
    /// They are not, since then.
    since: Option<KernelNanos>,
    /// What is observed stands for so many times the time that it lasts.
    every: u32,
    /// Inodes of logs whose writers flush buffers, which makes lines batched: that is not to be found out anew after each pause.
    flushed: LruCache<u64, ()>,
}

impl Default for Pauses {
    fn default() -> Self {
        const LOGS: NonZeroUsize = NonZeroUsize::new(MAX_LOGS).expect("not zero");
        Self {
            since: None,
            every: 1,
            flushed: LruCache::sparse(LOGS),
        }
    }
}

impl Pauses {
    /// Whether a record can't be believed: it is of a call that the pause cut off.
    pub(super) fn cuts_off(&self, event: &Event<'_>) -> bool {
        let of_call = matches!(
            event,
            Event::File(_) | Event::Data(_) | Event::Short(_) | Event::Close { .. }
        );
        of_call && self.since.is_some()
    }

    /// A description, with the share that its exchanges stand for: of connections, and of the time.
    pub(super) fn weigh<'a>(&self, file: &File<'a>) -> File<'a> {
        File {
            keep: (file.keep / self.every).max(1),
            ..*file
        }
    }

    /// What is known of a log that comes up, by its inode.
    pub(super) fn lines(&self, ino: u64) -> Lines {
        match self.flushed.contains(&ino) {
            true => Lines::flushed(),
            false => Lines::new(),
        }
    }
}

impl Stages {
    /// System calls are not observed from `since` on. Ends and forgets what can't be followed any more.
    pub(super) fn pause(&mut self, since: KernelNanos) {
        self.now = self.now.max(since);
        self.pauses.since = Some(since);
        self.attributor.paused(since);
        let mut events = mem::take(&mut self.events);
        self.exchanges.pause(since, &mut |e| events.push(e));
        self.exchange_events(events);
        self.cut_lines(since);
        for file in self.files.forget() {
            self.attributor.closed(file);
        }
    }

    /// What was begun of lines is told as cut.
    fn cut_lines(&mut self, since: KernelNanos) {
        let mut cut = Vec::new();
        for (file, log) in self.logs.iter_mut() {
            let mut lines = Vec::new();
            log.lines.lost(since, &mut |line| lines.push(line));
            cut.push((*file, log.tgid, log.fd, lines));
            let ino = self.files.get(*file).map(Description::ino);
            if let Some(ino) = ino.filter(|_| log.lines.flushes()) {
                self.pauses.flushed.push(ino, ());
            }
        }
        self.logs.clear();
        for (file, tgid, fd, mut lines) in cut {
            self.log_lines(&mut lines, tgid, file, fd);
        }
    }

    /// They are observed again after `until`, and what is then stands for `every` times as much.
    pub(super) fn resume(&mut self, until: KernelNanos, every: u32) {
        self.now = self.now.max(until);
        self.pauses.every = every.max(1);
        self.attributor.resumed(until);
        if let Some(since) = self.pauses.since.take() {
            self.teller.paused(until.since(since), self.pauses.every);
        }
    }
}
