//! What threads are started to run, by the threads that made it.

use observer_core::judged::{Reason, Role};

use super::jvm::{Jvm, pooled, server};
use super::world::Told;
use super::{made, owner};

/// The request to which a line is given.
fn logger(told: &Told, line: &str) -> Option<String> {
    let given = told.line(line).request?;
    let served = told.exchanges(Role::Server);
    let owner = served.iter().find(|s| s.id == given);
    owner.map(|owner| owner.target.to_string())
}

#[test]
fn what_a_thread_was_started_to_run_is_of_whoever_made_it() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    jvm.reads(1);
    let (of_a, of_b) = (jvm.makes(server(0)), jvm.makes(server(1)));
    // A worker completes both futures.
    jvm.heap(pooled(0));
    let (b, a) = (jvm.starts(pooled(0), of_b), jvm.starts(pooled(0), of_a));
    for (tid, line) in [(a, "for a"), (b, "for b")] {
        jvm.logs(tid, line);
        jvm.ends(tid);
    }
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "for a"), Some("/in/1".to_owned()));
    assert_eq!(logger(&told, "for b"), Some("/in/2".to_owned()));
}

#[test]
fn one_that_goes_on_after_the_request_serves_the_process() {
    let (mut jvm, target) = made(Jvm::new());
    let tid = jvm.starts(pooled(0), target);
    jvm.logs(tid, "early");
    jvm.answers(0);
    jvm.heap(tid);
    jvm.w.calls(tid, jvm.pooled, "/late");
    jvm.ends(tid);
    let told = jvm.told();
    assert_eq!(logger(&told, "early"), None);
    assert_eq!(owner(&told, "/late"), None);
}

#[test]
fn what_several_threads_were_started_to_run_is_of_nobody() {
    // Made lazily for a timer, which has it run again and again.
    let (mut jvm, target) = made(Jvm::new());
    for line in ["once", "again"] {
        let tid = jvm.starts(pooled(0), target);
        jvm.logs(tid, line);
        jvm.ends(tid);
    }
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "once"), None);
    assert_eq!(logger(&told, "again"), None);
}

#[test]
fn who_starts_a_thread_for_another_one_does_not_get_what_that_does() {
    let mut jvm = Jvm::new();
    jvm.reads(0);
    jvm.reads(1);
    // The second request completes the future that the first one waits for.
    let target = jvm.makes(server(0));
    let tid = jvm.starts(server(1), target);
    jvm.logs(tid, "for the first");
    jvm.ends(tid);
    jvm.answers(1);
    jvm.answers(0);
    let told = jvm.told();
    assert_eq!(logger(&told, "for the first"), None);
    let reason = told.line("for the first").attribution.reason.clone();
    assert!(
        matches!(reason, Some(Reason::Conflict { .. })),
        "{reason:?}"
    );
}

#[test]
fn what_a_collection_has_moved_before_it_runs_is_of_nobody() {
    let (mut jvm, target) = made(Jvm::new());
    let mut target = [target];
    jvm.collects(&mut target);
    let tid = jvm.starts(pooled(0), target[0]);
    jvm.logs(tid, "moved");
    jvm.ends(tid);
    jvm.answers(0);
    assert_eq!(logger(&jvm.told(), "moved"), None);
}
