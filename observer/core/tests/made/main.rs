//! Stories of Java's pools: tasks by the threads that made them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod jvm;
mod started;
mod steps;
#[path = "../world/mod.rs"]
mod world;

use jvm::{Jvm, SELECTOR, SHOP, pooled, server};
use observer_core::judged::Reason;
use world::Told;

/// The request to which a call is given.
fn owner(told: &Told, call: &str) -> Option<String> {
    told.owner(call).0
}

/// A request is read in the first lane, and its thread makes something, which waits to be run.
fn made(mut jvm: Jvm) -> (Jvm, u64) {
    jvm.reads(0);
    let made = jvm.makes(server(0));
    (jvm, made)
}

#[test]
fn a_task_belongs_to_the_request_whose_thread_made_it() {
    let mut jvm = Jvm::proven();
    let (a, b) = (jvm.requests + 1, jvm.requests + 2);
    jvm.reads(0);
    jvm.reads(1);
    let (of_a, of_b) = (jvm.makes(server(0)), jvm.makes(server(1)));
    jvm.runs(1, of_a);
    jvm.runs(0, of_b);
    jvm.calls(1, 0);
    jvm.calls(0, 1);
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(owner(&told, &format!("/for/{a}")), Some(format!("/in/{a}")));
    assert_eq!(owner(&told, &format!("/for/{b}")), Some(format!("/in/{b}")));
}

#[test]
fn what_was_seen_before_virtual_threads_were_known_tells_nothing() {
    let mut jvm = Jvm::proven();
    let before = jvm.serves_beside();
    jvm.w.sleep(10_000_000_000);
    jvm.w.tick();
    jvm.w.carries(SHOP);
    let first = jvm.serves_beside();
    jvm.w.sleep(10_000_000_000);
    jvm.w.tick();
    jvm.proves();
    let later = jvm.serves_beside();
    let told = jvm.told();
    assert!(owner(&told, &before).is_some());
    assert_eq!(
        owner(&told, &first),
        None,
        "it may be of what a carrier carried"
    );
    assert!(owner(&told, &later).is_some());
}

/// A list that the task of whoever finds it empty empties, as `SubmissionPublisher` does; a collection comes in between, or not.
fn emptied(collects: bool) -> (Told, String) {
    let (mut jvm, task) = made(Jvm::proven());
    let (mut task, b) = ([task], jvm.requests + 1);
    jvm.runs(1, task[0]);
    jvm.calls(1, 0);
    jvm.reads(1);
    // The first item is done, and the task goes on with the other's, as the first request is about to be answered.
    jvm.asks(1, 1);
    if collects {
        jvm.collects(&mut task);
    }
    jvm.answers(0);
    jvm.is_answered(1);
    jvm.rests(1);
    jvm.answers(1);
    (jvm.told(), format!("/for/{b}"))
}

#[test]
fn a_task_that_goes_on_after_its_request_has_worked_for_others() {
    for collects in [false, true] {
        let (told, call) = emptied(collects);
        assert_eq!(owner(&told, &call), None, "{collects}");
        let reason = |call: &str| told.call(call).attribution.as_ref().unwrap().reason.clone();
        assert_eq!(reason(&call), Some(Reason::OutlivedRequest));
    }
}

#[test]
fn what_a_task_logs_that_is_seen_to_go_on_later_is_nobody_s() {
    let (mut jvm, task) = made(Jvm::proven());
    let mut task = [task];
    let stdout = jvm.w.stdout(SHOP);
    jvm.runs(1, task[0]);
    jvm.reads(1);
    jvm.heap(pooled(1));
    jvm.w.write(pooled(1), stdout, "for the other\n");
    jvm.answers(0);
    jvm.collects(&mut task);
    jvm.calls(1, 1);
    jvm.rests(1);
    jvm.answers(1);
    let told = jvm.told();
    assert_eq!(told.line("for the other").request, None);
}

#[test]
fn who_takes_a_connection_for_a_task_may_write_the_call_in_another_one() {
    let (mut jvm, task) = made(Jvm::proven());
    let a = jvm.requests;
    jvm.runs(1, task);
    jvm.heap(pooled(1));
    jvm.w
        .touch(pooled(1), jvm.called[1], observer_abi::take::PROBE);
    // The client's own, made by its selector.
    let own = jvm.makes(SELECTOR);
    jvm.heap(SELECTOR);
    jvm.runs(1, own);
    jvm.calls(1, 0);
    jvm.rests(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(owner(&told, &format!("/for/{a}")), Some(format!("/in/{a}")));
}
