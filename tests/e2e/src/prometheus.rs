//! A real Prometheus.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::app::root;
use crate::ports::free_address;
use crate::process::{Process, Stream};

/// How long it may take to start, and to have what it is to have.
const SOON: Duration = Duration::from_secs(60);

/// A Prometheus that scrapes agents every second; its data goes with it.
pub struct Prometheus {
    process: Process,
    url: String,
    folder: PathBuf,
}

impl Prometheus {
    /// What is missing to run one.
    #[must_use]
    pub fn missing() -> Option<&'static str> {
        let there = Command::new("prometheus").arg("--version").output().is_ok();
        (!there).then_some("prometheus is not installed")
    }

    /// Starts one that scrapes `targets`, with no data; `name` is for its folder.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &str, targets: &[SocketAddr]) -> Result<Self> {
        Self::with(name, &[("observer", targets)], "")
    }

    /// The same with several jobs, and everything that it serves below `prefix` (`/prometheus`).
    ///
    /// # Errors
    /// When it does not start.
    pub fn with(name: &str, jobs: &[(&str, &[SocketAddr])], prefix: &str) -> Result<Self> {
        let folder = root().join("target/e2e").join(format!("prometheus-{name}"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let jobs = jobs.iter().map(|(job, targets)| {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            json!({"job_name": job, "static_configs": [{"targets": targets, "labels": {"replica": job}}]})
        });
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": jobs.collect::<Vec<_>>(),
        });
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config.to_string())?;
        let address = free_address()?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--web.route-prefix={prefix}/"));
        let process = Process::start("prometheus", command)?;
        process.wait_for(Stream::Err, SOON, |line| {
            line.contains("ready to receive web requests").then_some(())
        })?;
        Ok(Self {
            process,
            url: format!("http://{address}{prefix}"),
            folder,
        })
    }

    /// Waits until the latest sample of a series is this one.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn has(&self, query: &str, value: f64) -> Result<()> {
        let url = format!("{}/api/v1/query", self.url);
        let deadline = Instant::now() + SOON;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            let body = ureq::get(&url)
                .query("query", query)
                .call()?
                .body_mut()
                .read_to_string()?;
            last = serde_json::from_str(&body)?;
            let got = last["data"]["result"][0]["value"][1].as_str();
            if got.and_then(|v| v.parse::<f64>().ok()) == Some(value) {
                return Ok(());
            }
            thread::yield_now();
        }
        bail!("{query} is not {value}: {last}")
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.stop(rustix::process::Signal::TERM, SOON);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
