//! How a watch ends when its terminal or its disk does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::{App, Service, root};
use observer_e2e::driver::Clients;
use observer_e2e::observer::{Observer, command, program};
use observer_e2e::plan::{Mix, Planned};
use observer_e2e::process::{Ended, Process, Stream};
use observer_e2e::run::{can_watch_unless, turn};
use observer_e2e::score::told::{self, Told};
use observer_e2e::server::{Delay, Downstream};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process};

/// How long anything here may take to end by itself.
const SOON: Duration = Duration::from_secs(60);

fn service() -> Result<(Downstream, Service)> {
    let downstream = Downstream::start(Delay::NONE)?;
    let service = App::THREADS.start(downstream.address(), 0)?;
    Ok((downstream, service))
}

fn plan(name: &str, count: usize) -> Vec<Planned> {
    Mix::everything().plan(name, count, 1)
}

/// A folder in the build folder that is removed in the end, and unmounted before if something is mounted there.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path = root().join(format!("target/e2e/{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Mounts a disk of so many KiB there.
    fn small_disk(&self, kib: u32) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]);
        let status = mount.arg(&self.0).status()?;
        ensure!(status.success(), "no disk can be mounted: {status}");
        Ok(())
    }

    fn file(&self) -> String {
        self.0.join("recording").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-q").arg(&self.0).status();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn replay(file: &str) -> Result<Ended> {
    Process::start(
        "observer",
        command(["replay", file, "--output", "json", "--redact", "off"])?,
    )?
    .ended(SOON)
}

fn served(told: &[Told]) -> usize {
    let served = |t: &&Told| matches!(t, Told::Exchange(x) if x.role == told::Role::Server);
    told.iter().filter(served).count()
}

fn sums_up(ended: &Ended) -> Result<Vec<Told>> {
    let err = ended.err.join("\n");
    ensure!(!err.contains("panicked"), "{err}");
    let told = told::read(&ended.out)?;
    ensure!(
        matches!(told.last(), Some(Told::Summary(_))),
        "no summary: {err}"
    );
    Ok(told)
}

/// The kernel and the shell may both send it.
#[test]
fn a_hangup_ends_it_with_its_summary_and_a_whole_recording() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "SIGHUP") {
        return Ok(());
    }
    let folder = Folder::new("hangup")?;
    let (_downstream, service) = service()?;
    let pid = service.process.pid().to_string();
    let observer = Observer::watch(["--pid", &pid, "--record", &folder.file()])?;
    Clients::new(4).drive(service.address, &plan("q", 40))?;
    observer.process().signal(Signal::HUP)?;
    let ended = observer.process().stop(Signal::HUP, SOON)?;
    ensure!(ended.status.code() == Some(0), "{ended:?}");
    let told = sums_up(&ended)?;
    ensure!(served(&told) == 40, "{} requests", served(&told));
    let replayed = replay(&folder.file())?;
    ensure!(replayed.status.code() == Some(0), "{:?}", replayed.err);
    ensure!(replayed.out == ended.out, "the replay differs");
    Ok(())
}

#[test]
fn under_nohup_it_goes_on() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "nohup") {
        return Ok(());
    }
    let (_downstream, service) = service()?;
    let mut nohup = Command::new("nohup");
    nohup
        .arg(program()?)
        .args(["watch", "--output", "json", "--cpu-budget", "off", "--pid"])
        .arg(service.process.pid().to_string());
    let observer = Process::start("nohup observer", nohup)?;
    observer.wait_for(Stream::Err, SOON, |line| {
        line.starts_with("observer: watching").then_some(())
    })?;
    observer.signal(Signal::HUP)?;
    Clients::new(4).drive(service.address, &plan("q", 40))?;
    let ended = observer.stop(Signal::INT, SOON)?;
    ensure!(ended.status.code() == Some(0), "{ended:?}");
    let told = sums_up(&ended)?;
    ensure!(served(&told) == 40, "{} requests", served(&told));
    Ok(())
}

/// Nobody reads the live view any more, and what is said on standard error goes nowhere.
#[test]
fn a_closed_terminal_leaves_a_whole_recording_and_nothing_else() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "closed terminal") || !Path::new("/usr/bin/script").exists() {
        return Ok(());
    }
    let folder = Folder::new("terminal")?;
    let (_downstream, service) = service()?;
    let watch = format!(
        "echo pid $$; exec {} watch --cpu-budget off --pid {} --record {}",
        program()?.display(),
        service.process.pid(),
        folder.file()
    );
    let mut script = Command::new("script");
    script.args(["-qfec", &watch, "/dev/null"]);
    let terminal = Process::start("script", script)?;
    let pid = terminal.wait_for(Stream::Out, SOON, |line| {
        line.strip_prefix("pid ")?.trim().parse::<i32>().ok()
    })?;
    let pid = Pid::from_raw(pid).context("no pid")?;
    terminal.wait_for(Stream::Out, SOON, |line| {
        line.starts_with("observer: watching").then_some(())
    })?;
    Clients::new(4).drive(service.address, &plan("q", 40))?;
    // Each is told with its end.
    let mut told = 0;
    terminal.wait_for(Stream::Out, SOON, |line| {
        told += usize::from(line.contains("╰"));
        (told == 40).then_some(())
    })?;
    // What holds the terminal open goes away without a word.
    terminal.stop(Signal::KILL, SOON)?;
    // It writes to the terminal meanwhile.
    Clients::new(4).drive(service.address, &plan("r", 40))?;
    let deadline = std::time::Instant::now() + SOON;
    while test_kill_process(pid).is_ok() && !is_zombie(pid) {
        if std::time::Instant::now() > deadline {
            let _ = kill_process(pid, Signal::KILL);
            anyhow::bail!("it goes on without its terminal");
        }
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        std::thread::yield_now();
    }
    let replayed = replay(&folder.file())?;
    ensure!(replayed.status.code() == Some(0), "{:?}", replayed.err);
    let told = sums_up(&replayed)?;
    ensure!(served(&told) >= 40, "{} requests", served(&told));
    Ok(())
}

/// Ended, and not yet waited for by whoever inherited it.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_full_disk_keeps_what_was_recorded_until_then() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(None, "full disk") {
        return Ok(());
    }
    const KIB: u32 = 64;
    let folder = Folder::new("disk")?;
    folder.small_disk(KIB)?;
    let (_downstream, service) = service()?;
    let pid = service.process.pid().to_string();
    let observer = Observer::watch(["--pid", &pid, "--record", &folder.file()])?;
    Clients::new(16).drive(service.address, &plan("q", 1_000))?;
    let message = observer.process().wait_for(Stream::Err, SOON, |line| {
        line.contains("recording to").then(|| line.to_owned())
    })?;
    ensure!(message.contains("No space left"), "{message}");
    let ended = observer.stop()?;
    ensure!(ended.status.code() == Some(1), "{ended:?}");
    ensure!(served(&sums_up(&ended)?) == 1_000);
    let last = ended.err.last().context("nothing was said")?;
    ensure!(last.contains("cut short"), "{last}");

    let len = std::fs::metadata(folder.file())?.len();
    ensure!(len > u64::from(KIB) * 1024 * 3 / 4, "only {len} bytes");
    let replayed = replay(&folder.file())?;
    ensure!(replayed.status.code() == Some(1), "{:?}", replayed.err);
    let err = replayed.err.join("\n");
    ensure!(
        err.contains(&format!("cut short after {len} bytes")),
        "{err}"
    );
    let told = sums_up(&replayed)?;
    ensure!(served(&told) > 10, "{} requests", served(&told));
    Ok(())
}
