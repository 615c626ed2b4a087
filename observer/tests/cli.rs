//! The program as a shell sees it: what it prints, and how it exits. None of this needs privileges.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use observer_core::engine::Input;
use observer_core::ids::KernelNanos;
use observer_core::judged::ClockAnchor;
use observer_core::recording::{ByteOrder, Startup, Writer};

fn observer(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_observer"));
    command.args(args).env_remove("NO_COLOR");
    command
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let err = text(output.stderr);
    assert!(!err.contains("panicked"), "{err}");
    Ran {
        status: output.status.code().expect("ends by itself"),
        out: text(output.stdout),
        err,
    }
}

fn run(args: &[&str]) -> Ran {
    ran(observer(args).output().expect("starts"))
}

fn run_with_input(args: &[&str], input: &[u8]) -> Ran {
    let mut child = observer(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(input)
        .expect("is read");
    ran(child.wait_with_output().expect("ends"))
}

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const BAD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";

#[test]
fn usage_errors_are_told_with_status_2() {
    for (args, word) in [
        (&["watch"][..], "--pid"),
        (&["watch", "--all", "--pid", "1"], "--all"),
        (&["watch", "--pid", "x"], "invalid value"),
        (&["watch", "--all", "--only", "lost"], "dropped"),
        (&["wtach"], "watch"),
        (&[], "Usage"),
        (&["replay"], "FILE"),
        (&["decode"], "HEADER"),
        (&["completions", "csh"], "bash"),
    ] {
        let ran = run(args);
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(ran.err.contains(word), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn a_process_that_is_not_there_is_told() {
    let ran = run(&["watch", "--pid", "4194305"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("--pid 4194305"), "{}", ran.err);
}

#[test]
fn what_can_never_be_there_is_told_before_anything_is_watched() {
    for (args, word) in [
        (["--cgroup", "/no-such.slice"], "no such control group"),
        (["--cgroup", "/etc/passwd"], "no such control group"),
        (["--exe", "/usr"], "directory"),
        (["--exe", "./no/such/file"], "not found"),
        (["--port", "0"], "65535"),
    ] {
        let ran = run(&["watch", args[0], args[1]]);
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.err);
        for word in [args[0], args[1], word] {
            assert!(ran.err.contains(word), "{args:?}: {}", ran.err);
        }
    }
}

#[test]
fn headers_are_decoded() {
    let ran = run(&["decode", GOOD]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("4bf92f3577b34da6a3ce929d0e0e4736"));

    let ran = run(&["decode", BAD]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("invalid"), "{}", ran.out);

    let ran = run(&["decode", "foo"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("foo is not recognised"), "{}", ran.out);
    assert!(!ran.out.contains("by the look of it"), "{}", ran.out);
}

#[test]
fn headers_are_decoded_to_json() {
    for (header, status) in [(GOOD, 0), (BAD, 1)] {
        // Options may stand before the header and after it.
        for args in [
            ["decode", "--output", "json", header],
            ["decode", header, "--output", "json"],
        ] {
            let ran = run(&args);
            assert_eq!(ran.status, status);
            let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
            assert_eq!(value["kind"], "decode");
            assert_eq!(value["parts"][0]["format"], "w3c");
            assert_eq!(value["valid"], serde_json::json!(status == 0));
        }
    }
}

#[test]
fn headers_are_decoded_from_standard_input() {
    let input = format!("GET / HTTP/1.1\r\ntraceparent: {GOOD}\r\nb3: 0\r\n\r\n");
    let ran = run_with_input(&["decode", "-"], input.as_bytes());
    assert!(ran.out.contains("traceparent"), "{}", ran.out);
    let ran = run_with_input(&["decode", "-"], b"\xff\x1b[31m\0\n");
    assert_eq!(ran.status, 1);
    assert!(!ran.out.contains('\x1b'));
}

#[test]
fn doctor_tells_what_it_finds() {
    let ran = run(&["doctor", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let status = match report["result"].as_str() {
        Some("ok") => 0,
        Some("degraded") => 1,
        Some("missing") => 2,
        other => panic!("{other:?}"),
    };
    assert_eq!(ran.status, status);
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.iter().any(|check| check["name"] == "kernel"));
    for check in checks {
        assert_eq!(check["state"] == "ok", check["advice"].is_null(), "{check}");
    }
}

#[test]
fn completions_and_man_page_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("replay") && !ran.out.contains("start FD"));
    }
    let ran = run(&["man"]);
    assert_eq!(ran.status, 0);
    for word in [".TH", "OBSERVER WATCH", "\\-\\-cgroup", "Exit status"] {
        assert!(ran.out.contains(word), "{word} is missing");
    }
    assert!(!ran.out.contains("__shop"));
}

#[test]
fn help_fits_and_hides_what_is_internal() {
    let ran = run(&["--help"]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.contains("Exit status") && !ran.out.contains("__shop"));
    for line in ran.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

fn startup() -> Startup {
    Startup {
        abi: observer_abi::ABI_VERSION,
        byte_order: ByteOrder::NATIVE,
        kernel: "6.18".into(),
        machine: "x86_64".into(),
        program: "9.9.9".into(),
        anchor: ClockAnchor {
            monotonic: KernelNanos(0),
            wall: 1_795_234_595_000_000_000,
        },
        selection: Vec::new(),
        limits: std::collections::BTreeMap::new(),
        probes: Vec::new(),
    }
}

fn recording(startup: &Startup) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), startup).expect("memory");
    let tick = |now| Input::Tick {
        now: KernelNanos(now),
        lost: 0,
    };
    writer.input(&tick(1_000_000_000)).expect("memory");
    writer.flush().expect("memory");
    writer.input(&tick(2_000_000_000)).expect("memory");
    writer.finish().expect("memory")
}

fn replay(bytes: &[u8]) -> Ran {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("session.observer");
    std::fs::write(&path, bytes).expect("written");
    run(&["replay", &path.display().to_string(), "--output", "json"])
}

#[test]
fn a_recording_is_replayed() {
    let bytes = recording(&startup());
    let ran = replay(&bytes);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let last = ran.out.lines().last().expect("a line");
    let summary: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(summary["kind"], "summary");
    let piped = run_with_input(&["replay", "-", "-o", "json"], &bytes);
    assert_eq!(piped.out, ran.out);
}

#[test]
fn a_recording_that_is_cut_short_is_replayed_up_to_there() {
    let bytes = recording(&startup());
    let ran = replay(&bytes[..bytes.len() - 3]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("cut short"), "{}", ran.err);
    assert!(ran.out.contains("\"summary\""), "{}", ran.out);
}

#[test]
fn recordings_that_cannot_be_read_are_told_apart() {
    let mut newer = recording(&startup());
    newer[8] = 200;
    let mut other = startup();
    other.abi = 99;
    for (bytes, word) in [
        (&newer[..], "newer observer"),
        (b"", "not a recording"),
        (b"{\"kind\":\"exchange\"}\n", "not a recording"),
        (&recording(&other), "observer 9.9.9"),
    ] {
        let ran = replay(bytes);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(ran.err.contains(word), "{}", ran.err);
        assert!(ran.err.contains("session.observer"), "{}", ran.err);
    }
    let ran = run(&["replay", "/no/such/file"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("/no/such/file"), "{}", ran.err);
    let ran = run(&["replay", "/"]);
    assert_eq!(ran.status, 2, "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let full = Path::new("/dev/full");
    let file = std::fs::OpenOptions::new().write(true).open(full);
    let ran = ran(observer(&["man"])
        .stdout(file.expect("exists"))
        .stderr(Stdio::piped())
        .output()
        .expect("starts"));
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("No space left"), "{}", ran.err);

    let mut child = observer(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("ends").success());
}
