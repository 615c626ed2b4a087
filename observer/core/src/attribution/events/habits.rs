//! Which requests are always followed by a line, and in which log.
//!
//! A line after an answer may be another request's: of one whose time ran out right then, where the log of
//! the answered one is off or kept in a buffer. So a line counts only in a log in which there is
//! one after each answer to such a request, and only the first there.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ids::{Seq, Tgid};

/// Kinds of requests whose lines are counted, over all processes, and logs that they have lines in.
const MAX_KINDS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Answers after which a habit is known.
const MIN_ANSWERS: u32 = 5;

/// Of so many answers one may be without a line.
const ALLOWED: u32 = 20;

/// Counts are halved when they reach this, so that what is long past counts less.
const MAX_ANSWERS: u32 = 4_096;

/// A line, the first in its log after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Logged {
    pub(super) request: Seq,
    pub(super) route: u64,
    /// Names the log.
    pub(super) log: u64,
}

/// How often answers were followed by lines.
#[derive(Debug)]
pub(super) struct Habits {
    answers: LruCache<(Tgid, u64), u32>,
    lines: LruCache<(Tgid, u64, u64), u32>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            answers: LruCache::sparse(MAX_KINDS),
            lines: LruCache::sparse(MAX_KINDS),
        }
    }
}

impl Habits {
    pub(super) fn answered(&mut self, tgid: Tgid, route: u64) {
        let answers = self.answers.get_or_insert_mut((tgid, route), || 0);
        *answers += 1;
        if *answers == MAX_ANSWERS {
            *answers /= 2;
            for ((of, kind, _), lines) in &mut self.lines {
                if (*of, *kind) == (tgid, route) {
                    *lines /= 2;
                }
            }
        }
    }

    pub(super) fn logged(&mut self, tgid: Tgid, line: Logged) {
        let lines = self
            .lines
            .get_or_insert_mut((tgid, line.route, line.log), || 0);
        *lines = lines.saturating_add(1);
    }

    pub(super) fn holds(&self, tgid: Tgid, line: &Logged) -> Option<bool> {
        let answers = self.answers.peek(&(tgid, line.route)).copied();
        let answers = answers.filter(|n| *n >= MIN_ANSWERS)?;
        let lines = self.lines.peek(&(tgid, line.route, line.log)).copied();
        let missing = answers.saturating_sub(lines.unwrap_or(0));
        Some(missing * ALLOWED <= answers.max(ALLOWED))
    }
}
