//! Threads that wait for a futex, and who wakes them: work is handed to the threads of a pool so, and the
//! thread that waits for its result is told so.
//!
//! What is told must be certain, and what a lock does must not be told: a futex that several threads wait
//! for at a time is left out (it can't be said which of them is woken), and so is one whose wakers wait
//! for it themselves, once that was seen often enough.

use core::cell::Cell;

use observer_abi::{
    Woke,
    control::{call, watch},
    kind,
};

use crate::{
    atomic, epoch, kept,
    maps::{PENDING, ThreadState, WORDS},
    regs::Regs,
    ring,
    thread::Thread,
};

/// `FUTEX_*` of `include/uapi/linux/futex.h`, without `FUTEX_PRIVATE_FLAG` and `FUTEX_CLOCK_REALTIME`.
const COMMAND: u64 = 0x7f;
const WAIT: u64 = 0;
const WAKE: u64 = 1;
const REQUEUE: u64 = 3;
const CMP_REQUEUE: u64 = 4;
const WAKE_OP: u64 = 5;
const WAIT_BITSET: u64 = 9;
const WAKE_BITSET: u64 = 10;

/// What the locks of glibc and of Rust's standard library hold while a thread waits for them.
const CONTENDED: u64 = 2;

/// A futex is a lock once its waker was the next to wait so often,
const MIN_CROSSED: u64 = 4;
/// and in one of so many of its waits.
const CROSSED_IN: u64 = 8;

/// [`ThreadState::flags`] of a wait: the thread was the only one.
const SOLE: u32 = 1;

/// A futex of a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WordKey {
    /// Its address.
    pub address: u64,
    /// The process.
    pub tgid: u64,
}

/// What is known of a futex.
#[repr(C)]
pub struct Word {
    /// Waits that have begun.
    begun: Cell<u64>,
    /// Waits that have ended.
    ended: Cell<u64>,
    /// Calls that woke somebody, or tried to.
    wakes: Cell<u64>,
    /// When the last of them began.
    woken: Cell<u64>,
    /// Which thread made it.
    waker: Cell<u64>,
    /// Waits of the thread that had made the call before.
    crossed: Cell<u64>,
    /// When that was counted ([`epoch`]): waits that began in another one may have ended unseen.
    epoch: Cell<u64>,
}

// SAFETY: each cell is read and written as a whole by single instructions; those that count change by
// atomic addition.
unsafe impl Sync for Word {}

impl Word {
    const fn new() -> Self {
        Self {
            begun: Cell::new(0),
            ended: Cell::new(0),
            wakes: Cell::new(0),
            woken: Cell::new(0),
            waker: Cell::new(0),
            crossed: Cell::new(0),
            epoch: Cell::new(0),
        }
    }

    fn of(key: &WordKey) -> Option<&'static Self> {
        let word = WORDS.get_ptr(key)?;
        // SAFETY: map elements live as long as the map. One that is given to another futex meanwhile makes
        // the counts disagree, so that nothing is told.
        Some(unsafe { &*word })
    }

    /// Whether it was looked at in the present epoch.
    #[inline(always)]
    fn is_of_now(&self) -> bool {
        self.epoch.get() == u64::from(epoch::now())
    }

    /// Nobody is known to wait for it, or to have woken anybody.
    #[inline(always)]
    fn begin_epoch(&self) {
        self.ended.set(self.begun.get());
        self.waker.set(0);
        self.epoch.set(u64::from(epoch::now()));
    }

    /// Whether wakers wait for it too.
    #[inline(always)]
    fn is_lock(&self) -> bool {
        let crossed = self.crossed.get();
        crossed >= MIN_CROSSED && crossed * CROSSED_IN > self.begun.get()
    }
}

/// `futex` begins. Whether it wakes a thread that is known to wait.
#[inline(never)]
pub fn begins(caller: Thread, regs: u64, state: &mut ThreadState) -> bool {
    let (mut words, address) = (Regs::room(), regs);
    let Some(regs) = words.read(address) else {
        return false;
    };
    let key = WordKey {
        address: regs.arg(0),
        tgid: caller.pid_tgid >> 32,
    };
    let command = regs.arg(1) & COMMAND;
    if caller.cell & watch::KEEPS != 0 {
        match command {
            WAIT | WAIT_BITSET => kept::waits(caller, key.address),
            WAKE | WAKE_BITSET => kept::wakes(caller, key.address),
            _ => 0,
        };
    }
    if caller.cell & watch::WAKES == 0 {
        return false;
    }
    match command {
        WAIT | WAIT_BITSET if regs.arg(2) as u32 as u64 != CONTENDED => {
            waits(caller, &key, state);
            false
        }
        WAKE | WAKE_BITSET => wakes(caller, &key, 1),
        // Who is woken by it, and by whom those are who are moved to another futex, can't be said.
        REQUEUE | CMP_REQUEUE | WAKE_OP => wakes(caller, &key, 2),
        _ => false,
    }
}

#[inline(always)]
fn waits(caller: Thread, key: &WordKey, state: &mut ThreadState) {
    let word = match Word::of(key) {
        Some(word) => word,
        None => {
            // Without room the wait is not followed.
            let _ = WORDS.insert(key, Word::new(), 0);
            let Some(word) = Word::of(key) else {
                return;
            };
            word
        }
    };
    if !word.is_of_now() {
        word.begin_epoch();
    }
    if word.waker.get() == u64::from(caller.tid()) {
        add(&word.crossed, 1);
        word.waker.set(0);
    }
    // Before others can see that somebody waits.
    state.pos = ring::now();
    add(&word.begun, 1);
    let begun = word.begun.get();
    state.call = call::FUTEX;
    state.bits = PENDING;
    state.buffer = key.address;
    state.count = begun;
    state.offered = word.wakes.get();
    state.flags = if begun.wrapping_sub(word.ended.get()) == 1 && !word.is_lock() {
        SOLE
    } else {
        0
    };
}

/// The element is written before the count, so that a waiter which sees the count sees it.
#[inline(always)]
fn wakes(caller: Thread, key: &WordKey, count: i64) -> bool {
    let Some(word) = Word::of(key) else {
        return false;
    };
    if word.begun.get() == word.ended.get() || !word.is_of_now() {
        return false;
    }
    word.waker.set(u64::from(caller.tid()));
    word.woken.set(ring::now());
    add(&word.wakes, count);
    true
}

/// A wait returns `ret`.
#[inline(never)]
pub fn returns(caller: Thread, state: &mut ThreadState, ret: i64) {
    state.bits = 0;
    let key = WordKey {
        address: state.buffer,
        tgid: caller.pid_tgid >> 32,
    };
    let Some(word) = Word::of(&key) else {
        return;
    };
    add(&word.ended, 1);
    let sole = state.flags & SOLE != 0 && word.begun.get() == state.count;
    let once = word.wakes.get().wrapping_sub(state.offered) == 1;
    let waker = word.waker.get() as u32;
    if ret != 0 || !sole || !once || waker == 0 || waker == caller.tid() {
        return;
    }
    let Some(mut entry) = ring::reserve::<Woke>() else {
        return;
    };
    let len = size_of::<Woke>() as u32;
    entry.write(Woke {
        header: ring::header(kind::WOKE, len, caller.pid_tgid, ring::now()),
        word: key.address,
        since: state.pos,
        woken: word.woken.get(),
        waker,
        reserved: 0,
    });
    entry.submit(ring::wakeup());
}

/// Adds to a count that others add to as well.
#[inline(always)]
fn add(count: &Cell<u64>, n: i64) {
    // SAFETY: an aligned field of a live map element, which is read by single instructions.
    unsafe { atomic::add(count.as_ptr(), n) };
}
