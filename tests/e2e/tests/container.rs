//! The agent in a container as the manifests describe it: its seccomp profile, its capabilities, a root file
//! system that can't be written to, under a runtime that Kubernetes uses.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::agent::until;
use observer_e2e::app::{App, root};
use observer_e2e::driver::Clients;
use observer_e2e::nginx::missing;
use observer_e2e::observer::program;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::process::{Process, Stream};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;
use rustix::process::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// What the DaemonSet adds after it has dropped all.
const CAPABILITIES: [&str; 5] = [
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_ADMIN",
];

/// The profile in the form of the runtime's specification, as a kubelet's runtime translates it.
fn seccomp() -> Result<Value> {
    let profile = std::fs::read_to_string(root().join("deploy/seccomp.json"))?;
    let mut profile: Value = serde_json::from_str(&profile)?;
    let object = profile.as_object_mut().context("an object")?;
    let map = object.remove("archMap").context("architectures")?;
    let all = map.as_array().context("architectures")?.iter();
    let all: Vec<Value> = all.map(|one| one["architecture"].clone()).collect();
    object.insert("architectures".into(), all.into());
    Ok(profile)
}

/// A bundle that runs the agent for the process that listens on `port`. The program of the tests is not static, so
/// the libraries of this machine are in the container, too.
fn bundle(folder: &Path, port: u16) -> Result<()> {
    std::fs::create_dir_all(folder.join("rootfs"))?;
    for name in ["lib", "lib64"] {
        symlink(format!("usr/{name}"), folder.join("rootfs").join(name))?;
    }
    let program = program()?;
    let bind = |from: &Path, to: &str| json!({"destination": to, "source": from, "type": "bind", "options": ["rbind", "ro"]});
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": ["/observer", "agent", "--metrics-listen", "127.0.0.1:0",
                     "--kubernetes-mode", "off", "--include", format!("port={port}")],
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "source": "proc", "type": "proc"},
            bind(Path::new("/usr"), "/usr"),
            bind(Path::new("/sys"), "/sys"),
            bind(&program.canonicalize()?, "/observer"),
        ],
        "linux": {"namespaces": [{"type": "mount"}], "seccomp": seccomp()?},
    });
    Ok(std::fs::write(
        folder.join("config.json"),
        config.to_string(),
    )?)
}

#[test]
fn the_agent_observes_under_its_own_seccomp_profile() -> Result<()> {
    let test = "the agent in a container";
    let _turn = turn();
    if let Some(why) = missing(&["runc"]) {
        skip(test, &why);
        return Ok(());
    }
    if !can_watch(App::THREADS, test) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let service = App::THREADS.start(downstream.address(), 4)?;
    let folder = root().join(format!("target/container-{}", std::process::id()));
    bundle(&folder, service.address.port())?;
    let name = format!("observer-test-{}", std::process::id());
    let mut run = Command::new("runc");
    run.arg("--root").arg(folder.join("state"));
    run.args(["run", "--bundle"]).arg(&folder).arg(&name);
    let container = Process::start("runc", run)?;
    let url = container.wait_for(Stream::Err, LIMIT, |line| {
        Some(format!("http://{}", line.split_once("http://")?.1))
    })?;
    container.wait_for(Stream::Err, LIMIT, |line| {
        line.contains("until SIGTERM").then_some(())
    })?;
    let plan = Mix::only(Mode::Propagate).plan("c", 20, 7);
    Clients::new(1).drive(service.address, &plan)?;
    let mut page = String::new();
    let told = |page: &str, line: &str| page.lines().any(|l| l.starts_with(line));
    until("counts", || {
        let mut answer = ureq::get(format!("{url}metrics")).call()?;
        page = answer.body_mut().read_to_string()?;
        Ok(told(&page, "observer_requests_total{"))
    })?;
    ensure!(
        told(
            &page,
            "observer_agent_probe_attached{probe=\"sys_enter\"} 1"
        ),
        "{page}"
    );
    // runc passes the signal on to the program.
    let ended = container.stop(Signal::TERM, LIMIT)?;
    ensure!(
        ended.status.code() == Some(0),
        "{:?}: {:#?}",
        ended.status,
        ended.err
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
