//! Running the program under test.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;

use crate::process::{Ended, Process, Stream};

/// How long attaching may take.
const ATTACHING: Duration = Duration::from_secs(60);

/// How long it may take to tell all that it has seen, after it was asked to stop.
const STOPPING: Duration = Duration::from_secs(60);

/// Why the observer can't be run here, if so.
#[must_use]
pub fn unavailable() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("loading probes needs root")
}

/// Path of the program: what `OBSERVER_BIN` names, or else what was built beside this test.
///
/// # Errors
/// When there is none.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OBSERVER_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let profile = own
        .ancestors()
        .nth(2)
        .map(PathBuf::from)
        .unwrap_or_default();
    let target = profile.parent().map(PathBuf::from).unwrap_or_default();
    [profile, target.join("release"), target.join("debug")]
        .into_iter()
        .map(|folder| folder.join("observer"))
        .find(|path| path.is_file())
        .map_or_else(
            || bail!("the observer is not built: run `cargo build --release -p observer`, or set OBSERVER_BIN"),
            Ok,
        )
}

/// A command that runs the program with `args`.
///
/// # Errors
/// When it is not built.
pub fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.args(args);
    Ok(command)
}

/// A replay of the recording `file` tells what the live run `told`, to the byte.
///
/// # Errors
/// When it does not.
pub fn replays(file: &str, told: &[String]) -> Result<()> {
    let replayed = command(["replay", file, "--output", "json", "--redact", "off"])?.output()?;
    let again = String::from_utf8_lossy(&replayed.stdout);
    ensure!(again.lines().eq(told), "the replay tells something else");
    Ok(())
}

/// A running `observer watch` or `observer logs`.
pub struct Observer {
    process: Process,
}

impl Observer {
    /// Starts `observer watch --output json --redact off` with `args`, and waits until it watches. It observes
    /// everything, however little time the machine has for it.
    ///
    /// # Errors
    /// When it does not start watching.
    pub fn watch<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::watch_within("off", args)
    }

    /// As [`watch`](Self::watch), with this budget of processor time.
    ///
    /// # Errors
    /// When it does not start watching.
    pub fn watch_within<S: AsRef<std::ffi::OsStr>>(
        budget: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        // As at a terminal, even where the tests are run by `nohup`.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(program()?);
        command.args(["watch", "--output", "json", "--redact", "off"]);
        command.args(["--cpu-budget", budget]).args(args);
        Self::attached(command)
    }

    /// Starts `observer logs` with `args`, and waits until it watches.
    ///
    /// # Errors
    /// When it does not start watching.
    pub fn logs<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut command = command(["logs", "--cpu-budget", "off"])?;
        command.args(args);
        Self::attached(command)
    }

    fn attached(command: Command) -> Result<Self> {
        let process = Process::start("observer", command)?;
        process.wait_for(Stream::Err, ATTACHING, |line| {
            line.starts_with("observer: watching").then_some(())
        })?;
        Ok(Self { process })
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Stops it as Ctrl-C does and returns what it told.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(self) -> Result<Ended> {
        self.process.stop(Signal::INT, STOPPING)
    }
}
