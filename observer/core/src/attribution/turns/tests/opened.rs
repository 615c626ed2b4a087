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

pub(super) fn told(l: &Loop, at: Execution, file: u64) -> Option<u64> {
    settled(
        l.turns
            .caller(NODE, at, FileId(file), later(l.now), &mut Rest::none()),
    )
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
    assert!(
        !l.turns
            .caller(NODE, calls[0], FileId(11), now, &mut Rest::none())
            .settled
    );
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
fn calls_in_parallel_are_told_with_the_one_from_which_the_answer_follows() {
    let mut l = Loop::new();
    let mut handles = [0; 3];
    l.serves(1, |l| handles = [l.id(), l.id(), l.id()]);
    let calls = loaded(&mut l, &[11, 12, 13]);
    let mut line = None;
    responds(&mut l, 11, handles[0], |l| line = Some(l.works(0, 0)));
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    responds(&mut l, 13, handles[2], |_| {});
    assert_eq!(told(&l, calls[0], 11), Some(1));
    assert_eq!(told(&l, calls[1], 12), Some(1));
    assert_eq!(l.owner(line.unwrap()), Some(1));
    // Nobody waited for the last one.
    assert_eq!(told(&l, calls[2], 13), None);
}

#[test]
fn those_of_other_turns_are_not() {
    // Opened in another turn of the request.
    let mut l = Loop::new();
    let (mut first, mut second) = (0, 0);
    l.serves(1, |l| {
        first = l.id();
        l.calls(21);
    });
    l.resumes(21, |l| second = l.id());
    let calls = loaded(&mut l, &[11, 12]);
    responds(&mut l, 11, first, |_| {});
    responds(&mut l, 12, second, |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), Some(1));

    // Written in another turn of none.
    let mut l = Loop::new();
    let mut handles = [0; 2];
    l.serves(1, |l| handles = [l.id(), l.id()]);
    let early = loaded(&mut l, &[11]);
    let late = loaded(&mut l, &[12]);
    responds(&mut l, 11, handles[0], |_| {});
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, early[0], 11), None);
    assert_eq!(told(&l, late[0], 12), Some(1));
}

#[test]
fn of_a_turn_that_worked_for_others_each_is_on_its_own() {
    // An agent keeps a call of another request, which is written in the turn in which both connections are opened.
    let mut l = Loop::new();
    let mut kept = 0;
    l.serves(2, |l| kept = l.id());
    let mut handles = [0; 2];
    l.serves(1, |l| {
        l.calls_at(21, kept);
        handles = [l.id(), l.id()];
    });
    let calls = loaded(&mut l, &[11, 12]);
    responds(&mut l, 11, handles[0], |_| {});
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), Some(1));
}

#[test]
fn what_is_given_up_leaves_its_connection_to_others_who_are_found_out() {
    // The second request waits for a connection, and is answered when the response on it has come.
    let mut l = Loop::new();
    let mut handles = [0; 2];
    l.serves(1, |l| handles = [l.id(), l.id()]);
    l.serves(2, |_| {});
    let calls = loaded(&mut l, &[11, 12]);
    responds(&mut l, 11, handles[0], |l| l.answers(2));
    responds(&mut l, 12, handles[1], |l| l.answers(1));
    assert_eq!(told(&l, calls[0], 11), None);
    assert_eq!(told(&l, calls[1], 12), None);
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

/// Requests whose calls are made in parallel, on a connection each: the number of each one's calls.
#[derive(Clone, Debug)]
struct Burst {
    calls: Vec<usize>,
    /// The order in which responses come.
    order: Vec<usize>,
    /// Who calls on connections that others had opened, from there on, as a pool deals them.
    dealt: Vec<usize>,
    own: usize,
}

fn burst() -> impl Strategy<Value = Burst> {
    proptest::collection::vec(1..4_usize, 1..8).prop_flat_map(|calls| {
        let all: Vec<usize> = (0..calls.iter().sum()).collect();
        let most = all.len();
        let shuffled = || Just(all.clone()).prop_shuffle();
        (Just(calls), shuffled(), shuffled(), 0..=most).prop_map(|(calls, order, dealt, own)| {
            Burst {
                calls,
                order,
                dealt,
                own,
            }
        })
    })
}

/// What is told of the calls of a burst, and for whom each was made. Each request is answered when its last response has come; what comes between
/// is done by `also`, before each response.
fn play(burst: &Burst, mut also: impl FnMut(&mut Loop)) -> Vec<(Option<u64>, u64)> {
    let mut l = Loop::new();
    let (mut handles, mut openers) = (Vec::new(), Vec::new());
    for (request, calls) in (1..).zip(&burst.calls) {
        l.serves(request, |l| handles.extend((0..*calls).map(|_| l.id())));
        openers.extend(std::iter::repeat_n(request, *calls));
    }
    // Of the first few each keeps its own.
    let mut users = openers.clone();
    let rest: Vec<usize> = burst
        .dealt
        .iter()
        .copied()
        .filter(|n| *n >= burst.own)
        .collect();
    for (at, from) in (burst.own..users.len()).zip(rest) {
        users[at] = openers[from];
    }
    let files: Vec<u64> = (0..handles.len() as u64).map(|n| 100 + n).collect();
    let calls = loaded(&mut l, &files);
    let mut left: Vec<usize> = (1..)
        .zip(&burst.calls)
        .map(|(r, _)| users.iter().filter(|u| **u == r).count())
        .collect();
    for at in &burst.order {
        also(&mut l);
        let user = users[*at];
        let of = usize::try_from(user).unwrap() - 1;
        left[of] -= 1;
        responds(&mut l, files[*at], handles[*at], |l| {
            if left[of] == 0 {
                l.answers(user);
            }
        });
    }
    (0..calls.len())
        .map(|n| (told(&l, calls[n], files[n]), users[n]))
        .collect()
}

proptest! {
    /// Connections are opened for requests; who calls on them is dealt anew. Whatever is told is right, as long as each request's answer
    /// follows from its own last call.
    #[test]
    fn no_call_is_given_to_a_wrong_request(
        dealt in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        own in 0..8_usize,
    ) {
        let burst = Burst { calls: vec![1; 8], order, dealt, own };
        for (told, user) in play(&burst, |_| {}) {
            prop_assert!(told.is_none() || told == Some(user));
        }
    }

    /// However many calls requests make in parallel, and whatever else goes on meanwhile: each is told of its own request, and all are.
    #[test]
    fn calls_in_parallel_are_told_completely(burst in burst(), others in any::<bool>()) {
        let own = Burst { own: burst.order.len(), ..burst };
        let mut number = 1_000;
        let told = play(&own, |l| if others {
            number += 1;
            l.serves(number, |l| { l.calls(number + 1_000); });
            l.resumes(number + 1_000, |l| l.answers(number));
            l.end(TIMERS);
        });
        for (told, user) in told {
            prop_assert_eq!(told, Some(user));
        }
    }

    /// Where a pool deals connections anew, a request's answer that follows from another one's gives it away. (One whose last response comes on a connection of its
    /// own does not.)
    #[test]
    fn a_pool_that_deals_is_told_nothing_of_once_an_answer_shows_it(burst in burst()) {
        let told = play(&burst, |_| {});
        let mut openers = Vec::new();
        for (request, calls) in (1..).zip(&burst.calls) {
            openers.extend(std::iter::repeat_n(request, *calls));
        }
        let last = |user: u64| burst.order.iter().rev().find(|at| told[**at].1 == user);
        let shown = openers.iter().filter_map(|user| Some((*user, *last(*user)?)));
        if shown.into_iter().any(|(user, at)| openers[at] != user) {
            for (told, _) in told {
                prop_assert_eq!(told, None);
            }
        }
    }
}
