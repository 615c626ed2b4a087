//! The traces that threads publish to work in (OTEP 4947) are read with what they write, however the loader has laid
//! out their variable.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/written.rs"]
mod written;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use observer::{
    facts::{self, Proc},
    kernel::CaptureConfig,
    runtimes::Follower,
};
use observer_core::{
    facts::{ExecutionKind, Executions},
    ids::Tgid,
};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/threads/publisher.c");

/// Runs the C compiler; false, said aloud, if there is none.
fn compile(output: &Path, args: &[&str]) -> bool {
    let status = Command::new("cc")
        .args(["-O1", "-o"])
        .arg(output)
        .args(args)
        .args([SOURCE, "-ldl", "-lpthread"])
        .status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("skipped: cc: {error}");
            false
        }
    }
}

struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program wrote, each with the trace that its thread published meanwhile.
fn observe(program: &Path, args: &[PathBuf]) -> Option<Vec<(char, Option<u128>)>> {
    let mut capture = common::start(CaptureConfig::default())?;
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut publisher = Publisher(child);
    let mut said = String::new();
    BufReader::new(publisher.0.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "ready\n");
    let tgid = Tgid(publisher.0.id());
    capture.watch(tgid).unwrap();
    let (proc, mut follower) = (Proc::default(), Follower::default());
    let told = follower.follow(&mut capture, &proc, &facts::process(&proc, tgid));
    let kind = ExecutionKind::Published;
    let missing = Vec::new();
    let paused = false;
    assert_eq!(
        told,
        Some(Executions::Known {
            kind,
            missing,
            paused
        })
    );
    let input = publisher.0.stdin.as_mut().unwrap();
    input.write_all(b"g").unwrap();
    input.flush().unwrap();
    Some(written::with_traces(&mut capture, tgid, kind))
}

fn check(program: &Path, args: &[PathBuf]) {
    let Some(seen) = observe(program, args) else {
        return;
    };
    let all = |byte: u8| Some(u128::from_be_bytes([byte; 16]));
    let thread = [
        ('0', None),
        ('A', all(0x41)),
        ('B', all(0x42)),
        ('1', None),
        ('2', None),
    ];
    let expected: Vec<_> = [thread; 3].concat();
    assert_eq!(seen[..seen.len() - 1], expected);
}

#[test]
fn of_an_executable() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("publisher");
    if compile(&program, &["-rdynamic"]) {
        check(&program, &[]);
    }
}

#[test]
fn of_a_library_that_is_loaded_later() {
    // Both ways of asking for thread-local variables, and one at a fixed place.
    for model in [
        &["-mtls-dialect=gnu2"][..],
        &["-mtls-dialect=gnu"],
        &["-ftls-model=initial-exec"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("publisher");
        let library = folder.path().join("library.so");
        let shared = [&["-shared", "-fPIC", "-DLIBRARY"], model].concat();
        if compile(&library, &shared) && compile(&program, &["-DLOADED"]) {
            check(&program, &[library]);
        }
    }
}
