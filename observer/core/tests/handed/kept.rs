//! Threads that are kept after their end, and given something else to run.

use super::*;

/// Two requests in flight, and thread 40, which is kept.
fn kept() -> (Two, Socket) {
    let (mut two, client) = born();
    two.w.park(SHOP, 40);
    (two, client)
}

#[test]
fn who_gives_a_kept_thread_something_to_run_starts_a_thread() {
    let (mut two, client) = kept();
    for (by, target) in [(A, "/1"), (B, "/2"), (A, "/3")] {
        two.w.reuse(SHOP, by, 40);
        two.call(40, client, target);
        two.w.park(SHOP, 40);
    }
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
    given(&told, "/3", "/a", Tier::HandOff);
}

#[test]
fn a_kept_thread_that_is_given_away_at_once_has_ended_too() {
    let (mut two, client) = kept();
    for (by, target) in [(A, "/1"), (B, "/2")] {
        two.w.reuse(SHOP, by, 40);
        two.call(40, client, target);
    }
    two.w.park(SHOP, 40);
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
}

#[test]
fn a_kept_thread_works_for_nobody_until_it_is_given_something() {
    let (mut two, client) = kept();
    two.call(40, client, "/unseen");
    two.w.park(SHOP, 40);
    given_to_none(&two.told(), "/unseen");
}

#[test]
fn a_life_that_began_before_it_was_told_may_be_several() {
    let (mut two, client) = born();
    two.call(40, client, "/out");
    two.w.park(SHOP, 40);
    let told = two.told();
    given_to_none(&told, "/out");
    assert_eq!(reason(&told, "/out"), Some(Reason::OutlivedRequest));
}

/// Thread 40 calls, and is the first that is kept; others are kept, and given something, so many times.
fn first_of(times: usize) -> Two {
    let (mut two, client) = born();
    two.call(40, client, "/out");
    two.w.park(SHOP, 40);
    two.w.spawn(SHOP, B, 41);
    for _ in 0..times {
        two.w.park(SHOP, 41);
        two.w.reuse(SHOP, B, 41);
        two.call(41, client, "/other");
    }
    two.w.park(SHOP, 41);
    two
}

#[test]
fn unless_threads_are_only_given_something_when_they_wait() {
    given(&first_of(100).told(), "/out", "/a", Tier::HandOff);
    given_to_none(&first_of(99).told(), "/out");
}

#[test]
fn but_not_where_one_was_given_something_before() {
    for unknown in [false, true] {
        let mut two = first_of(120);
        // One that is just about to wait, or was kept before the watch.
        two.w.reuse(SHOP, B, 41);
        two.w.reuse(SHOP, B, if unknown { 0 } else { 41 });
        two.w.park(SHOP, 41);
        given_to_none(&two.told(), "/out");
    }
}

#[test]
fn nor_where_one_went_on_by_itself() {
    let mut two = first_of(120);
    let client = two.w.tcp(SHOP, 6000, 90, false);
    two.call(41, client, "/of-itself");
    two.w.park(SHOP, 41);
    given_to_none(&two.told(), "/out");
}

#[test]
fn a_life_during_which_somebody_was_given_something_may_be_several() {
    let (mut two, client) = kept();
    two.w.spawn(SHOP, A, 41);
    two.call(41, client, "/doubted");
    two.w.reuse(SHOP, B, 0);
    two.w.park(SHOP, 41);
    two.w.reuse(SHOP, B, 41);
    two.call(41, client, "/known");
    two.w.park(SHOP, 41);
    let told = two.told();
    given_to_none(&told, "/doubted");
    given(&told, "/known", "/b", Tier::HandOff);
}

#[test]
fn what_runs_on_in_a_kept_thread_is_not_the_requests_own() {
    let (mut two, client) = kept();
    two.w.reuse(SHOP, A, 40);
    two.call(40, client, "/during");
    two.answer();
    two.w.sleep(2_000_000_000);
    two.w.tick();
    given_to_none(&two.w.told(), "/during");
}

#[test]
fn a_thread_that_waits_as_kept_ones_do_and_goes_on_was_not_kept() {
    // A library's thread, started lazily: it sends, waits on its own stack for its time to come, and sends again.
    for goes_on in [false, true] {
        let (mut two, client) = born();
        two.w.park(SHOP, 41);
        two.w.spawn(SHOP, A, 42);
        two.call(42, client, "/sends");
        two.w.park(SHOP, 42);
        two.answer();
        two.w.tick();
        if goes_on {
            two.w.sleep(1_500_000_000);
            two.call(42, client, "/sends-again");
            two.w.park(SHOP, 42);
        }
        two.w.sleep(6_000_000_000);
        two.w.tick();
        two.w.exit(SHOP, 42);
        given_to_none(&two.w.told(), "/sends");
    }
}

#[test]
fn what_is_given_to_a_thread_that_is_just_about_to_wait_runs_in_it() {
    let (mut two, client) = kept();
    two.w.reuse(SHOP, A, 40);
    two.call(40, client, "/1");
    two.w.park(SHOP, 40);
    two.w.reuse(SHOP, B, 40);
    // It finds at once that it need not wait.
    two.w.park(SHOP, 40);
    two.call(40, client, "/2");
    two.w.park(SHOP, 40);
    let told = two.told();
    given(&told, "/1", "/a", Tier::HandOff);
    given(&told, "/2", "/b", Tier::HandOff);
}

#[test]
fn where_it_is_told_no_more_which_threads_are_kept_their_lives_may_be_several() {
    let mut two = Two::new();
    let client = two.w.tcp(SHOP, 6000, 90, false);
    // Threads wait at several places: it is not known which are kept.
    two.w.reuse(SHOP, 43, 0);
    two.w.spawn(SHOP, A, 40);
    two.call(40, client, "/of-a");
    two.call(40, client, "/of-b");
    two.answer();
    two.w.exit(SHOP, 40);
    two.w.tick();
    let told = two.w.told();
    given_to_none(&told, "/of-a");
    given_to_none(&told, "/of-b");
}
