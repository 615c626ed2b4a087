//! What goes through channels and is nobody's work, or may be several requests'.

use super::*;

#[test]
fn what_was_put_unseen_is_nobody_s() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/1");
    two.gets(WORKER, QUEUE, 1);
    two.call(WORKER, "/2");
    let told = two.told();
    given(&told, "/1", "/a");
    given_to_none(&told, "/2");
}

#[test]
fn what_comes_from_no_request_is_done_for_none() {
    for nobody in [BACKGROUND, 0] {
        let mut two = Two::new();
        two.hands(A, WORKER, LOOP);
        two.call(WORKER, "/1");
        two.hands(nobody, WORKER, LOOP);
        two.call(WORKER, "/2");
        let told = two.told();
        given(&told, "/1", "/a");
        given_to_none(&told, "/2");
    }
}

#[test]
fn where_both_levels_name_requests_they_have_to_agree() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(B, WORKER, CALLED);
    two.call(WORKER, "/1");
    let reason = given_to_none(&two.told(), "/1");
    assert_eq!(reason, Some(Reason::SharedExecution));
}

#[test]
fn where_it_is_not_known_what_is_received_nothing_is_said() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(A, WORKER, 0);
    two.call(WORKER, "/1");
    given_to_none(&two.told(), "/1");
}

#[test]
fn what_goes_on_after_the_request_s_end_may_not_be_for_it() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/1");
    two.answers(A);
    two.says(WORKER, "later");
    two.answers(B);
    two.w.tick();
    let told = two.settled();
    let reason = given_to_none(&told, "/1");
    assert_eq!(reason, Some(Reason::OutlivedRequest));
    assert_eq!(told.line("later").request, None);
}

#[test]
fn values_that_are_taken_together_may_be_done_together() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.hands(B, WORKER, LOOP);
    two.call(WORKER, "/1");
    // From here on, one by one.
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/2");
    let told = two.told();
    let reason = given_to_none(&told, "/1");
    assert_eq!(reason, Some(Reason::SharedExecution));
    given(&told, "/2", "/a");
}

#[test]
fn many_values_that_are_taken_together_tell_nothing() {
    let mut two = Two::new();
    for _ in 0..20 {
        two.hands(A, WORKER, LOOP);
    }
    two.call(WORKER, "/1");
    let reason = given_to_none(&two.told(), "/1");
    assert_eq!(reason, Some(Reason::SharedExecution));
}

/// Connections of a pool: B puts one back, the background takes it and puts it back as well.
#[test]
fn whoever_gives_back_what_it_took_works_for_nobody() {
    let mut two = Two::new();
    two.puts(B, QUEUE, 7);
    two.gets(BACKGROUND, QUEUE, 7);
    two.call(BACKGROUND, "/1");
    two.puts(BACKGROUND, QUEUE + 24, 7);
    given_to_none(&two.told(), "/1");
}

/// Tokens of a semaphore: who puts one in takes another one's out.
#[test]
fn whoever_takes_what_it_gave_works_for_nobody() {
    let mut two = Two::new();
    two.puts(B, QUEUE, 1);
    two.puts(BACKGROUND, QUEUE + 8, 1);
    two.gets(BACKGROUND, QUEUE, 1);
    two.call(BACKGROUND, "/1");
    given_to_none(&two.told(), "/1");
}

#[test]
fn what_was_handed_by_one_that_was_handed_it_is_nobody_s() {
    let mut two = Two::new();
    two.hands(A, OTHER, LOOP);
    two.hands(OTHER, WORKER, LOOP);
    two.call(WORKER, "/1");
    given_to_none(&two.told(), "/1");
}

#[test]
fn a_connection_s_goroutine_asks_for_nobody() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.w.run(THREAD, GO, WORKER);
    two.w.calls(THREAD, two.client, "/1");
    given_to_none(&two.told(), "/1");
}

#[test]
fn while_channels_are_not_watched_nothing_is_said() {
    let mut two = Two::new();
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/1");
    two.hands(B, OTHER, LOOP);
    two.call(WORKER, "/2");
    two.w.paused(SHOP);
    two.call(WORKER, "/3");
    let told = two.told();
    given(&told, "/1", "/a");
    given_to_none(&told, "/2");
    given_to_none(&told, "/3");
}

#[test]
fn a_rule_that_disagrees_with_the_ids_is_not_believed() {
    let mut two = Two::new();
    // Each value is given by A, and the call says that it is for B.
    for n in 0..30 {
        two.hands(A, WORKER, LOOP);
        two.w.run(THREAD, GO, WORKER);
        two.w.take(THREAD, two.client);
        let path = format!("/{n}");
        two.w
            .write(THREAD, two.client, request(&path, &traceparent(2, 9)));
        two.w.read(THREAD, two.client, response());
    }
    two.answers(A);
    two.answers(B);
    two.w.tick();
    two.w.sleep(3 * SECOND);
    two.w.tick();
    two.w.run(THREAD, GO, A);
    two.w.read(THREAD, two.a, request("/c", &traceparent(3, 1)));
    two.hands(A, WORKER, LOOP);
    two.call(WORKER, "/last");
    two.answers(A);
    two.w.tick();
    let reason = given_to_none(&two.settled(), "/last");
    assert!(
        matches!(reason, Some(Reason::Distrusted { .. })),
        "{reason:?}"
    );
}
