//! Threads that are kept for what is to run next, each waiting at the top of its own stack: who gives them what.

use std::{
    collections::BTreeMap,
    io::Write,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::SeqCst},
    },
};

use observer_core::{
    ids::Tid,
    record::{Class, Direction, Event},
};

use crate::support::{Seen, in_steps, observe, wait_for_feedback};

/// What two threads give to two others, after the probes were told.
const ROUNDS: u32 = 500;

/// Where the kept threads wait; and what to write once they do not.
static WORDS: [AtomicPtr<AtomicU32>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
static GIVEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
/// Whether who gave it something has woken it, too. Ruby's threads do both holding a lock that the kept one takes before it
/// goes on; so the wake that one waits for is never that of whoever gave it something before.
static WOKEN: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
static PIPE: OnceLock<std::io::PipeWriter> = OnceLock::new();

fn futex(word: *const AtomicU32, operation: i32) {
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: kept threads never leave the frames that their words are in.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            operation,
            operation & libc::FUTEX_WAKE,
            0,
        )
    };
}

fn own_id() -> u32 {
    // SAFETY: the call has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// A thread that begins here waits at the top of its stack; it writes who gave it what it does.
extern "C" fn keep(number: *mut libc::c_void) -> *mut libc::c_void {
    let number = number as usize;
    let mut word = AtomicU32::new(0);
    WORDS[number].store(&raw mut word, SeqCst);
    loop {
        while word.compare_exchange(1, 0, SeqCst, SeqCst).is_err() {
            futex(&raw const word, libc::FUTEX_WAIT);
        }
        while !WOKEN[number].swap(false, SeqCst) {
            std::thread::yield_now();
        }
        let by = GIVEN[number].load(SeqCst);
        let mut pipe = PIPE.get().unwrap();
        pipe.write_all(format!("{by} {number}").as_bytes()).unwrap();
        GIVEN[number].store(0, SeqCst);
    }
}

/// Gives both threads something to do by turns, to none before it has done the last.
fn give() {
    let id = own_id();
    for round in 0..ROUNDS {
        let number = (round % 2) as usize;
        while GIVEN[number]
            .compare_exchange(0, id, SeqCst, SeqCst)
            .is_err()
        {
            std::thread::yield_now();
        }
        let word = WORDS[number].load(SeqCst);
        // SAFETY: as above.
        unsafe { (*word).store(1, SeqCst) };
        futex(word, libc::FUTEX_WAKE);
        WOKEN[number].store(true, SeqCst);
    }
}

fn keep_and_give() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    PIPE.set(writer).unwrap();
    for (number, word) in WORDS.iter().enumerate() {
        let mut thread = 0;
        // SAFETY: the function takes a number in place of an address.
        let failed = unsafe {
            libc::pthread_create(
                &raw mut thread,
                ptr::null(),
                keep,
                number as *mut libc::c_void,
            )
        };
        assert_eq!(failed, 0);
        while word.load(SeqCst).is_null() {
            std::thread::yield_now();
        }
    }
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let givers = [std::thread::spawn(give), std::thread::spawn(give)];
    for giver in givers {
        giver.join().unwrap();
    }
    while GIVEN.iter().any(|given| given.load(SeqCst) != 0) {
        std::thread::yield_now();
    }
}

/// The same, after the probes were told to tell of it.
fn after_feedback() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"hello").unwrap();
    wait_for_feedback();
    keep_and_give();
}

fn is_told(seen: &Seen) -> bool {
    let mut records = seen.decoded();
    records.any(|record| matches!(record.event, Event::Park | Event::Reuse { .. }))
}

#[test]
fn who_gives_a_kept_thread_something_to_run_is_told() {
    let seen = in_steps(after_feedback, Class::Pipe, |capture, tgid, _| {
        capture.keep_threads(tgid);
    });
    let Some(seen) = seen else {
        return;
    };
    // By kept thread: who gave it something last, and whether it has come back since.
    let mut given: BTreeMap<Tid, (Tid, bool)> = BTreeMap::new();
    let (mut certain, mut done) = (0, 0);
    for record in seen.decoded() {
        match record.event {
            Event::Park => {
                if let Some((_, back)) = given.get_mut(&record.tid) {
                    *back = true;
                }
            }
            Event::Reuse { child: Some(child) } => {
                given.insert(child, (record.tid, false));
            }
            Event::Data(data) if data.direction == Direction::Write => {
                let text = String::from_utf8_lossy(data.payload);
                // The test's own output is written as well.
                let by = text.split_once(' ').and_then(|(by, _)| by.parse().ok());
                let Some(by) = by.map(Tid) else {
                    continue;
                };
                done += 1;
                // Unless it was given something before it had first waited.
                if let Some((giver, back)) = given.get(&record.tid) {
                    assert_eq!(*giver, by);
                    certain += u32::from(!back);
                }
            }
            _ => {}
        }
    }
    assert_eq!(done, 2 * ROUNDS);
    // A thread that is given something just as it is about to wait seems to have come back: how often is chance.
    assert!(certain > 0);
}

#[test]
fn nothing_is_told_of_processes_without_a_keep() {
    let seen = observe(keep_and_give);
    assert!(seen.is_none_or(|seen| !is_told(&seen)));
}
