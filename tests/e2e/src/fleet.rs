//! A fleet: six services in five languages and a proxy, on three hosts, each doing one thing wrong or nothing
//! (`tests/apps/fleet`).
//!
//! ```text
//! host 0          host 1           host 2
//! gateway ──────► shop ──────────► payments ─► ledger     shop loses 7 % of its calls to payments
//!    │             └─► stock (0)                          payments restarts traces, billing knows B3 alone,
//!    ├───────────────────────────► billing ──► ledger     stock logs zeros,
//!    └──────────► nginx ─────────────────────► ledger     nginx strips
//! stock ─────────────────────────────────────► ledger
//! ```
//!
//! Every service prints what it did: its lines are the ground truth.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;

use crate::app::{expand, root};
use crate::driver::{Clients, finish};
use crate::hosts::{Host, Hosts};
use crate::process::{Process, Stream};
use crate::workload::{span_id, trace_id};

/// How long a service may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// A service: name, number of its host, command, what it does wrong, whom it calls.
///
/// In the command, `{apps}`, `{built}` and `{own}` are as in [`crate::app::App`].
struct Plan {
    name: &'static str,
    host: usize,
    command: &'static str,
    fault: &'static str,
    peers: &'static [&'static str],
}

const FLASK: &str = "{built}/venv/bin/python {apps}/fleet/service.py";

/// Who is called stands before those who call.
const PLANS: [Plan; 7] = [
    Plan::new("ledger", 2, "node {apps}/fleet/service.js", "", &[]),
    Plan::new("stock", 0, FLASK, "zero", &["ledger"]),
    Plan::new(
        "payments",
        2,
        "java {apps}/fleet/Service.java",
        "restart",
        &["ledger"],
    ),
    Plan::new("billing", 2, "{own}/service-fleet", "", &["ledger"]),
    Plan::new("shop", 1, FLASK, "drop", &["payments", "stock"]),
    Plan::new(PROXY, 1, "nginx", "", &["ledger"]),
    Plan::new(
        "gateway",
        0,
        "{built}/fleet-go",
        "",
        &["shop", "billing", PROXY],
    ),
];

/// The one that is no service of ours. It writes over its environment, so it can't be given a name.
pub const PROXY: &str = "nginx";

impl Plan {
    const fn new(
        name: &'static str,
        host: usize,
        command: &'static str,
        fault: &'static str,
        peers: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            host,
            command,
            fault,
            peers,
        }
    }

    fn command(&self) -> Command {
        let mut words = self.command.split(' ').map(expand);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// What is missing to run it; `tests/setup.sh` installs it.
#[must_use]
pub fn missing() -> Option<String> {
    let programs = ["nginx", "java", "node"];
    let files = ["target/e2e/venv/bin/python", "target/e2e/fleet-go"];
    let absent = files.iter().find(|file| !root().join(file).exists());
    let absent = absent.map(|file| format!("{file} is missing (run tests/setup.sh)"));
    crate::hosts::unusable()
        .or_else(|| crate::skip::missing(&programs))
        .or(absent)
}

/// A running fleet.
pub struct Fleet {
    services: Vec<(&'static str, Process)>,
    gateway: SocketAddr,
    folder: PathBuf,
    /// Where it runs; it outlives the services.
    pub hosts: Hosts,
}

impl Fleet {
    /// Starts it and waits until everything serves.
    ///
    /// # Errors
    /// When something does not.
    pub fn start() -> Result<Self> {
        let hosts = Hosts::make(3)?;
        let folder = root().join(format!("target/e2e/fleet-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut fleet = Self {
            services: Vec::new(),
            gateway: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            folder,
            hosts,
        };
        let mut addresses = BTreeMap::new();
        for (number, plan) in (0_u16..).zip(&PLANS) {
            let host = fleet.hosts.host(plan.host).clone();
            // Each host has ports of its own, by which its processes are chosen.
            let address = SocketAddr::from((host.address, ports(plan.host).0 + number));
            addresses.insert(plan.name, address);
            fleet.begin(plan, &host, address, &addresses)?;
        }
        fleet.gateway = addresses["gateway"];
        Ok(fleet)
    }

    fn begin(
        &mut self,
        plan: &Plan,
        host: &Host,
        address: SocketAddr,
        addresses: &BTreeMap<&str, SocketAddr>,
    ) -> Result<()> {
        let mut command = plan.command();
        let mut ready = (Stream::Out, "ready");
        if plan.name == PROXY {
            let upstream = addresses[plan.peers[0]];
            command.arg("-p").arg(&self.folder).arg("-c");
            command
                .arg(self.proxy(address, upstream)?)
                .args(["-e", "stderr"]);
            ready = (Stream::Err, "start worker process ");
        }
        let peers = plan
            .peers
            .iter()
            .map(|peer| format!("{peer}=http://{}", addresses[peer]));
        command
            .env("OTEL_SERVICE_NAME", plan.name)
            .env("LISTEN", address.to_string())
            .env("PEERS", peers.collect::<Vec<_>>().join(" "))
            .env("FAULT", plan.fault);
        let process = Process::start(plan.name, host.on(&command))?;
        process.wait_for(ready.0, STARTING, |line| {
            line.contains(ready.1).then_some(())
        })?;
        self.services.push((plan.name, process));
        Ok(())
    }

    /// The proxy's configuration.
    fn proxy(&self, address: SocketAddr, upstream: SocketAddr) -> Result<PathBuf> {
        let file = self.folder.join("nginx.conf");
        let text = include_str!("../../apps/fleet/nginx.conf")
            .replace("@LISTEN@", &address.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@FOLDER@", &self.folder.display().to_string());
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Its processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.services
            .iter()
            .map(|(_, process)| process.pid())
            .collect()
    }

    /// Sends `count` requests to the gateway, each with a context and an id of its own.
    ///
    /// # Errors
    /// When one is not answered.
    pub fn drive(&self, clients: usize, count: usize) -> Result<Duration> {
        Clients::new(clients).send(count, |agent, i| {
            let mut rng = fastrand::Rng::new();
            let context = format!("00-{}-{}-01", trace_id(&mut rng), span_id(&mut rng));
            let request = agent.get(format!("http://{}/", self.gateway));
            let request = request.header("traceparent", context);
            finish(request.header("X-Request-Id", format!("request-{i}")))
        })
    }

    /// What the services did for `requests` requests, by what they printed, once they have printed all of it.
    ///
    /// # Errors
    /// When a line is not as agreed.
    pub fn truth(&self, requests: usize) -> Result<Truth> {
        let mut truth = Truth::default();
        for (service, process) in &self.services {
            // Each is asked once for each request, the ledger by four of them; this line is the last one.
            let served = match *service {
                PROXY => 0,
                "ledger" => 4 * requests,
                _ => requests,
            };
            let lines = process.lines(served, STARTING, |line| line.contains("\"served\""));
            for line in lines.iter().filter(|line| line.starts_with('{')) {
                let said: Said = serde_json::from_str(line).with_context(|| line.clone())?;
                truth.add(service, said);
            }
        }
        // The proxy counts nothing: what it handed on came to the ledger without a context.
        let stripped = truth
            .lines
            .get("ledger")
            .and_then(|lines| lines.get("absent"));
        let stripped = stripped.copied().unwrap_or_default() / 2;
        ensure!(stripped == truth.served("gateway"), "{truth:?}");
        truth
            .calls
            .entry((PROXY.to_owned(), "ledger".to_owned()))
            .or_default()
            .insert("dropped".to_owned(), stripped);
        Ok(truth)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (_, process) in &self.services {
            let _ = process.signal(Signal::TERM);
        }
        self.services.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The first and last port of a host's services.
#[must_use]
pub fn ports(host: usize) -> (u16, u16) {
    let first = 8_000 + 100 * u16::try_from(host).unwrap_or_default();
    (first, first + 99)
}

/// A line of a service.
#[derive(Deserialize)]
struct Said {
    message: String,
    to: Option<String>,
    sent: Option<String>,
    log: String,
}

/// What the services did: numbers by verdict.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Calls, by who made them and who was called.
    pub calls: BTreeMap<(String, String), BTreeMap<String, u64>>,
    /// Lines, by who wrote them.
    pub lines: BTreeMap<String, BTreeMap<String, u64>>,
    served: BTreeMap<String, u64>,
}

impl Truth {
    fn add(&mut self, service: &str, said: Said) {
        if let (Some(to), Some(sent)) = (said.to, said.sent) {
            let edge = self.calls.entry((service.to_owned(), to)).or_default();
            *edge.entry(sent).or_default() += 1;
        }
        if said.message == "served" {
            *self.served.entry(service.to_owned()).or_default() += 1;
        }
        let lines = self.lines.entry(service.to_owned()).or_default();
        *lines.entry(said.log).or_default() += 1;
    }

    /// Requests that a service answered.
    #[must_use]
    pub fn served(&self, service: &str) -> u64 {
        self.served.get(service).copied().unwrap_or_default()
    }

    /// All calls.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.calls.values().flat_map(BTreeMap::values).sum()
    }

    /// All lines.
    #[must_use]
    pub fn all_lines(&self) -> u64 {
        self.lines.values().flat_map(BTreeMap::values).sum()
    }
}
