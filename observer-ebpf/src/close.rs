//! Descriptors that are closed.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use observer_abi::{Close, control::call, kind};

use crate::{
    file::{OpenFile, descriptors_are_own, open_descriptors},
    maps::{ANNOUNCED, FILES},
    mem, ring,
};

/// Flags of `close_range`: with the first, the caller's descriptors become its own before they are
/// closed; with the second, they are closed when a program is executed.
const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// Descriptors that are looked at when many are closed, 64 to a word; those above are not told.
const WORDS: u32 = 1024;

/// What is done with each of many descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Step {
    /// It is told that it is closed.
    Tell = 0,
    /// What the first step noted is forgotten.
    Forget = 1,
}

/// Looks at a call that closes a descriptor of the current process: `first` is that of `close`, and
/// `second` the one that `dup2` replaces.
#[inline(never)]
pub fn run(call: u8, first: i32, second: i32) {
    let fd = match call {
        call::DUP2 if first == second || OpenFile::of(first).is_none() => return,
        call::DUP2 => second,
        _ => first,
    };
    let Some(file) = OpenFile::of(fd) else {
        return;
    };
    let Some(state) = file.known() else {
        return;
    };
    let last = file.references() == Some(1);
    if state.bits.get() & ANNOUNCED != 0 {
        send(state.id, fd, last);
    }
    if last {
        // Gone already if another thread was faster.
        let _ = FILES.remove(file.address);
    }
}

/// Looks at `close_range(first, last, flags)` of the current process.
#[inline(always)]
pub fn range(first: u32, last: u32, flags: u32) {
    let closes = flags & !CLOSE_RANGE_UNSHARE == 0 && flags & CLOSE_RANGE_CLOEXEC == 0;
    // Of descriptors that are shared and then not, all stay open elsewhere.
    if closes && (flags & CLOSE_RANGE_UNSHARE == 0 || descriptors_are_own()) {
        each(first, last);
    }
}

/// The current task ends: its descriptors go with it, unless another task has them too.
#[inline(always)]
pub fn all() {
    if descriptors_are_own() {
        each(0, u32::MAX);
    }
}

#[inline(always)]
fn each(first: u32, last: u32) {
    if walk(first, last, Step::Tell as u32) != 0 {
        walk(first, last, Step::Forget as u32);
    }
}

/// Takes a [`Step`] with each open descriptor of the current process from `first` to `last`; not 0 if
/// that leaves something to be forgotten.
///
/// A global function with numbers for arguments, as the two below: see [`send`](crate::emit::send).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk(first: u32, last: u32, step: u32) -> i32 {
    let Some((bits, size)) = open_descriptors() else {
        return 0;
    };
    let mut left = 0;
    // As few branches as can be: the verifier follows every combination of them.
    for word in 0..u64::from(WORDS) {
        if word * 64 >= u64::from(size) {
            break;
        }
        let address = bits + word * 8;
        left |= walk_word(word, address, u64::from(first), u64::from(last), step);
    }
    left
}

/// Takes a [`Step`] with each descriptor of word number `word`, which lies at `address`; as above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_word(word: u64, address: u64, first: u64, last: u64, step: u32) -> i32 {
    let open: u64 = mem::kernel(address, 0).unwrap_or(0);
    let mut left = 0;
    for bit in 0..64 {
        let fd = word * 64 + bit;
        if open >> bit == 0 {
            break;
        }
        if open >> bit & 1 != 0 && (first..=last).contains(&fd) {
            left |= one_of_many(fd as u32, step);
        }
    }
    left
}

/// Takes a [`Step`] with one descriptor of those that are closed together. Several of them may be of
/// one description: it ends with the last one. As above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn one_of_many(fd: u32, step: u32) -> i32 {
    let fd = fd as i32;
    let Some(file) = OpenFile::of(fd) else {
        return 0;
    };
    let Some(state) = file.known() else {
        return 0;
    };
    if step == Step::Forget as u32 {
        state.closing.set(0);
        return 0;
    }
    let closed = state.closing.get().saturating_add(1);
    state.closing.set(closed);
    let last = file.references() == Some(u64::from(closed));
    if state.bits.get() & ANNOUNCED != 0 {
        send(state.id, fd, last);
    }
    if last {
        let _ = FILES.remove(file.address);
    }
    i32::from(!last)
}

#[inline(always)]
fn send(file: u64, fd: i32, last: bool) {
    let Some(mut entry) = ring::reserve::<Close>() else {
        return;
    };
    let len = size_of::<Close>() as u32;
    entry.write(Close {
        header: ring::header(kind::CLOSE, len, bpf_get_current_pid_tgid(), ring::now()),
        file,
        fd,
        last: u32::from(last),
    });
    entry.submit(ring::wakeup());
}
