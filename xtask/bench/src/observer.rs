//! The program under test, running.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Bytes at the end of the output that hold the summary.
const SUMMARY: u64 = 256 << 10;

/// A running `observer watch`.
pub struct Observer {
    child: Child,
    output: File,
    _errors: BufReader<ChildStderr>,
}

/// What it says at its end.
pub struct Told {
    /// Records that it took.
    pub records: u64,
    /// Records that the kernel had no room for.
    pub lost: u64,
    /// Share of connections that was observed in the end.
    pub share: f64,
}

impl Observer {
    /// Starts it on `pid` with `args`, and waits until it watches.
    pub fn watch(program: &Path, pid: u32, args: &[&str]) -> Result<Self> {
        let output = tempfile::tempfile()?;
        let mut child = Command::new(program)
            .args(["watch", "--output", "json", "--pid", &pid.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut errors = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut said = String::new();
        loop {
            let from = said.len();
            ensure!(
                errors.read_line(&mut said)? > 0,
                "the observer ended: {said}"
            );
            if said[from..].starts_with("observer: watching") {
                break;
            }
        }
        Ok(Self {
            child,
            output,
            _errors: errors,
        })
    }

    /// CPU time that it has used.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold spaces; what follows it may not.
        let (_, fields) = stat.rsplit_once(") ").context("a strange stat file")?;
        let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let mut next = || {
            times
                .next()
                .context("a short stat file")?
                .context("no number")
        };
        let ticks = next()? + next()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Resident memory now, and the most that there was, KiB.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
                .with_context(|| format!("no {name} in the status"))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(mut self) -> Result<Told> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process")?, Signal::INT)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the observer failed: {status}");
        let len = self.output.metadata()?.len();
        self.output
            .seek(SeekFrom::Start(len.saturating_sub(SUMMARY)))?;
        let mut end = Vec::new();
        self.output.read_to_end(&mut end)?;
        let last = end.trim_ascii_end().rsplit(|b| *b == b'\n').next();
        let summary: serde_json::Value = serde_json::from_slice(last.unwrap_or_default())
            .context("the observer's summary can't be read")?;
        let losses = summary["losses"].as_array().map_or(&[][..], Vec::as_slice);
        let lost = losses.iter().filter(|loss| loss["what"] == "records");
        Ok(Told {
            records: summary["records"].as_u64().unwrap_or(0),
            lost: lost.filter_map(|loss| loss["count"].as_u64()).sum(),
            share: ["last", "watched_last"]
                .map(|part| summary["sampling"][part].as_f64().unwrap_or(1.0))
                .iter()
                .product(),
        })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // Already ended, unless something failed on the way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
