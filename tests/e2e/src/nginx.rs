//! A running nginx.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::app::root;
use crate::ports::free_address;
use crate::process::{Ended, Process, Stream};

/// How long it may take to start, and to stop.
pub const STARTING: Duration = Duration::from_secs(60);

/// A running nginx: its master process and where it serves.
pub struct Nginx {
    /// The master process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
}

impl Nginx {
    /// Starts it with a configuration in which `@LISTEN@` and `@FOLDER@` are filled in.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start(configuration: &str) -> Result<Self> {
        let address = free_address()?;
        let folder = root().join(format!("target/e2e/nginx-{}", address.port()));
        std::fs::create_dir_all(folder.join("temp"))?;
        let configuration = configuration
            .replace("@LISTEN@", &address.to_string())
            .replace("@FOLDER@", &folder.display().to_string());
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"]);
        let process = Process::start("nginx", command)?;
        process.wait_for(Stream::Err, STARTING, |line| {
            line.contains("start worker process ").then_some(())
        })?;
        Ok(Self {
            process,
            address,
            folder,
        })
    }

    /// Where its files lie.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.stop(Signal::TERM, STARTING);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One that passes everything on to `upstream` and logs each request; `headers` are directives for what it sends there.
///
/// # Errors
/// When it does not serve.
pub fn proxy(upstream: SocketAddr, headers: &str) -> Result<Nginx> {
    let configuration = include_str!("../../apps/nginx/nginx.conf")
        .replace("@UPSTREAM@", &upstream.to_string())
        .replace("@HEADERS@", headers);
    Nginx::start(&configuration)
}

/// A load for `seconds`, with a pause of `delay` milliseconds before each request.
///
/// # Errors
/// When it can't be started.
pub fn wrk(address: SocketAddr, connections: usize, seconds: u32, delay: usize) -> Result<Process> {
    let mut command = Command::new("wrk");
    command
        .args(["-t", "1", "-c", &connections.to_string()])
        .args(["-d", &format!("{seconds}s"), "-s"])
        .arg(root().join("tests/apps/nginx/wrk.lua"))
        .env("WRK_DELAY_MS", delay.to_string())
        .arg(format!("http://{address}/"));
    Process::start("wrk", command)
}

/// How many requests of such a load were answered.
///
/// # Errors
/// When it failed.
pub fn answered(ended: &Ended) -> Result<u64> {
    ensure!(ended.status.success(), "wrk failed: {:?}", ended.err);
    let answered = ended.out.iter().find_map(|line| {
        let (count, _) = line.trim().split_once(" requests in ")?;
        count.parse().ok()
    });
    answered.context("wrk does not say how many requests were answered")
}
