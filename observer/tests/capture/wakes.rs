//! Threads that wait for futexes: who woke them, and only where that is asked for and certain.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use observer::kernel::CaptureConfig;
use observer_core::{
    engine::Feedback,
    record::{Event, Record, Woke},
};

use crate::support::{Seen, observe_with};

/// Rounds of the workload: they go on until the probes were told, and some more.
const ROUNDS: u32 = 2_000;

/// What the workload writes first: then it is known to the capture.
const HELLO: &[u8] = b"hello\n";

/// Two threads wake each other in turn at futexes of their own, and three contend for one lock.
fn workload() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
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
    for round in 0..ROUNDS {
        if round % 100 == 0 {
            writer.write_all(HELLO).unwrap();
            let mut hello = [0; HELLO.len()];
            std::io::Read::read_exact(&mut reader, &mut hello).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
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
    let config = CaptureConfig::default();
    let seen = observe_with(config, workload, |capture, batch| {
        for record in batch
            .iter()
            .filter_map(|raw| observer_core::record::decode(raw).ok())
        {
            if matches!(record.event, Event::Data(_)) {
                capture.apply(Feedback::Wakes(record.tgid));
            }
        }
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
    let seen = observe_with(CaptureConfig::default(), workload, |_, _| {});
    assert!(seen.is_none_or(|seen| wakes(&seen).is_empty()));
}
