//! Child processes whose output is collected and waited on by condition, never by sleeping.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a child may take to end after it was asked to, before it is killed.
const ENDING: Duration = Duration::from_secs(5);

/// How many times longer than usual everything may take: a number in `OBSERVER_PATIENCE`, for machines that are emulated.
#[must_use]
pub fn patience() -> u32 {
    let named = std::env::var("OBSERVER_PATIENCE").ok();
    let times = named.and_then(|times| times.parse().ok());
    times.unwrap_or(1).clamp(1, 100)
}

/// When something that usually takes `limit` at most has taken too long.
fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit * patience()
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

#[derive(Default)]
struct State {
    out: Vec<String>,
    err: Vec<String>,
    open: usize,
    status: Option<ExitStatus>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `test` finds something, at most until `deadline`.
    fn wait<T>(&self, deadline: Instant, mut test: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = test(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A child process. Dropping it ends it.
pub struct Process {
    name: String,
    pid: Pid,
    shared: Arc<Shared>,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Lines of standard output.
    pub out: Vec<String>,
    /// Lines of standard error.
    pub err: Vec<String>,
}

impl Process {
    /// Starts `command`, with its outputs piped unless it says otherwise; `name` is for messages.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("can't start {name} ({command:?})"))?;
        let pid = Pid::from_child(&child);
        let shared = Arc::new(Shared::default());
        shared.lock().open = 2;
        if let Some(out) = child.stdout.take() {
            collect(out, Stream::Out, &shared);
        }
        if let Some(err) = child.stderr.take() {
            collect(err, Stream::Err, &shared);
        }
        reap(child, pid, &shared);
        Ok(Self {
            name: name.to_owned(),
            pid,
            shared,
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for a line of which `test` makes something.
    ///
    /// # Errors
    /// When the process ends first, or `limit` is over; the message holds its standard error.
    pub fn wait_for<T>(
        &self,
        stream: Stream,
        limit: Duration,
        mut test: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let mut tested = 0;
        let found = self.shared.wait(deadline(limit), |state| {
            let lines = match stream {
                Stream::Out => &state.out,
                Stream::Err => &state.err,
            };
            let found = lines[tested..].iter().find_map(|line| test(line));
            tested = lines.len();
            // With its outputs closed, no further line can come.
            match found {
                Some(found) => Some(Some(found)),
                None if state.status.is_some() && state.open == 0 => Some(None),
                None => None,
            }
        });
        match found {
            Some(Some(found)) => Ok(found),
            Some(None) => bail!("{} ended early:\n{}", self.name, self.tail()),
            None => bail!(
                "{} did not say what was waited for:\n{}",
                self.name,
                self.tail()
            ),
        }
    }

    /// Waits at most `limit` until `count` lines of both outputs pass `test`; returns all printed so far.
    #[must_use]
    pub fn lines(&self, count: usize, limit: Duration, test: impl Fn(&str) -> bool) -> Vec<String> {
        let passing = |lines: &[String]| lines.iter().filter(|line| test(line)).count();
        let (mut tested, mut passed) = ((0, 0), 0);
        let _ = self.shared.wait(deadline(limit), |state| {
            passed += passing(&state.out[tested.0..]) + passing(&state.err[tested.1..]);
            tested = (state.out.len(), state.err.len());
            (passed >= count).then_some(())
        });
        let state = self.shared.lock();
        state.out.iter().chain(&state.err).cloned().collect()
    }

    /// The status that it ended with, waiting at most `limit` for it.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        self.shared.wait(deadline(limit), |state| state.status)
    }

    /// Sends a signal, unless it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // The lock keeps the reaper out, so that the pid can't be another process's by now.
        let state = self.shared.lock();
        if state.status.is_none() {
            kill_process(self.pid, signal)
                .with_context(|| format!("can't signal {}", self.name))?;
        }
        Ok(())
    }

    /// Sends `signal`, waits at most `limit` for the end, and returns all that it printed.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&self, signal: Signal, limit: Duration) -> Result<Ended> {
        self.signal(signal)?;
        self.ended(limit)
    }

    /// Waits at most `limit` for the end, and returns all that it printed.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn ended(&self, limit: Duration) -> Result<Ended> {
        // A grandchild may hold the outputs open: they get the same limit, and then do without.
        let deadline = deadline(limit);
        let Some(status) = self.shared.wait(deadline, |state| state.status) else {
            bail!(
                "{} did not end within {limit:?}:\n{}",
                self.name,
                self.tail()
            );
        };
        let _ = self
            .shared
            .wait(deadline, |state| (state.open == 0).then_some(()));
        let mut state = self.shared.lock();
        let (out, err) = (
            std::mem::take(&mut state.out),
            std::mem::take(&mut state.err),
        );
        Ok(Ended { status, out, err })
    }

    fn tail(&self) -> String {
        let state = self.shared.lock();
        let last = |lines: &[String]| lines[lines.len().saturating_sub(15)..].join("\n");
        format!(
            "status {:?}\n{}\n{}",
            state.status,
            last(&state.out),
            last(&state.err)
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.signal(Signal::TERM);
        if self.wait(ENDING).is_none() {
            let _ = self.signal(Signal::KILL);
            let _ = self.wait(ENDING);
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, stream: Stream, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            line.clear();
            shared.update(|state| match stream {
                Stream::Out => state.out.push(text),
                Stream::Err => state.err.push(text),
            });
        }
        shared.update(|state| state.open -= 1);
    });
}

fn reap(mut child: Child, pid: Pid, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // Waits without reaping, so that `signal` never meets a pid that was given away meanwhile.
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        shared.update(|state| state.status = child.wait().ok());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that is waited for longer hangs.
    const SOON: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("shell", command).unwrap()
    }

    #[test]
    fn a_line_is_waited_for_and_the_rest_is_collected() {
        let process = shell("echo one; echo ready 7; echo oops >&2; exit 3");
        let port = process.wait_for(Stream::Out, SOON, |l| {
            l.strip_prefix("ready ")?.parse::<u16>().ok()
        });
        assert_eq!(port.unwrap(), 7);
        let ended = process.ended(SOON).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((ended.out.len(), ended.err.join("").as_str()), (2, "oops"));
    }

    #[test]
    fn an_early_end_is_told_with_its_reason() {
        let process = shell("echo broken >&2; exit 1");
        let error = process
            .wait_for(Stream::Out, SOON, |_| Some(()))
            .unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn a_signal_ends_it() {
        let process = shell("echo up; exec sleep 1000");
        process
            .wait_for(Stream::Out, SOON, |l| (l == "up").then_some(()))
            .unwrap();
        assert_eq!(
            process.stop(Signal::TERM, SOON).unwrap().status.code(),
            None
        );
    }
}
