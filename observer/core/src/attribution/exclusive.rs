//! Tier 6, the exclusive interval: work that happens while only one request is in flight was done
//! for it, *if* it is not background work that merely coincided.
//!
//! Background work (timers, pollers, exporters, work that goes on after the answer) happens
//! whether or not requests are in flight. So each kind of work is counted by whether a request was
//! in flight. A kind that was ever seen without one is never attributed this way. A kind that was
//! seen `k` times, always with a request in flight, would as background work have had the chance
//! `busy^k` to do so, where `busy` is the share of the time in which requests were in flight: below
//! one in a thousand it is taken as work for requests. Work that goes on after the answer is not
//! independent of requests, so on top of that no other request may have ended just before.

use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use foldhash::fast::FixedState;
use lru::LruCache;

use crate::exchange::Begun;
use crate::ids::KernelNanos;
use crate::route::each_piece;

/// Kinds of work that are counted per process, at most.
const MAX_TEMPLATES: usize = 1_024;

/// Time without any request that must have been watched before anything is concluded, nanoseconds.
const MIN_IDLE: u64 = 1_000_000_000;

/// Fewer occurrences prove nothing, however idle the process is.
const MIN_SEEN: u32 = 3;

/// Chance of taking background work for a request's.
const MAX_CHANCE: f64 = 0.001;

/// How often a kind of work was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    with_request: u32,
    without: u32,
}

/// Busy and idle time of a process, and the kinds of its work.
#[derive(Debug)]
pub(super) struct Exclusive {
    seen: LruCache<u64, Seen>,
    busy: u64,
    idle: u64,
    changed: KernelNanos,
    in_flight: bool,
}

impl Exclusive {
    pub(super) fn new(now: KernelNanos) -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(MAX_TEMPLATES).expect("not zero");
        Self {
            seen: LruCache::sparse(LIMIT),
            busy: 0,
            idle: 0,
            changed: now,
            in_flight: false,
        }
    }

    pub(super) fn busy(&mut self, now: KernelNanos) {
        self.idle += now.since(self.changed);
        self.changed = self.changed.max(now);
        self.in_flight = true;
    }

    pub(super) fn idle(&mut self, now: KernelNanos) {
        self.busy += now.since(self.changed);
        self.changed = self.changed.max(now);
        self.in_flight = false;
    }

    pub(super) fn saw(&mut self, template: u64, with_request: bool) {
        let seen = self.seen.get_or_insert_mut(template, Seen::default);
        let count = if with_request {
            &mut seen.with_request
        } else {
            &mut seen.without
        };
        *count = count.saturating_add(1);
    }

    /// Whether this kind of work was ever seen without a request, or is no longer remembered.
    pub(super) fn is_background(&self, template: u64) -> bool {
        self.seen
            .peek(&template)
            .is_none_or(|seen| seen.without > 0)
    }

    /// How often this kind of work was seen, if that proves that it is done for requests.
    pub(super) fn proof(&self, template: u64) -> Option<u32> {
        let seen = self.seen.peek(&template)?;
        if seen.without > 0 || seen.with_request < MIN_SEEN || self.idle < MIN_IDLE {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of time needs no more precision"
        )]
        let busy = self.busy as f64 / (self.busy + self.idle) as f64;
        let chance = busy.powf(f64::from(seen.with_request));
        (chance < MAX_CHANCE).then_some(seen.with_request)
    }
}

/// The kind of a call: method, host and path without the parts that look like values.
pub(super) fn call_template(begun: &Begun) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    begun.head.method.hash(&mut hasher);
    begun.head.host.hash(&mut hasher);
    each_piece(&begun.head.target, |piece| hasher.write(piece.as_bytes()));
    hasher.finish()
}

/// The kind of a line: its first words without digits.
pub(super) fn line_template(text: &str) -> u64 {
    let mut template = Template::default();
    if text.is_ascii() {
        template.ascii(text.as_bytes());
    } else {
        let words = text.split(|c: char| !c.is_alphabetic() && !c.is_ascii_digit());
        for word in words.filter(|w| !w.bytes().any(|b| b.is_ascii_digit())) {
            template.word(&Word::of(word));
        }
    }
    template.hash
}

/// Words of a line, until they have enough letters to tell its kind.
struct Template {
    /// Of the words that ended, by their letters. A collision merely lets two kinds of one process's
    /// work count as one.
    hash: u64,
    /// Letters that are still looked at.
    left: usize,
}

/// A word of a line, as far as it was read.
#[derive(Default)]
struct Word {
    hash: u64,
    letters: usize,
}

/// As rustc's own tables take it: short, and good enough for what ends in a table that hashes again.
const FACTOR: u64 = 0x517c_c1b7_2722_0a95;

fn mix(hash: u64, more: u64) -> u64 {
    (hash.rotate_left(5) ^ more).wrapping_mul(FACTOR)
}

/// What a byte of ASCII is to a line's words: [`LETTER`], [`DIGIT`] or [`OTHER`].
static SIGNS: [u8; 256] = signs();

const OTHER: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;

const fn signs() -> [u8; 256] {
    let mut signs = [OTHER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphabetic() {
            signs[byte as usize] = LETTER;
        } else if byte.is_ascii_digit() {
            signs[byte as usize] = DIGIT;
        }
        byte += 1;
    }
    signs
}

impl Default for Template {
    fn default() -> Self {
        const LETTERS: usize = 64;
        Self {
            hash: 0,
            left: LETTERS,
        }
    }
}

impl Word {
    fn of(letters: &str) -> Self {
        let mut word = Self::default();
        letters.bytes().for_each(|letter| word.letter(letter));
        word
    }

    fn letter(&mut self, letter: u8) {
        self.hash = self.hash.wrapping_mul(FACTOR).wrapping_add(letter.into());
        self.letters += 1;
    }
}

impl Template {
    fn word(&mut self, word: &Word) {
        if word.letters > 0 && self.left > 0 {
            self.hash = mix(mix(self.hash, word.hash), word.letters as u64);
            self.left = self.left.saturating_sub(word.letters);
        }
    }

    /// Takes the words of a text of ASCII letters; what has digits in it is none.
    fn ascii(&mut self, text: &[u8]) {
        let mut bytes = text.iter();
        let mut word = Word::default();
        while let Some(byte) = bytes.next() {
            match SIGNS[usize::from(*byte)] {
                LETTER => word.letter(*byte),
                DIGIT => {
                    word = Word::default();
                    bytes.find(|byte| SIGNS[usize::from(**byte)] == OTHER);
                }
                _ => {
                    self.word(&std::mem::take(&mut word));
                    if self.left == 0 {
                        return;
                    }
                }
            }
        }
        self.word(&word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_do_not_matter_and_words_do() {
        let kind = line_template("2026-01-01 INFO order 17 done, total=12.50");
        assert_eq!(
            kind,
            line_template("2025-12-31 INFO order a1b2 done, total=3")
        );
        assert_ne!(
            kind,
            line_template("2026-01-01 INFO order 17 lost, total=12.50")
        );
        assert_ne!(line_template("ab c"), line_template("a bc"));
    }

    proptest! {
        #[test]
        fn ascii_is_read_as_any_text(text in "[a-c0-1 .]{0,40}([a-z]{30} ){0,3}[a-z0-9 ]{0,9}") {
            let mut words = Template::default();
            for word in text.split(|c: char| !c.is_alphanumeric()) {
                if !word.bytes().any(|b| b.is_ascii_digit()) {
                    words.word(&Word::of(word));
                }
            }
            prop_assert_eq!(line_template(&text), words.hash);
        }
    }
}
