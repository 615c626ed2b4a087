//! Calls in turns of none, on connections that were opened for a request.

use proptest::prelude::*;

use super::*;
use crate::ids::Tid;

/// What wakes whoever waits for what is loaded.
const LOADED: u64 = TIMERS;

/// A request that comes in, and has a connection opened: the async id of that.
fn opens(l: &mut Loop, request: u64) -> u64 {
    let mut handle = 0;
    l.serves(request, |l| handle = l.id());
    handle
}

/// A turn of none, in which calls are written on connections that were opened: where.
fn loaded(l: &mut Loop, files: &[u64]) -> Vec<Execution> {
    let calls = files.iter().map(|file| l.calls(*file)).collect();
    l.end(LOADED);
    calls
}

/// The response comes on a connection whose handle has that id.
fn responds(l: &mut Loop, file: u64, handle: u64, what: impl FnOnce(&mut Loop)) {
    l.read(file);
    what(l);
    l.end(handle);
}

fn told(l: &Loop, at: Execution, file: u64) -> Option<u64> {
    settled(l.turns.caller(NODE, at, FileId(file), later(l.now)))
}

#[test]
fn the_first_call_is_of_whoever_had_the_connection_opened() {
    let mut l = Loop::new();
    let handles = [1, 2].map(|request| opens(&mut l, request));
    let calls = loaded(&mut l, &[11, 12]);
    // Nothing is settled before the response has come.
    let now = Now {
        time: KernelNanos(l.now),
        oldest_open: None,
    };
    assert!(!l.turns.caller(NODE, calls[0], FileId(11), now).settled);
    let mut lines = Vec::new();
    responds(&mut l, 12, handles[1], |l| {
        lines.push(l.works(0, 0));
        l.answers(2);
    });
    let mut second = None;
    responds(&mut l, 11, handles[0], |l| second = Some(l.calls(12)));
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), Some(1));
    assert_eq!(told(&l, calls[1], 12), Some(2));
    assert_eq!(told(&l, second.unwrap(), 12), Some(1));
    assert_eq!(l.owner(lines[0]), Some(2));
    // Another call of that turn is none's.
    assert_eq!(told(&l, calls[0], 13), None);
}

#[test]
fn of_calls_in_parallel_the_one_is_told_from_which_the_answer_follows() {
    let mut l = Loop::new();
    let mut handles = [0; 2];
    l.serves(1, |l| handles = [l.id(), l.id()]);
    let calls = loaded(&mut l, &[11, 12]);
    responds(&mut l, 11, handles[0], |_| {});
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), Some(1));
}

#[test]
fn a_pool_that_gives_it_to_another_one_is_found_out() {
    let mut l = Loop::new();
    let handles = [1, 2].map(|request| opens(&mut l, request));
    let calls = loaded(&mut l, &[11, 12]);
    responds(&mut l, 11, handles[0], |l| l.answers(2));
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), None);
    // Nor is anything else of the process told.
    let mut call = None;
    l.serves(3, |l| call = Some(l.calls(13)));
    l.resumes(13, |l| l.answers(3));
    assert_eq!(l.owner(call.unwrap()), None);
}

#[test]
fn one_call_for_two_requests_is_of_neither() {
    for first in [1, 2] {
        let mut l = Loop::new();
        let handle = opens(&mut l, 1);
        l.serves(2, |_| {});
        let calls = loaded(&mut l, &[11]);
        responds(&mut l, 11, handle, |l| {
            l.answers(first);
            l.answers(3 - first);
        });
        assert_eq!(told(&l, calls[0], 11), None, "{first}");
    }
}

#[test]
fn a_call_of_the_background_on_it_is_nobodys() {
    let mut l = Loop::new();
    let handle = opens(&mut l, 1);
    let calls = loaded(&mut l, &[11, 12]);
    // The request had its own call made on a connection that was opened before.
    responds(&mut l, 11, handle, |_| {});
    l.resumes(12, |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), None);
}

#[test]
fn a_connection_that_is_used_again_names_nobody() {
    let mut l = Loop::new();
    let handle = opens(&mut l, 1);
    let first = loaded(&mut l, &[11]);
    responds(&mut l, 11, handle, |_| {});
    // In a turn of none again, and this time the request waits for it.
    let second = loaded(&mut l, &[11]);
    responds(&mut l, 11, handle, |l| l.answers(1));
    assert_eq!(told(&l, first[0], 11), None);
    assert_eq!(told(&l, second[0], 11), None);
}

#[test]
fn nor_does_one_that_was_used_unseen() {
    let mut l = Loop::new();
    let handle = opens(&mut l, 1);
    l.turns.watched(NODE, false);
    l.turns.unseen(NODE, Tid(7), FileId(11));
    l.turns.watched(NODE, true);
    let calls = loaded(&mut l, &[11]);
    responds(&mut l, 11, handle, |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
}

#[test]
fn nor_does_one_that_was_opened_for_none_or_for_a_request_that_is_answered() {
    let mut l = Loop::new();
    let handle = l.id();
    l.end(TIMERS);
    l.serves(1, |_| {});
    let of_none = loaded(&mut l, &[11]);
    responds(&mut l, 11, handle, |l| l.answers(1));
    assert_eq!(told(&l, of_none[0], 11), None);

    let handle = opens(&mut l, 2);
    l.resumes(2, |l| l.answers(2));
    let late = loaded(&mut l, &[12]);
    responds(&mut l, 12, handle, |_| {});
    assert_eq!(told(&l, late[0], 12), None);
}

proptest! {
    /// Connections are opened for requests; who calls on them is dealt anew. Whatever is told is right, as long as each request's answer
    /// follows from its own last call.
    #[test]
    fn no_call_is_given_to_a_wrong_request(
        dealt in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        some in 0..8_usize,
    ) {
        let mut l = Loop::new();
        let handles: Vec<u64> = (0..8).map(|n| opens(&mut l, n + 1)).collect();
        // Of the first few each keeps its own.
        let mut user: Vec<usize> = (0..8).collect();
        let rest: Vec<usize> = dealt.into_iter().filter(|n| *n >= some).collect();
        user[some..].copy_from_slice(&rest);
        let files: Vec<u64> = (0..8).map(|n| 100 + n).collect();
        let calls = loaded(&mut l, &files);
        for connection in order {
            let answers = user[connection] as u64 + 1;
            responds(&mut l, files[connection], handles[connection], |l| l.answers(answers));
        }
        for connection in 0..8 {
            let of = told(&l, calls[connection], files[connection]);
            prop_assert!(of.is_none() || of == Some(user[connection] as u64 + 1));
        }
    }
}
