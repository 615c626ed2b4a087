//! Live tests of what is read of Python: which context writes what, against what the server knows.
//!
//! They need the privileges to load BPF programs, and are skipped by name without them, unless
//! `OBSERVER_REQUIRE_BPF` is set; Pythons that are not there are skipped by name as well.

#![expect(
    clippy::unwrap_used,
    reason = "a server that can't do its part fails its test"
)]

#[path = "../common/mod.rs"]
mod common;
mod pythons;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use observer_core::facts::Executions;
use service::{Seen, observe};

const SERVER: &str = include_str!("server.py");
const GREENLETS: &str = include_str!("greenlets.py");

/// Runs `check` on what each Python's server did in `mode`.
fn each(mode: &'static str, check: fn(&Seen)) {
    for python in pythons::all() {
        eprintln!("Python {}, {mode}", python.version);
        observe_with(python.run(SERVER), mode, check);
    }
    if let Some(python) = pythons::with_libraries().filter(|python| python.has("uvloop")) {
        eprintln!("uvloop on Python {}, {mode}", python.version);
        let mut server = python.run(SERVER);
        server.env("LOOP", "uvloop");
        observe_with(server, mode, check);
    }
}

fn observe_with(mut server: Command, mode: &'static str, check: fn(&Seen)) {
    if mode == "logged" {
        server.env("LISTENER", "1");
    }
    if let Some(seen) = observe(server, mode) {
        let known = matches!(&seen.executions, Some(Executions::Known { missing, .. }) if missing.is_empty());
        assert!(known, "{:?}", seen.executions);
        complete(&seen, if mode == "logged" { 3 } else { 6 });
        check(&seen);
    }
}

/// Everything was seen, of each request so many pieces of work.
fn complete(seen: &Seen, work: usize) {
    assert_eq!(seen.answered.len(), 16 * 12);
    for number in seen.answered.keys() {
        assert_eq!(seen.work[number].len(), work, "{number}");
    }
    // Each connection has a task of its own, which answers all of its requests.
    let mut connections: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (number, execution) in &seen.answered {
        assert_ne!(*execution, 0, "{number}");
        let connection = (number - 1000) / 12;
        connections
            .entry(*execution)
            .or_default()
            .insert(connection);
    }
    let single = connections.values().all(|of| of.len() == 1);
    assert!(single && connections.len() == 16, "{connections:x?}");
}

/// All work of a request is done in the context that answers it.
fn all_own(seen: &Seen) {
    for (number, work) in &seen.work {
        assert_eq!(*work, vec![seen.answered[number]; 6]);
    }
}

/// All work of a request descends from what answers it, and from nothing else that answers.
fn all_descend(seen: &Seen) {
    let answering: BTreeSet<u64> = seen.answered.values().copied().collect();
    for (number, work) in &seen.work {
        for execution in work {
            let line = seen.line(*execution);
            let answers: Vec<u64> = line
                .iter()
                .copied()
                .filter(|e| answering.contains(e))
                .collect();
            assert_eq!(answers, [seen.answered[number]], "{number}: {line:x?}");
        }
    }
}

#[test]
fn a_handler_makes_its_calls_and_writes_its_lines_in_its_own_context() {
    each("direct", all_own);
}

#[test]
fn a_greenlet_makes_its_calls_and_writes_its_lines_itself() {
    if let Some(python) = pythons::with_libraries().filter(|python| python.has("gevent")) {
        observe_with(python.run(GREENLETS), "direct", all_own);
    }
}

#[test]
fn greenlets_descend_from_those_that_made_them() {
    if let Some(python) = pythons::with_libraries().filter(|python| python.has("gevent")) {
        observe_with(python.run(GREENLETS), "children", |seen| {
            all_descend(seen);
            // Each runs in greenlets of its own.
            let own = |(number, work): (&usize, &Vec<u64>)| {
                let others: BTreeSet<u64> = work.iter().copied().collect();
                others.len() == 3 && !others.contains(&seen.answered[number])
            };
            assert!(seen.work.iter().all(own));
        });
    }
}

#[test]
fn tasks_descend_from_what_began_them() {
    each("children", all_descend);
}

#[test]
fn callbacks_descend_from_what_asked_for_them() {
    each("later", all_descend);
}

#[test]
fn a_thread_that_was_given_a_copy_runs_in_a_descendant() {
    each("thread", all_descend);
}

#[test]
fn what_runs_in_an_executor_has_no_context_and_was_given_by_one() {
    each("executor", |seen| {
        for (number, work) in &seen.work {
            assert_eq!(*work, [0; 6], "{number}");
            assert_eq!(seen.given[number], [seen.answered[number]; 6], "{number}");
        }
    });
}

#[test]
fn what_a_listener_writes_was_logged_in_the_context_that_answers() {
    each("logged", |seen| {
        for (number, work) in &seen.work {
            assert_eq!(*work, [0; 3], "{number}");
            assert_eq!(seen.given[number], [seen.answered[number]; 3], "{number}");
        }
    });
}

#[test]
fn what_was_given_an_empty_context_descends_from_nothing() {
    each("fresh", |seen| {
        for (number, work) in &seen.work {
            let own = |execution: &u64| seen.line(*execution).contains(&seen.answered[number]);
            assert!(!work.contains(&0) && !work.iter().any(own), "{number}");
        }
    });
}
