//! Live tests of what the probes tell of goroutines, against what a Go program says of itself.
//!
//! They need Go, and the privileges to load BPF programs, and are skipped by name without them,
//! unless `OBSERVER_REQUIRE_BPF` is set. `OBSERVER_TEST_GO` names the versions to test beside the
//! installed one, separated by commas.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod app;
#[path = "../common/mod.rs"]
mod common;
mod seen;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use app::Build;
use observer::{facts::Proc, runtimes::plan};
use observer_core::facts::Runtime;
use seen::Seen;

#[test]
fn of_a_program_with_symbols() {
    check(&Build::new("plain"));
}

#[test]
fn of_a_stripped_program() {
    check(&Build::new("stripped").flags(&["-ldflags=-s -w"]));
}

#[test]
fn of_a_position_independent_program() {
    check(&Build::new("pie").flags(&["-buildmode=pie", "-ldflags=-s -w"]));
}

#[test]
fn of_a_program_linked_with_c() {
    check(&Build::new("cgo").cgo().flags(&[
        "-buildmode=pie",
        "-tags=netcgo",
        "-ldflags=-s -w -linkmode=external",
    ]));
}

#[test]
fn of_a_program_that_is_not_optimised() {
    check(&Build::new("debug").flags(&["-gcflags=all=-N -l"]));
}

#[test]
fn of_other_versions() {
    let versions = std::env::var("OBSERVER_TEST_GO").unwrap_or("1.21.13".to_owned());
    for version in versions.split(',').filter(|v| !v.is_empty()) {
        check(
            &Build::new(version)
                .version(version)
                .flags(&["-ldflags=-s -w"]),
        );
    }
}

/// What a program does not have is told, and what it has is used.
#[test]
fn of_a_program_without_a_network() {
    let Some(program) = Build::new("quiet").package("./quiet").program() else {
        return;
    };
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let plan = plan(&Proc::default().process(child.id()), Runtime::Go);
    drop(child.stdin.take());
    child.wait().unwrap();
    let plan = plan.unwrap().unwrap();
    assert_eq!(plan.probes.len(), 1);
    assert_eq!(
        plan.missing,
        [
            "which goroutine asks on a pooled connection: the program has no function \
             net/http.(*persistConn).roundTrip",
            "which goroutine hands work to another through a channel: the program has no function \
             runtime.selectgo",
        ]
    );
}

#[test]
fn of_what_is_no_go_program() {
    let own = Proc::default().process(std::process::id());
    let why = plan(&own, Runtime::Go).unwrap().unwrap_err().to_string();
    assert!(why.contains(".gopclntab"), "{why}");
}

fn check(build: &Build) {
    let Some(program) = build.program() else {
        return;
    };
    let Some(seen) = Seen::of(&program) else {
        return;
    };
    assert_eq!(seen.missing, [""; 0], "{program:?}");
    seen.writes_are_of_their_goroutine();
    seen.branches_are_told();
    seen.exchanges_are_taken_by_who_asks();
}
