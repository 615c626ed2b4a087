//! Answers show which turns a request was in, and which rules hold in a process.

use super::*;

#[test]
fn a_queue_that_wakes_others_is_found_by_their_answers() {
    // Request 2 waits for a place in a pool, which the response to 1's call makes free.
    let mut l = Loop::new();
    let mut seen = Vec::new();
    l.serves(1, |l| seen.push(l.calls(11)));
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        seen.push(l.calls(12));
        l.answers(1);
    });
    l.resumes(12, |l| l.answers(2));
    for at in seen {
        assert_ne!(l.owner(at), Some(2));
    }
    // The second call is 2's; its response came after 1 was answered, so that 2 is not proven either.
    let mut l = Loop::new();
    let mut seen = Vec::new();
    l.serves(1, |l| seen.push(l.calls(11)));
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        seen.push(l.calls(12));
        l.answers(2);
        seen.push(l.calls(11));
    });
    l.resumes(11, |l| l.answers(1));
    for at in seen {
        assert_eq!(l.owner(at), None, "2 was answered in a turn of 1");
    }
}

#[test]
fn work_that_a_pool_kept_is_for_whom_it_was_kept() {
    // An agent whose connections are all busy gives the next free one to a request that waited:
    // in a tick that is triggered by the resource which kept it.
    let mut l = Loop::new();
    let (mut kept, mut given, mut line) = (0, None, None);
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |l| kept = l.id());
    l.resumes(11, |l| {
        given = Some(l.calls_at(11, kept));
        line = Some(l.works(0, 0));
        l.answers(1);
    });
    l.resumes(11, |l| l.answers(2));
    assert_eq!(
        [given, line].map(|at| l.owner(at.unwrap())),
        [Some(2), Some(1)]
    );
}

/// Request 1 goes on in a turn in which an agent also gives its connection to 2, which waited; something is kept in that turn,
/// and given a connection later. Returns the call that is made then.
fn kept_in_a_mixed_turn(l: &mut Loop) -> Execution {
    let (mut kept, mut kept_too, mut given) = (0, 0, None);
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |l| kept = l.id());
    l.resumes(11, |l| {
        l.calls_at(11, kept);
        kept_too = l.id();
    });
    l.resumes(11, |l| {
        given = Some(l.calls_at(12, kept_too));
        l.answers(2);
    });
    given.unwrap()
}

#[test]
fn whose_it_is_what_was_kept_in_a_turn_of_several_the_answer_shows() {
    let mut l = Loop::new();
    let given = kept_in_a_mixed_turn(&mut l);
    l.resumes(12, |l| l.answers(1));
    assert_eq!(l.owner(given), Some(1));

    // It may be of 2 as well, or of the background: 1 is answered elsewhere.
    let mut l = Loop::new();
    let given = kept_in_a_mixed_turn(&mut l);
    let mut line = None;
    l.resumes(12, |l| line = Some(l.works(0, 0)));
    l.resumes(1, |l| l.answers(1));
    assert_eq!([given, line.unwrap()].map(|at| l.owner(at)), [None, None]);
}

#[test]
fn a_wrong_guess_speaks_against_nobody() {
    let mut l = Loop::new();
    let mut first = None;
    l.serves(1, |l| {
        first = Some(l.works(0, 0));
        l.calls(11);
    });
    let (mut kept, mut guessed) = (0, 0);
    l.serves(2, |l| kept = l.id());
    l.serves(3, |_| {});
    l.resumes(11, |l| {
        l.calls_at(11, kept);
        guessed = l.id();
    });
    l.resumes(11, |l| {
        l.calls_at(12, guessed);
        l.answers(2);
    });
    // What was kept is 3's.
    l.resumes(12, |l| l.answers(3));
    l.resumes(1, |l| l.answers(1));
    for request in 10..60 {
        l.serves(request, |l| l.answers(request));
    }
    assert_eq!(l.owner(first.unwrap()), Some(1));
}

#[test]
fn whoever_is_answered_after_a_response_to_one_that_was_answered_shares_a_queue_with_it() {
    // 1's turn wakes 2, and 1 is answered before the response to 2's call comes.
    let mut l = Loop::new();
    let mut woken = None;
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        woken = Some(l.calls(12));
        l.answers(1);
    });
    l.resumes(12, |l| {
        l.calls(13);
    });
    l.resumes(13, |l| l.answers(2));
    let mut other = None;
    l.serves(3, |l| {
        other = Some(l.works(0, 0));
        l.answers(3);
    });
    assert_eq!([woken, other].map(|at| l.owner(at.unwrap())), [None, None]);
}

#[test]
fn work_that_was_kept_by_nobody_knows_whom_is_for_none() {
    // The same, kept in the background: its id was given out in a turn of timers.
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
    });
    let kept = l.id();
    l.end(TIMERS);
    let (mut given, mut later, mut file) = (None, None, 0);
    l.resumes(11, |l| {
        let tick = l.id();
        given = Some(l.works(tick, kept));
        file = l.id();
    });
    later.replace(l.works(0, 0));
    l.end(file);
    l.resumes(1, |l| l.answers(1));
    assert_eq!(l.owner(given.unwrap()), None);
    assert_eq!(l.owner(later.unwrap()), None, "it may wait for the file");
}

#[test]
fn a_process_that_answers_in_others_turns_is_not_believed() {
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
    });
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        l.answers(2);
        l.answers(1);
    });
    let mut early = None;
    l.serves(3, |l| {
        early = Some(l.works(0, 0));
        l.answers(3);
    });
    assert_eq!(l.owner(early.unwrap()), None);
    for request in 10..3_000 {
        l.serves(request, |l| l.answers(request));
    }
    let mut late = None;
    l.serves(3_700, |l| {
        late = Some(l.works(0, 0));
        l.answers(3_700);
    });
    assert_eq!(l.owner(late.unwrap()), Some(3_700), "long past");
}

#[test]
fn a_queue_that_background_work_shares_is_found_by_answers_in_turns_of_none() {
    // Request 1 waits for the end of a call that a timer made; the next such call for the end of 1's.
    let mut l = Loop::new();
    let mut background = None;
    l.calls(12);
    l.end(TIMERS);
    l.serves(1, |_| {});
    l.resumes(12, |l| {
        l.calls(11);
    });
    l.serves(2, |l| {
        l.calls(13);
    });
    l.resumes(11, |l| l.answers(1));
    l.resumes(13, |l| {
        background = Some(l.calls(12));
        l.answers(2);
    });
    assert_eq!(l.owner(background.unwrap()), None);
}

#[test]
fn the_first_answers_of_a_process_are_waited_for() {
    let mut l = Loop::new();
    let mut at = None;
    l.serves(1, |l| {
        at = Some(l.works(0, 0));
        l.answers(1);
    });
    let settled = |l: &Loop| {
        let time = KernelNanos(l.now + 1_000_000);
        let now = Now {
            time,
            oldest_open: None,
        };
        l.turns
            .owner(NODE, at.unwrap(), now, &mut Rest::none())
            .settled
    };
    assert!(!settled(&l));
    for request in 10..200 {
        l.serves(request, |l| l.answers(request));
    }
    assert!(settled(&l));
}

#[test]
fn nothing_is_settled_while_the_turn_of_the_answer_goes_on() {
    let mut l = Loop::new();
    let mut call = None;
    l.serves(1, |l| call = Some(l.calls(11)));
    l.read(11);
    l.answers(1);
    let found = |l: &Loop, later: u64| {
        let time = KernelNanos(l.now + later);
        let now = Now {
            time,
            oldest_open: None,
        };
        l.turns.owner(NODE, call.unwrap(), now, &mut Rest::none())
    };
    assert!(!found(&l, 1_000_000).settled);
    let lost = found(&l, 6_000_000_000);
    assert!(
        lost.settled && lost.owner == Owner::Unknown,
        "its end is lost"
    );
    l.end(HANDLE);
    assert_eq!(l.owner(call.unwrap()), Some(1));
}

#[test]
fn two_requests_or_two_connections_in_one_turn_prove_nothing() {
    let mut l = Loop::new();
    l.reads_request(1, 1);
    let at = l.at(0, 0);
    l.turns.began(NODE, FileId(1), at, Seq(2));
    let pipelined = l.works(0, 0);
    l.answers(1);
    l.answers(2);
    l.end(HANDLE);
    l.reads_request(3, 3);
    l.reads_request(4, 4);
    let mixed = l.works(0, 0);
    l.answers(3);
    l.end(HANDLE);
    assert_eq!((l.owner(pipelined), l.owner(mixed)), (None, None));
}

#[test]
fn a_read_that_is_not_reported_may_be_for_anyone() {
    let mut l = Loop::new();
    l.reads_request(1, 1);
    l.reads += 1;
    let at = l.works(0, 0);
    l.answers(1);
    l.end(HANDLE);
    assert_eq!(l.owner(at), None);
}

#[test]
fn a_lost_end_leaves_its_turn_and_its_ids_to_none() {
    let mut l = Loop::new();
    let mut file = 0;
    l.reads_request(1, 1);
    let lost = l.works(0, 0);
    file += l.id();
    l.turn += 1;
    l.reads = 0;
    l.serves(2, |_| {});
    let resumed = l.works(0, 0);
    l.end(file);
    l.resumes(1, |l| l.answers(1));
    assert_eq!((l.owner(lost), l.owner(resumed)), (None, None));
}
