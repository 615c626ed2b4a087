//! Which dependent of a `CompletableFuture` a thread of Java runs: what is to be done once another future is complete.
//!
//! A dependent is an object, made by whoever wants it done, and run by any thread: a worker of the common `ForkJoinPool`, or whoever
//! completes the future. Whoever runs it clears it afterwards, so its address is kept on the stack meanwhile, by interpreted and by compiled code alike;
//! where, is not known. So the frames of Java are looked through, from the innermost on, for an object of that class of which somebody has
//! taken it upon himself to run it, and which is not cleared. Only what the machine calls frames of Java is looked at: below lies what other code has left.

use observer_abi::{control::Layout, heap as word};

use crate::{
    barrier,
    execution::java::mounted_on,
    heap::{
        HEAPS,
        objects::{CLASS, in_heap},
    },
    mem,
};

/// Words of a stack that are read at once, and how often.
const WORDS: u64 = 4;
const READS: u64 = 160;

/// What the lower half of a dependent's status is once it was claimed (`CompletableFuture.Completion.claim`).
const CLAIMED: u16 = 1;

/// The dependent that the current thread runs, whose `JavaThread` is at `thread`; 0 for none. What a virtual thread does that is mounted on it is its own.
#[inline(always)]
pub fn running(pid_tgid: u64, thread: u64) -> u64 {
    if mounted_on(pid_tgid, thread) != 0 {
        return 0;
    }
    find_dependent((pid_tgid >> 32) as u32, thread)
}

/// A global function with numbers for arguments: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_dependent(tgid: u32, thread: u64) -> u64 {
    // SAFETY: the value is a map element; userspace replaces it as a whole.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    if layout.words[word::DEPENDENT] == 0 {
        return 0;
    }
    let at = |offset: usize| mem::user::<u64>(thread.wrapping_add(layout.words[offset]));
    let (Some(frames), Some(base)) = (at(word::FRAMES), at(word::STACK)) else {
        return 0;
    };
    // 0 while it runs Java itself, or has none of its frames.
    if frames == 0 {
        return 0;
    }
    for index in 0..READS {
        let place = frames.wrapping_add(index * WORDS * 8);
        // See `find_java_thread`.
        if barrier::unknown(place) >= base {
            return 0;
        }
        let found = dependent_at(tgid, place);
        if found != 0 {
            return found;
        }
    }
    0
}

/// The first of the words at `place` that names a dependent which is being run; 0 if none does.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn dependent_at(tgid: u32, place: u64) -> u64 {
    // SAFETY: as above.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    let words: [u64; WORDS as usize] = mem::user(place).unwrap_or_default();
    for word in words {
        if in_heap(layout, word) != 0 && runs(layout, word) {
            return word;
        }
    }
    0
}

/// 1 if the object at `address` is a dependent which is being run, else 0.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn is_running(tgid: u32, address: u64) -> i32 {
    // SAFETY: as above.
    let Some(layout) = (unsafe { HEAPS.get(tgid) }) else {
        return 0;
    };
    i32::from(runs(layout, address))
}

/// In its callers, as the stack has no room for one more function below [`dependent_at`].
#[inline(always)]
fn runs(layout: &Layout, address: u64) -> bool {
    let at = |offset: usize| address.wrapping_add(layout.words[offset]);
    // First what least other objects have.
    if mem::user(at(word::STATUS)) != Some(CLAIMED) {
        return false;
    }
    let Some(named) = mem::user::<u32>(address.wrapping_add(CLASS)) else {
        return false;
    };
    let shifted = u64::from(named) << (layout.words[word::CLASS_SHIFT] & 31);
    let class = layout.words[word::CLASSES].wrapping_add(shifted);
    let above: Option<u64> = mem::user(class.wrapping_add(layout.words[word::SUPER]));
    if above != Some(layout.words[word::DEPENDENT])
        || class == layout.words[word::COMPOSE]
        || class == layout.words[word::RECOMPOSE]
    {
        return false;
    }
    // Addresses take 32 bits or more.
    let is_set = |offset| mem::user::<u32>(at(offset)).is_some_and(|written| written != 0);
    is_set(word::DEP) && is_set(word::SRC)
}
