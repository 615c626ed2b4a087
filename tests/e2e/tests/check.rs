//! The gate for CI, live.

use std::time::Duration;

use anyhow::{Result, ensure};
use observer_e2e::app::{App, root};
use observer_e2e::driver::Clients;
use observer_e2e::observer::command;
use observer_e2e::plan::{LogMode, Mix, Mode};
use observer_e2e::process::{Ended, Process, Stream};
use observer_e2e::run::{can_watch_unless, turn};
use observer_e2e::server::{Delay, Downstream};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(60);

/// Checks a service while it serves what is planned; it ends when the service does.
fn check(mix: &Mix, count: usize, args: &[&str]) -> Result<Ended> {
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = App::THREADS.start(downstream.address(), 0)?;
    let pid = service.process.pid().to_string();
    let args = [&["check", "--pid", &pid], args].concat();
    let check = Process::start("observer", command(args)?)?;
    check.wait_for(Stream::Err, SOON, |line| {
        line.starts_with("observer: watching").then_some(())
    })?;
    Clients::new(4).drive(service.address, &mix.plan("c", count, 1))?;
    service.process.stop(Signal::KILL, SOON)?;
    check.ended(SOON)
}

fn of(mode: Mode) -> Mix {
    Mix {
        logs: vec![LogMode::Linked],
        ..Mix::only(mode)
    }
}

#[test]
fn a_service_that_drops_context_breaks_the_check_and_is_named() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "check: broken") {
        return Ok(());
    }
    let junit = root().join("target/e2e/check.xml");
    let ended = check(&of(Mode::Drop), 60, &["--junit", &junit.to_string_lossy()])?;
    let said = ended.err.join("\n");
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for word in [
        "service-threads → 127.0.0.1:",
        "why",
        "fix",
        "check: broken",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let xml = std::fs::read_to_string(junit)?;
    ensure!(xml.contains("<failure"), "{xml}");
    Ok(())
}

#[test]
fn a_service_that_propagates_passes() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "check: clean") {
        return Ok(());
    }
    let ended = check(&of(Mode::Propagate), 60, &["--min-requests", "50"])?;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.err);
    Ok(())
}

#[test]
fn too_few_requests_decide_nothing() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "check: inconclusive") {
        return Ok(());
    }
    let ended = check(&of(Mode::Propagate), 10, &["--min-requests", "500"])?;
    assert_eq!(ended.status.code(), Some(3), "{:?}", ended.err);
    Ok(())
}

#[test]
fn a_command_that_fails_gives_its_own_status() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "check: failing command") {
        return Ok(());
    }
    let ended =
        Process::start("observer", command(["check", "--", "sh", "-c", "exit 7"])?)?.ended(SOON)?;
    assert_eq!(ended.status.code(), Some(7), "{:?}", ended.err);
    let ended = Process::start("observer", command(["check", "--", "true"])?)?.ended(SOON)?;
    assert_eq!(ended.status.code(), Some(3), "{:?}", ended.err);
    Ok(())
}

#[test]
fn recordings_are_checked_without_privileges() -> Result<()> {
    let recording = root().join("tests/recordings/threads.rec");
    let ended = Process::start(
        "observer",
        command(["check", &recording.to_string_lossy()])?,
    )?
    .ended(SOON)?;
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.err);
    let ended = Process::start("observer", command(["check", "/nowhere"])?)?.ended(SOON)?;
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.err);
    Ok(())
}
