//! What a finding rests on.

use proptest::prelude::*;

use super::steps::{Story, steps};
use super::*;

/// Beside the steps of requests, and the time.
#[derive(Clone, Copy, Debug)]
enum Besides {
    Nothing,
    Wait(u64),
    /// Turns are watched from now on, or not.
    Watch(bool),
    /// A request is answered in a turn that is not seen.
    Unseen(u64),
    EndProcess,
}

fn besides() -> impl Strategy<Value = Besides> {
    prop_oneof![
        6 => Just(Besides::Nothing),
        3 => (0_u64..2_000_000_000).prop_map(Besides::Wait),
        1 => any::<bool>().prop_map(Besides::Watch),
        1 => (100_u64..200).prop_map(Besides::Unseen),
        1 => prop_oneof![20 => Just(Besides::Nothing), 1 => Just(Besides::EndProcess)],
    ]
}

/// A loop that is known to answer requests in their own turns.
fn known() -> Loop {
    let mut l = Loop::new();
    for request in 5_000..5_100 {
        l.serves(request, |l| l.answers(request));
    }
    l
}

struct Rested {
    at: Execution,
    found: Finding,
    rest: Rest,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// As long as a rest holds, what was found is found again.
    #[test]
    fn what_rests_stays_as_it_was_found(
        steps in steps(),
        besides in prop::collection::vec((besides(), prop::option::of(900_u64..1_100)), 120),
        is_known: bool,
    ) {
        let mut story = Story::new();
        if is_known {
            story.l = known();
        }
        let mut rested: Vec<Rested> = Vec::new();
        for ((step, next), (besides, open)) in steps.into_iter().zip(besides) {
            story.step(step, next);
            let l = &mut story.l;
            match besides {
                Besides::Nothing => {}
                Besides::Wait(nanos) => l.now += nanos,
                Besides::Watch(watched) => l.turns.watched(NODE, watched),
                Besides::Unseen(request) => {
                    let time = l.time();
                    l.turns.answered(NODE, Seq(request), None, time, Seq(1_000));
                }
                Besides::EndProcess => l.turns.process_ended(NODE),
            }
            let now = Now {
                time: KernelNanos(l.now),
                oldest_open: open.map(Seq),
            };
            let holds = |rest: &Rest| rest.holds(now.time, l.turns.changes(), || now.oldest_open);
            for Rested { at, found, rest } in &rested {
                if holds(rest) {
                    let again = l.turns.owner(NODE, *at, now, &mut Rest::none());
                    prop_assert_eq!(again, *found, "{:?} of {:?}", rest, at);
                }
            }
            for (at, _) in story.truth.iter().rev().take(20) {
                let mut rest = Rest::unlimited();
                let found = l.turns.owner(NODE, *at, now, &mut rest);
                if !found.settled && holds(&rest) {
                    rested.push(Rested { at: *at, found, rest });
                }
            }
        }
    }
}

#[test]
fn what_an_id_says_rests_for_a_second() {
    let mut l = known();
    let mut id = 0;
    l.serves(1, |l| id = l.id());
    let line = l.works(0, 0);
    l.answers(1);
    let answered = l.now;
    l.end(id);
    let now = |nanos: u64| Now {
        time: KernelNanos(answered + nanos),
        oldest_open: None,
    };
    let mut rest = Rest::unlimited();
    let found = l.turns.owner(NODE, line, now(50), &mut rest);
    assert_eq!(found.owner, Owner::Answered(Seq(1)));
    assert!(!found.settled);
    let holds = |l: &Loop, nanos| rest.holds(now(nanos).time, l.turns.changes(), || None);
    assert!(holds(&l, 50) && holds(&l, OUTLIVES - 1) && !holds(&l, OUTLIVES));
    // What others do is no matter.
    for request in 2..9 {
        l.serves(request, |l| l.answers(request));
    }
    assert!(holds(&l, 50));
    // What was begun for it goes on.
    l.end(id);
    l.end(id);
    assert!(!holds(&l, 50));
    let found = l.turns.owner(NODE, line, now(50), &mut Rest::none());
    assert_eq!(found.owner, Owner::Shared);
}

#[test]
fn turns_that_are_forgotten_end_the_rest_of_what_was_found_in_them() {
    let mut l = known();
    let mut line = None;
    l.serves(1, |l| line = Some(l.works(0, 0)));
    let now = Now {
        time: KernelNanos(l.now),
        oldest_open: Some(Seq(1)),
    };
    let line = line.unwrap();
    let ask = |l: &Loop, rest: &mut Rest| l.turns.owner(NODE, line, now, rest);
    let mut rest = Rest::unlimited();
    let found = ask(&l, &mut rest);
    assert_eq!(
        (found.owner, found.settled),
        (Owner::Answered(Seq(1)), false)
    );
    let mut forgotten = false;
    for n in 0..40_000 {
        l.end(TIMERS);
        let again = ask(&l, &mut Rest::none());
        forgotten = again != found;
        if rest.holds(now.time, l.turns.changes(), || now.oldest_open) {
            assert_eq!(again, found, "after {n}");
        } else if !forgotten {
            rest = Rest::unlimited();
            ask(&l, &mut rest);
        }
    }
    assert!(forgotten);
}

#[test]
fn a_connection_that_an_id_turns_out_to_be_ends_the_rest_of_what_the_id_said() {
    let mut l = known();
    let mut id = 0;
    l.serves(1, |l| id = l.id());
    let line = l.works(id, 0);
    l.end(TIMERS);
    let now = Now {
        time: KernelNanos(l.now),
        oldest_open: Some(Seq(1)),
    };
    let mut rest = Rest::unlimited();
    let found = l.turns.owner(NODE, line, now, &mut rest);
    assert_eq!(
        (found.owner, found.settled),
        (Owner::Answered(Seq(1)), false)
    );
    let holds = |l: &Loop| rest.holds(now.time, l.turns.changes(), || now.oldest_open);
    l.serves(2, |_| ());
    assert!(holds(&l));
    l.read(2);
    l.end(id);
    assert!(!holds(&l));
    let found = l.turns.owner(NODE, line, now, &mut Rest::none());
    assert_eq!(found.owner, Owner::Unknown);
}
