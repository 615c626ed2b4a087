//! A running agent.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::app::root;
use crate::cluster::Cluster;
use crate::deploy::RELEASE;
use crate::hosts::Host;
use crate::observer::command;
use crate::process::{Process, Stream};

/// How long the agent may take to begin, to judge everything, and to end.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A budget of more processor time than it can use, for a configuration without one: nothing is left out, however slow the machine.
pub const EVERYTHING: &str = "budget: {cpu: 64}\n";

/// A running agent, with a configuration of its own.
pub struct Agent {
    /// Its process.
    pub process: Process,
    /// Where it serves.
    pub address: SocketAddr,
    folder: PathBuf,
}

impl Agent {
    /// Starts one with this configuration and [`EVERYTHING`], as [`start`](Self::start) does.
    ///
    /// # Errors
    /// When it does not.
    pub fn observing_all(name: &str, configuration: &str) -> Result<Self> {
        Self::start(name, &format!("{configuration}{EVERYTHING}"))
    }

    /// Starts one with this configuration, without Kubernetes, on a port of its own, and waits until it observes.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(name: &str, configuration: &str) -> Result<Self> {
        Self::run(name, configuration, Ipv4Addr::LOCALHOST, |command| {
            Ok(without_kubernetes(command))
        })
    }

    /// The same in a pod of a cluster, as an account of its own: with names from its API.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_in(
        cluster: &Cluster,
        account: &str,
        name: &str,
        configuration: &str,
    ) -> Result<Self> {
        Self::run(name, configuration, Ipv4Addr::LOCALHOST, |mut command| {
            command.env("NODE_NAME", name);
            cluster.inside(account, RELEASE, &command)
        })
    }

    /// The same on a host, under the name `name`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_on(host: &Host, name: &str, configuration: &str) -> Result<Self> {
        Self::run(name, configuration, host.address, |mut command| {
            command.env("NODE_NAME", name);
            Ok(host.on(&without_kubernetes(command)))
        })
    }

    fn run(
        name: &str,
        configuration: &str,
        address: Ipv4Addr,
        adjust: impl FnOnce(Command) -> Result<Command>,
    ) -> Result<Self> {
        let folder = root().join(format!("target/agent-{name}"));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("agent.yaml");
        std::fs::write(&file, configuration)?;
        let listen = format!("{address}:0");
        let mut run = command(["agent", "--metrics-listen"])?;
        run.arg(listen).arg("--config").arg(file);
        let process = Process::start("agent", adjust(run)?)?;
        let address = process.wait_for(Stream::Err, LIMIT, |line| {
            line.split_once("http://")?
                .1
                .strip_suffix('/')?
                .parse()
                .ok()
        })?;
        process.wait_for(Stream::Err, LIMIT, |line| {
            line.contains("until SIGTERM").then_some(())
        })?;
        Ok(Self {
            process,
            address,
            folder,
        })
    }

    /// Changes its configuration.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn configure(&self, configuration: &str) -> Result<()> {
        std::fs::write(self.folder.join("agent.yaml"), configuration)?;
        self.process.signal(Signal::HUP)
    }

    /// Waits until it said something.
    ///
    /// # Errors
    /// When it does not.
    pub fn said(&self, part: &str) -> Result<()> {
        self.process
            .wait_for(Stream::Err, LIMIT, |line| line.contains(part).then_some(()))
    }

    /// The page of metrics, once none of these sums (names, and what their labels have in them) has changed for longer than judgement takes, and
    /// than the agent takes to count what system calls came to.
    ///
    /// # Errors
    /// When they go on changing, or it does not answer.
    pub fn settled(&self, sums: &[(&str, &str)]) -> Result<String> {
        const CALM: Duration = Duration::from_secs(2);
        let (mut page, mut last, mut since) = (String::new(), Vec::new(), Instant::now());
        until("everything counted", || {
            page = self.get("/metrics", "text/plain")?;
            let of = |(name, part): &(&str, &str)| sum_of(&page, name, part).to_bits();
            let now: Vec<u64> = sums.iter().map(of).collect();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            Ok(since.elapsed() > CALM)
        })?;
        Ok(page)
    }

    /// What it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn get(&self, path: &str, accept: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        Ok(ureq::get(&url)
            .header("Accept", accept)
            .call()?
            .body_mut()
            .read_to_string()?)
    }

    /// Calls to `peer` by verdict, as `/metrics` has them now.
    ///
    /// # Errors
    /// When it does not answer as agreed.
    pub fn calls(&self, peer: SocketAddr) -> Result<BTreeMap<String, u64>> {
        let mut calls = BTreeMap::new();
        let peer = format!("peer_name=\"{peer}\"");
        for line in self.get("/metrics", "text/plain")?.lines() {
            if line.starts_with("observer_calls_total{") && line.contains(&peer) {
                let (labels, count) = line.rsplit_once(' ').context("no count")?;
                let verdict = labels.split_once("verdict=\"").context("no verdict")?.1;
                let verdict = verdict.split('"').next().unwrap_or_default();
                *calls.entry(verdict.to_owned()).or_default() += count.parse::<u64>()?;
            }
        }
        Ok(calls)
    }

    /// The sum of a metric on its page now, over all labels.
    ///
    /// # Errors
    /// When it does not answer as agreed.
    pub fn metric(&self, name: &str) -> Result<f64> {
        Ok(sum_of(&self.get("/metrics", "text/plain")?, name, ""))
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end as it should.
    pub fn end(self) -> Result<()> {
        let ended = self.process.stop(Signal::TERM, LIMIT)?;
        let _ = std::fs::remove_dir_all(&self.folder);
        ensure!(
            ended.status.code() == Some(0),
            "{:?}: {:#?}",
            ended.status,
            ended.err
        );
        ensure!(
            !ended.err.iter().any(|line| line.contains("panicked")),
            "{:#?}",
            ended.err
        );
        Ok(())
    }
}

fn without_kubernetes(mut command: Command) -> Command {
    command.args(["--kubernetes-mode", "off"]);
    command
}

/// The sum of a metric on a page, over all series that have `part` among their labels.
#[must_use]
pub fn sum_of(page: &str, name: &str, part: &str) -> f64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let of_it = rest.starts_with(['{', ' ']) && rest.contains(part);
        let value = of_it.then(|| rest.rsplit(' ').next())??;
        value.parse::<f64>().ok()
    });
    values.fold(0.0, |sum, value| sum + value)
}

/// Waits until something holds.
///
/// # Errors
/// When it does not within [`LIMIT`].
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !holds()? {
        ensure!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::yield_now();
    }
    Ok(())
}
