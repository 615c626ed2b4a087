//! Threads that wait for futexes: who woke them, and only where that is asked for and certain.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use observer_core::{
    engine::Feedback,
    record::{Class, Event, Record, Woke},
};

use crate::support::{Seen, in_steps, observe, wait_for_feedback};

/// Rounds of the workload, after the probes were told.
const ROUNDS: u32 = 2_000;

/// Two threads wake each other in turn at futexes of their own, and three contend for one lock.
fn wake_each_other() {
    let words = Arc::new([const { AtomicU32::new(0) }; 2]);
    let other = {
        let words = Arc::clone(&words);
        std::thread::spawn(move || {
            (0..ROUNDS).for_each(|_| {
                wait(&words[0]);
                wake(&words[1]);
            })
        })
    };
    for _ in 0..ROUNDS {
        wake(&words[0]);
        wait(&words[1]);
    }
    other.join().unwrap();
    let lock = Arc::new(std::sync::Mutex::new(0_u32));
    let contend = || {
        let lock = Arc::clone(&lock);
        std::thread::spawn(move || (0..ROUNDS).for_each(|_| *lock.lock().unwrap() += 1))
    };
    for thread in [contend(), contend(), contend()] {
        thread.join().unwrap();
    }
}

/// The same, after the probes were told to tell of it.
fn after_feedback() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"hello").unwrap();
    wait_for_feedback();
    wake_each_other();
}

/// Waits until the word is not 0, and makes it 0.
fn wait(word: &AtomicU32) {
    while word.compare_exchange(1, 0, SeqCst, SeqCst).is_err() {
        // SAFETY: the word lives as long as the call; the result is looked at by the loop.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                0,
                std::ptr::null::<libc::timespec>(),
            );
        }
    }
}

fn wake(word: &AtomicU32) {
    word.store(1, SeqCst);
    // SAFETY: the word lives as long as the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
        );
    }
}

fn wakes(seen: &Seen) -> Vec<(Record<'_>, Woke)> {
    seen.decoded()
        .filter_map(|record| match record.event {
            Event::Woke(woke) => Some((record, woke)),
            _ => None,
        })
        .collect()
}

#[test]
fn who_woke_whom_is_told_of_processes_that_are_asked_for_it() {
    let seen = in_steps(after_feedback, Class::Pipe, |capture, tgid, _| {
        capture.apply(Feedback::Wakes(tgid));
    });
    let Some(seen) = seen else {
        return;
    };
    let told = wakes(&seen);
    assert!(!told.is_empty());
    let mut words: Vec<u64> = told.iter().map(|(_, woke)| woke.word).collect();
    words.sort_unstable();
    words.dedup();
    // The two of the workload, and perhaps what a thread is joined by; the lock is none of them.
    assert!((2..=3).contains(&words.len()), "{words:x?}");
    for (record, woke) in told {
        assert!(woke.since <= record.time && woke.woken <= record.time);
        assert_ne!(record.tid, woke.waker);
    }
}

#[test]
fn nothing_is_told_of_processes_that_are_not() {
    let seen = observe(wake_each_other);
    assert!(seen.is_none_or(|seen| wakes(&seen).is_empty()));
}
