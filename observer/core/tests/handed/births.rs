//! Threads that are started for a request, and those that answer it.

use observer_core::judged::Tier;

use super::*;

#[test]
fn threads_that_end_with_the_request_belong_to_it() {
    let mut two = Two::new();
    for (parent, child, port) in [(A, 40, 6000), (B, 41, 6001), (40, 42, 6002)] {
        two.w.spawn(SHOP, parent, child);
        let client = two.w.tcp(SHOP, port, 90, false);
        two.call(child, client, &format!("/by/{child}"));
    }
    for child in [42, 40, 41] {
        two.w.exit(SHOP, child);
    }
    let told = two.told();
    given(&told, "/by/40", "/a", Tier::HandOff);
    given(&told, "/by/41", "/b", Tier::HandOff);
    given(&told, "/by/42", "/a", Tier::HandOff);
}

#[test]
fn a_thread_noted_to_end_right_after_the_answer_belongs_to_the_request() {
    let (mut two, client) = born();
    two.call(40, client, "/out");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.tick();
    given(&two.w.told(), "/out", "/a", Tier::HandOff);
}

#[test]
fn a_pool_thread_started_for_one_request_is_not_its_own() {
    let (mut two, client) = born();
    // What lay first in the queue was work of the other request.
    two.call(40, client, "/of-b");
    two.answer();
    two.w.tick();
    // It lives on, and works on.
    two.w.sleep(2_000_000_000);
    two.w.tick();
    two.call(40, client, "/later");
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/of-b");
    assert_eq!(reason(&told, "/of-b"), Some(Reason::OutlivedRequest));
    given_to_none(&told, "/later");
}

#[test]
fn a_thread_that_works_on_after_the_answer_and_then_ends_is_none_of_its() {
    let (mut two, client) = born();
    two.call(40, client, "/during");
    two.answer();
    two.call(40, client, "/after");
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/during");
    given_to_none(&told, "/after");
}

#[test]
fn the_end_of_the_process_does_not_show_for_what_threads_were_started() {
    let (mut two, client) = born();
    two.call(40, client, "/out");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.exit(SHOP, SHOP);
    two.w.tick();
    given_to_none(&two.w.told(), "/out");
}

#[test]
fn who_is_born_for_a_request_and_answers_it_owned_it() {
    let mut w = World::new();
    // A selector reads without blocking and starts a thread per request.
    let (a, b) = w.serves_both(SHOP, true);
    w.reads_both([SHOP, SHOP], (a, b));
    for (child, port) in [(40, 6000), (41, 6001)] {
        w.spawn(SHOP, SHOP, child);
        let client = w.tcp(SHOP, port, 90, false);
        w.calls(child, client, &format!("/by/{child}"));
    }
    // One of them has help.
    w.spawn(SHOP, 40, 42);
    let client = w.tcp(SHOP, 6002, 90, false);
    w.calls(42, client, "/by/42");
    w.exit(SHOP, 42);
    w.write(41, a, response());
    w.write(40, b, response());
    w.exit(SHOP, 40);
    w.exit(SHOP, 41);
    w.tick();
    let told = w.told();
    given(&told, "/by/40", "/b", Tier::Execution);
    given(&told, "/by/41", "/a", Tier::Execution);
    given(&told, "/by/42", "/b", Tier::HandOff);
}

#[test]
fn who_answers_several_or_was_there_before_owned_none() {
    let mut w = World::new();
    w.spawn(SHOP, SHOP, 39);
    let (a, b, c) = (
        w.tcp(SHOP, 80, 5000, true),
        w.tcp(SHOP, 80, 5001, true),
        w.tcp(SHOP, 80, 5002, true),
    );
    for (socket, target) in [(a, "/a"), (b, "/b"), (c, "/c")] {
        w.read(SHOP, socket, request(target, &traceparent(1, 1)));
    }
    w.spawn(SHOP, SHOP, 40);
    for (tid, port) in [(40, 6000), (39, 6001)] {
        let client = w.tcp(SHOP, port, 90, false);
        w.calls(tid, client, &format!("/by/{tid}"));
    }
    w.write(40, a, response());
    w.write(40, b, response());
    w.write(39, c, response());
    w.exit(SHOP, 40);
    w.exit(SHOP, 39);
    w.tick();
    let told = w.told();
    given_to_none(&told, "/by/40");
    given_to_none(&told, "/by/39");
}
