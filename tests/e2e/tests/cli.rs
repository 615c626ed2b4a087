//! The program as people and scripts meet it: how it starts, ends, and behaves when things go wrong.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use observer_e2e::app::{App, Service, root};
use observer_e2e::driver::Clients;
use observer_e2e::observer::{Observer, command, program};
use observer_e2e::plan::{Mix, Planned};
use observer_e2e::process::{Ended, Process, Stream};
use observer_e2e::run::{can_watch_unless, turn};
use observer_e2e::score::truth::Truth;
use observer_e2e::score::{Demand, score, told};
use observer_e2e::server::{Delay, Downstream};
use rustix::process::Signal;

/// How long anything here may take to end by itself.
const SOON: Duration = Duration::from_secs(60);

/// Status when the program could not do what it was asked to.
const CANNOT: i32 = 2;

fn service() -> Result<(Downstream, Service)> {
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = App::THREADS.start(downstream.address(), 0)?;
    Ok((downstream, service))
}

fn plan(name: &str, count: usize) -> Vec<Planned> {
    Mix::everything().plan(name, count, 1)
}

fn run(args: &[&str]) -> Result<Ended> {
    Process::start("observer", command(args)?)?.ended(SOON)
}

fn no_panic(ended: &Ended) {
    let text = ended.err.join("\n");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_pid_that_is_not_there_is_told() -> Result<()> {
    if !can_watch_unless(None, "no such pid") {
        return Ok(());
    }
    // Above the largest pid that Linux can be configured to give.
    let ended = run(&["watch", "--pid", "4194305"])?;
    no_panic(&ended);
    assert_eq!(ended.status.code(), Some(CANNOT), "{:?}", ended.err);
    assert!(ended.err.join("\n").contains("4194305"), "{:?}", ended.err);
    assert!(ended.out.is_empty(), "{:?}", ended.out);
    Ok(())
}

#[test]
fn watching_ends_when_the_watched_process_does() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "pid exits") {
        return Ok(());
    }
    let (_downstream, service) = service()?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    Clients::new(4).drive(service.address, &plan("q", 40))?;
    service.process.stop(Signal::KILL, SOON)?;
    let ended = observer.process().ended(SOON)?;
    no_panic(&ended);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.err);
    let told = told::read(&ended.out)?;
    assert!(matches!(told.last(), Some(told::Told::Summary(_))));
    Ok(())
}

#[test]
fn a_started_command_gives_its_exit_status() -> Result<()> {
    if !can_watch_unless(None, "exit status of a command") {
        return Ok(());
    }
    for status in [0, 7] {
        let ended = run(&[
            "watch",
            "--quiet",
            "--",
            "sh",
            "-c",
            &format!("exit {status}"),
        ])?;
        no_panic(&ended);
        assert_eq!(ended.status.code(), Some(status), "{:?}", ended.err);
    }
    let ended = run(&["watch", "--", "/no/such/program"])?;
    no_panic(&ended);
    assert_eq!(ended.status.code(), Some(CANNOT), "{:?}", ended.err);
    assert!(
        ended.err.join("\n").contains("/no/such/program"),
        "{:?}",
        ended.err
    );
    Ok(())
}

/// Ids of the BPF programs that a process holds.
fn programs_of(pid: u32) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // Descriptors come and go while they are listed.
        let Ok(text) = std::fs::read_to_string(entry?.path()) else {
            continue;
        };
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

#[test]
fn ctrl_c_leaves_nothing_behind_and_sums_up() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "Ctrl-C") {
        return Ok(());
    }
    let (_downstream, service) = service()?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let programs = programs_of(observer.process().pid())?;
    ensure!(!programs.is_empty(), "the observer holds no program");
    Clients::new(4).drive(service.address, &plan("q", 40))?;
    let ended = observer.stop()?;
    no_panic(&ended);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.err);
    let told = told::read(&ended.out)?;
    assert!(matches!(told.last(), Some(told::Told::Summary(_))));
    gone(&programs)
}

#[test]
fn being_killed_leaves_nothing_behind() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "SIGKILL") {
        return Ok(());
    }
    let (_downstream, service) = service()?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let programs = programs_of(observer.process().pid())?;
    observer.process().stop(Signal::KILL, SOON)?;
    gone(&programs)
}

/// Waits for the kernel, which frees programs some time after their last user is gone.
fn gone(programs: &BTreeSet<u32>) -> Result<()> {
    let deadline = Instant::now() + SOON;
    loop {
        let loaded: BTreeSet<u32> = aya::programs::loaded_programs()
            .filter_map(Result::ok)
            .map(|program| program.id())
            .collect();
        let left: Vec<&u32> = programs.intersection(&loaded).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still loaded: {left:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_closed_output_ends_it() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "closed stdout") {
        return Ok(());
    }
    let (_downstream, service) = service()?;
    let script = r#""$0" watch --pid "$1" --output json | head -1; echo "status ${PIPESTATUS[0]}""#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script])
        .arg(program()?)
        .arg(service.process.pid().to_string());
    let pipeline = Process::start("observer | head -1", bash)?;
    pipeline.wait_for(Stream::Err, SOON, |line| {
        line.starts_with("observer: watching").then_some(())
    })?;
    // It notices when it writes, so there must be something to write until it does.
    let deadline = Instant::now() + SOON;
    while pipeline.wait(Duration::ZERO).is_none() && Instant::now() < deadline {
        Clients::new(4).drive(service.address, &plan("q", 20))?;
    }
    let ended = pipeline.ended(SOON)?;
    no_panic(&ended);
    let status = ended
        .out
        .last()
        .and_then(|line| line.strip_prefix("status "));
    assert!(matches!(status, Some("0" | "1")), "{ended:?}");
    Ok(())
}

/// A file in the build folder that is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Result<Self> {
        let folder = root().join("target/e2e");
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder.join(format!("{name}-{}", std::process::id()))))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_recording_replays_to_the_same_bytes() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "record and replay") {
        return Ok(());
    }
    let file = Temporary::new("recording")?;
    let path = file.0.display().to_string();
    let (_downstream, service) = service()?;
    let observer = Observer::watch([
        "--pid",
        &service.process.pid().to_string(),
        "--record",
        &path,
    ])?;
    Clients::new(16).drive(service.address, &plan("q", 300))?;
    let live = observer.stop()?;
    ensure!(live.out.len() > 300, "only {} lines", live.out.len());
    let replayed = run(&["replay", &path, "--output", "json", "--redact", "off"])?;
    no_panic(&replayed);
    assert_eq!(replayed.status.code(), Some(0), "{:?}", replayed.err);
    for (i, (replayed, live)) in replayed.out.iter().zip(&live.out).enumerate() {
        assert_eq!(replayed, live, "line {i}");
    }
    assert_eq!(replayed.out.len(), live.out.len());
    Ok(())
}

#[test]
fn connections_that_are_open_already_are_followed() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "attach to open connections") {
        return Ok(());
    }
    let (downstream, service) = service()?;
    let clients = Clients::new(16);
    clients.drive(service.address, &plan("before", 300))?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let _ = downstream.take();
    let plan = plan("after", 300);
    clients.drive(service.address, &plan)?;
    let ended = observer.stop()?;
    let printed = service.process.stop(Signal::TERM, SOON)?.out;
    let truth = Truth::new(&plan, &downstream.take(), &printed);
    score(&truth, &told::read(&ended.out)?)
        .meets(Demand::THREAD_PER_REQUEST)
        .map_err(anyhow::Error::msg)
}
