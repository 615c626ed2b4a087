//! What futexes are for: a thread waits for different things at different ones.
//!
//! In the Java virtual machine a thread is parked at one futex, while it waits for a result among others, and
//! waits for monitors at another. That a lock is released just after a response was read, while
//! another thread waits for it, happens by chance; at a futex that is for locks it is the exception.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::ids::Tgid;

/// Futexes that are remembered.
const MAX_WORDS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Plain ends of tasks after which a futex is known.
const MIN_PLAIN: u32 = 3;

/// Of so many plain ends of tasks one may look like the release of a lock.
const LOCKED: u32 = 3;

/// A condition variable of glibc uses two words in turn, `pthread_cond_t.__g_signals`.
const ALIGNED: u64 = !7;

/// For what the futexes of all processes are used.
#[derive(Debug)]
pub(super) struct Words(LruCache<(Tgid, u64), Word>);

/// For what threads that serve requests were woken at a futex.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    /// By a thread that had done a task, while they waited from before its last call, and that was not held up.
    plain: u32,
    /// By a thread that had got a response while they waited, at any rate.
    ends: u32,
    /// By another one.
    locks: u32,
}

impl Default for Words {
    fn default() -> Self {
        Self(LruCache::sparse(MAX_WORDS))
    }
}

impl Words {
    /// A thread that had done a task woke one that waited there; `plain` if it hardly was a lock.
    pub(super) fn end(&mut self, tgid: Tgid, word: u64, plain: bool) {
        let word = self.word(tgid, word);
        word.ends = word.ends.saturating_add(1);
        word.plain = word.plain.saturating_add(u32::from(plain));
    }

    /// Another one did.
    pub(super) fn lock(&mut self, tgid: Tgid, word: u64) {
        let word = self.word(tgid, word);
        word.locks = word.locks.saturating_add(1);
    }

    /// Whether threads wait there for tasks to end; `plain` if that is what it looks like anyhow.
    pub(super) fn is_for_ends(&self, tgid: Tgid, word: u64, plain: bool) -> bool {
        let word = self.0.peek(&(tgid, word & ALIGNED));
        word.is_some_and(|word| {
            let usual = word.ends <= word.plain.saturating_mul(2);
            let locked = word.locks.saturating_mul(LOCKED) > word.plain;
            usual && !locked && (plain || word.plain >= MIN_PLAIN)
        })
    }

    fn word(&mut self, tgid: Tgid, word: u64) -> &mut Word {
        self.0
            .get_or_insert_mut((tgid, word & ALIGNED), Word::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_futex_is_for_what_it_is_mostly_used_for() {
        let (tgid, mut words) = (Tgid(7), Words::default());
        assert!(!words.is_for_ends(tgid, 64, true), "nothing is known of it");
        words.end(tgid, 64, true);
        assert!(
            words.is_for_ends(tgid, 68, true),
            "the other half of a pair"
        );
        assert!(!words.is_for_ends(tgid, 64, false), "not known well enough");
        words.lock(tgid, 68);
        assert!(!words.is_for_ends(tgid, 64, true), "as often a lock");
        (0..2).for_each(|_| words.end(tgid, 64, true));
        assert!(words.is_for_ends(tgid, 64, false));
        (0..4).for_each(|_| words.end(tgid, 64, false));
        assert!(
            !words.is_for_ends(tgid, 64, true),
            "mostly after the response"
        );
        assert!(!words.is_for_ends(Tgid(8), 64, true), "of another process");
    }
}
