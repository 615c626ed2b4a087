//! Calls on connections that may have been passed on to one that waited.

use super::opened::told;
use super::*;

/// Request 1 calls on 11, and reads the response in a turn in which `what` is done; it is answered in a turn of 12, on which it called at first, too.
fn beside_another_call(what: impl FnOnce(&mut Loop)) -> Loop {
    let mut l = Loop::new();
    l.serves(1, |l| {
        l.calls(11);
        l.calls(12);
    });
    l.resumes(11, what);
    l
}

#[test]
fn a_connection_that_is_free_again_may_be_anothers() {
    for follows in [true, false] {
        let mut call = None;
        let mut l = beside_another_call(|l| call = Some(l.calls(11)));
        l.resumes(11, |l| {
            if follows {
                l.answers(1);
            }
        });
        l.resumes(12, |l| {
            if !follows {
                l.answers(1);
            }
        });
        let expected = follows.then_some(1);
        assert_eq!(told(&l, call.unwrap(), 11), expected, "{follows}");
    }
}

#[test]
fn one_after_the_other_each_rests_on_that_before() {
    let mut calls = Vec::new();
    let mut l = beside_another_call(|l| calls.push(l.calls(11)));
    for _ in 0..3 {
        l.resumes(11, |l| calls.push(l.calls(11)));
    }
    l.resumes(12, |_| {});
    l.resumes(11, |l| l.answers(1));
    for at in calls {
        assert_eq!(told(&l, at, 11), Some(1));
    }
}

#[test]
fn a_connection_that_another_request_used_before_was_idle() {
    let mut l = Loop::new();
    l.serves(2, |l| {
        l.calls(13);
    });
    l.resumes(13, |l| l.answers(2));
    l.serves(1, |l| {
        l.calls(11);
        l.calls(12);
    });
    let mut call = None;
    l.resumes(11, |l| call = Some(l.calls(13)));
    l.resumes(13, |_| {});
    l.resumes(12, |l| l.answers(1));
    assert_eq!(told(&l, call.unwrap(), 13), Some(1));
}

/// The first call on a connection that request 1 had opened, when it read the request or a response; its answer follows from another one.
fn opened(freed: bool) -> Option<u64> {
    let mut l = Loop::new();
    let mut connecting = 0;
    l.serves(1, |l| {
        l.calls(11);
        l.calls(12);
        if !freed {
            connecting = l.id();
        }
    });
    l.resumes(11, |l| {
        if freed {
            connecting = l.id();
        }
    });
    let call = l.calls(13);
    l.end(connecting);
    l.resumes(13, |_| {});
    l.resumes(12, |l| l.answers(1));
    told(&l, call, 13)
}

#[test]
fn one_that_is_opened_after_a_response_may_be_anothers() {
    assert_eq!(opened(false), Some(1));
    assert_eq!(opened(true), None);
}

#[test]
fn what_is_passed_on_to_another_request_shows_a_queue() {
    let mut l = Loop::new();
    let mut first = None;
    l.serves(1, |l| {
        first = Some(l.calls(11));
    });
    l.serves(2, |_| {});
    l.resumes(11, |l| {
        l.calls(11);
        l.answers(1);
    });
    l.resumes(11, |l| l.answers(2));
    assert_eq!(told(&l, first.unwrap(), 11), None);
}
