//! The agent under the seccomp profile, the capabilities and the read-only root file system of the manifests.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};
use observer_e2e::agent::{LIMIT, until};
use observer_e2e::app::{App, root};
use observer_e2e::container::{bind, start};
use observer_e2e::driver::Clients;
use observer_e2e::observer::program;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::process::{Process, Stream};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::{missing, skip};
use rustix::process::Signal;

/// Runs the agent for the process that listens on `port`. The program of the tests is not static, so the libraries of
/// this machine are in the container, too.
fn agent(folder: &Path, port: u16) -> Result<Process> {
    let own = folder.join("rootfs");
    std::fs::create_dir_all(&own)?;
    for name in ["lib", "lib64"] {
        symlink(format!("usr/{name}"), own.join(name))?;
    }
    let mounts = vec![
        bind(Path::new("/usr"), "/usr"),
        bind(&program()?.canonicalize()?, "/observer"),
    ];
    let port = format!("port={port}");
    let command = [
        "/observer",
        "agent",
        "--metrics-listen",
        "127.0.0.1:0",
        "--kubernetes-mode",
        "off",
        "--include",
        &port,
    ];
    start(folder, &own, &command, mounts)
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
    let container = agent(&folder, service.address.port())?;
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
