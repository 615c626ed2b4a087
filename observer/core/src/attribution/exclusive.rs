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
use crate::route::route;

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
            seen: LruCache::new(LIMIT),
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
    route(&begun.head.target).hash(&mut hasher);
    hasher.finish()
}

/// The kind of a line: its first letters, without what is not a letter.
pub(super) fn line_template(text: &str) -> u64 {
    if text.is_ascii() {
        let bytes = text.as_bytes();
        return template_of(bytes.split(|b| !b.is_ascii_alphanumeric()));
    }
    let words = text.split(|c: char| !c.is_alphabetic() && !c.is_ascii_digit());
    template_of(words.map(str::as_bytes))
}

fn template_of<'t>(words: impl Iterator<Item = &'t [u8]>) -> u64 {
    const LETTERS: usize = 64;
    let mut hasher = FixedState::default().build_hasher();
    let mut left = LETTERS;
    for word in words.filter(|w| !w.is_empty() && !w.iter().any(u8::is_ascii_digit)) {
        hasher.write(word);
        hasher.write_u8(0);
        left = left.saturating_sub(word.len());
        if left == 0 {
            break;
        }
    }
    hasher.finish()
}
