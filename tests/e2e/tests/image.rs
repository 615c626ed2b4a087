//! The container image: what the recipe puts into it, and that the program runs there as the manifests run it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use observer_e2e::agent::{LIMIT, sum_of, until};
use observer_e2e::app::{App, root};
use observer_e2e::container::{bind, start};
use observer_e2e::dns;
use observer_e2e::driver::Clients;
use observer_e2e::image::{Image, program};
use observer_e2e::otlp::{Answer, Fake};
use observer_e2e::plan::{Mix, Mode, Planned};
use observer_e2e::process::{Process, Stream};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::{missing, skip};
use rustix::process::Signal;
use serde_json::{Value, json};

/// All that is in the image.
const HELD: [&str; 5] = [
    "etc",
    "etc/ssl",
    "etc/ssl/certs",
    "etc/ssl/certs/ca-certificates.crt",
    "observer",
];
/// A name that is this machine by the file of hosts.
const BY_FILE: &str = "agent.observer.test";
/// A name that is this machine by the name server.
const BY_SERVER: &str = "collector.observer.test";

/// Paths of all that lies below a folder, in order.
fn contents(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    let names = found.iter().map(|path| path.strip_prefix(folder));
    let mut names = names
        .map(|name| Ok(name?.display().to_string()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn says_what_it_is(config: &Value) -> Result<()> {
    ensure!(config["Entrypoint"] == json!(["/observer"]), "{config:#}");
    ensure!(config["Cmd"] == json!(["agent"]), "{config:#}");
    for (label, value) in [("title", "observer"), ("licenses", "Apache-2.0")] {
        let label = format!("org.opencontainers.image.{label}");
        ensure!(config["Labels"][&label] == value, "{config:#}");
    }
    Ok(())
}

/// A root file system made of the image, and what a kubelet mounts there: configuration, hosts, name servers.
struct Bed {
    folder: PathBuf,
    root: PathBuf,
}

impl Bed {
    fn new(image: &Image, folder: &Path, configuration: &Value, server: Ipv4Addr) -> Result<Self> {
        let bed = Self {
            folder: folder.to_owned(),
            root: image.unpack()?,
        };
        fs::create_dir_all(bed.folder.join("configuration"))?;
        for (name, text) in [
            ("configuration/agent.yaml", configuration.to_string()),
            ("hosts", format!("127.0.0.1 localhost {BY_FILE}\n")),
            ("resolv.conf", format!("nameserver {server}\n")),
        ] {
            fs::write(bed.folder.join(name), text)?;
        }
        Ok(bed)
    }

    /// Runs the image's program with these arguments.
    fn run(&self, name: &str, args: &[&str]) -> Result<Process> {
        let command = [&["/observer"], args].concat();
        let mounts = [
            ("configuration", "/etc/observer"),
            ("hosts", "/etc/hosts"),
            ("resolv.conf", "/etc/resolv.conf"),
        ];
        let mounts = mounts.map(|(from, to)| bind(&self.folder.join(from), to));
        let folder = self.folder.join(name);
        start(&folder, &self.root, &command, mounts.to_vec())
    }
}

/// The agent in the image, with the DaemonSet's arguments.
struct Agent {
    process: Process,
    address: SocketAddr,
}

impl Agent {
    /// Waits until it is ready.
    fn start(bed: &Bed) -> Result<Self> {
        let args = ["agent", "--config", "/etc/observer/agent.yaml"];
        let process = bed.run("agent", &args)?;
        let address = process.wait_for(Stream::Err, LIMIT, |line| {
            let (_, url) = line.split_once("http://")?;
            url.strip_suffix('/')?.parse().ok()
        })?;
        let agent = Self { process, address };
        until("ready", || Ok(agent.get("/readyz").is_ok()))?;
        Ok(agent)
    }

    /// What it answers, if well.
    fn get(&self, path: &str) -> Result<String> {
        let mut answer = ureq::get(format!("http://{}{path}", self.address)).call()?;
        Ok(answer.body_mut().read_to_string()?)
    }

    /// Waits until it has counted what was asked of the service.
    fn counts(&self, plan: &[Planned]) -> Result<()> {
        let calls: u32 = plan.iter().map(|one| one.calls).sum();
        let mut page = String::new();
        until("counts", || {
            page = self.get("/metrics")?;
            let counted = [
                sum_of(&page, "observer_requests_total", ""),
                sum_of(&page, "observer_calls_total", "verdict=\"propagated\""),
            ];
            Ok(counted == [plan.len() as f64, f64::from(calls)])
        })
        .with_context(|| page)
    }
}

/// Why the image can't be tried here, or the program that goes into it.
fn prepared() -> Result<PathBuf, String> {
    if let Some(why) = missing(&["buildah", "runc"]) {
        return Err(why);
    }
    let unbuilt = "its static program is not built (run cargo xtask test --e2e image)";
    program().ok_or_else(|| unbuilt.to_owned())
}

#[test]
fn the_image_holds_the_program_alone_and_observes() -> Result<()> {
    let test = "the container image";
    let _turn = turn();
    let program = match prepared() {
        Ok(program) => program,
        Err(why) => {
            skip(test, &why);
            return Ok(());
        }
    };
    if !can_watch(App::THREADS, test) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let service = App::THREADS.start(downstream.address(), 4)?;
    let collector = Fake::start(|_, _, _| Answer::taken())?;
    // Name servers have one port: an address that others do not use.
    let [.., high, low] = std::process::id().to_be_bytes();
    let server = Ipv4Addr::new(127, 53, high, low.clamp(1, 254));
    dns::serve(server, BY_SERVER)?;
    let configuration = json!({
        "include": [{"port": service.address.port()}],
        "metrics": {"listen": "127.0.0.1:0"},
        "kubernetes": {"mode": "off"},
        "otlp": {"endpoint": collector.endpoint().replace("127.0.0.1", BY_SERVER), "protocol": "http/protobuf"},
    });

    let folder = root().canonicalize()?;
    let folder = folder.join(format!("target/image-{}", std::process::id()));
    let image = Image::build(folder.clone(), &program)?;
    says_what_it_is(&image.config()?)?;
    let bed = Bed::new(&image, &folder, &configuration, server)?;
    let held = contents(&bed.root)?;
    ensure!(held == HELD, "{held:#?}");

    let agent = Agent::start(&bed)?;
    let plan = Mix::only(Mode::Propagate).plan("i", 20, 7);
    Clients::new(1).drive(service.address, &plan)?;
    agent.counts(&plan)?;
    until("an export", || Ok(!collector.came("/v1/logs").is_empty()))?;

    let by_name = format!("{BY_FILE}:{}", agent.address.port());
    let report = ["report", "--agent", &by_name, "--format", "json"];
    let report = bed.run("report", &report)?.ended(LIMIT)?;
    ensure!(report.status.success(), "{report:#?}");
    let told = report.out.concat();
    ensure!(told.contains("service-threads"), "{told}");

    let ended = agent.process.stop(Signal::TERM, LIMIT)?;
    ensure!(ended.status.code() == Some(0), "{ended:#?}");
    drop(image);
    ensure!(!folder.exists(), "{} is left", folder.display());
    Ok(())
}
