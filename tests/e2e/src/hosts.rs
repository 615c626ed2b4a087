//! Hosts: network namespaces that are joined by a bridge, which the test itself is on, too.
//!
//! They share everything else: processes, files, the kernel. An observer in one of them has to be told which
//! processes are its host's.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::observer::unavailable;
use crate::skip::missing;

/// What is missing to have hosts.
#[must_use]
pub fn unusable() -> Option<String> {
    unavailable()
        .map(str::to_owned)
        .or_else(|| missing(&["ip"]))
}

/// Some hosts. Dropping them takes them away.
pub struct Hosts {
    bridge: String,
    address: Ipv4Addr,
    hosts: Vec<Host>,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its network namespace.
    pub name: String,
    /// Its address, under which all others reach it.
    pub address: Ipv4Addr,
}

impl Hosts {
    /// Makes `count` of them. Their network is one of RFC 2544, chosen by the process's id.
    ///
    /// # Errors
    /// When the kernel or its tools refuse.
    pub fn make(count: u8) -> Result<Self> {
        let pid = std::process::id();
        let [.., third] = pid.to_be_bytes();
        let mut hosts = Self {
            bridge: format!("obs{pid}"),
            address: Ipv4Addr::new(198, 18, third, 254),
            hosts: Vec::new(),
        };
        let bridge = hosts.bridge.clone();
        let own = format!("{}/24", hosts.address);
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &own, "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for n in 1..=count {
            let host = Host {
                name: format!("obs{pid}-{n}"),
                address: Ipv4Addr::new(198, 18, third, n),
            };
            ip(&["netns", "add", &host.name])?;
            hosts.hosts.push(host.clone());
            host.join(&bridge, n)?;
        }
        Ok(hosts)
    }

    /// The test's own address on their network.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The host with this number, from 0.
    #[must_use]
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number]
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&["netns", "del", &host.name]);
        }
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

impl Host {
    fn join(&self, bridge: &str, number: u8) -> Result<()> {
        let (outside, address) = (format!("{bridge}v{number}"), format!("{}/24", self.address));
        let pair = ["type", "veth", "peer", "name", "eth0", "netns", &self.name];
        ip(&[&["link", "add", &outside][..], &pair].concat())?;
        ip(&["link", "set", &outside, "master", bridge, "up"])?;
        ip(&["-n", &self.name, "addr", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &self.name, "link", "set", "eth0", "up"])?;
        ip(&["-n", &self.name, "link", "set", "lo", "up"])
    }

    /// The same command on this host. Its process is the command's own.
    #[must_use]
    pub fn on(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there
            .args(["netns", "exec", &self.name])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {said}", args.join(" "));
    Ok(())
}
