//! `observer agent`: observes the services of a host for good.
//!
//! ```text
//! configuration ─► rules ─► watch ─► session ─► sinks: metrics, JSON, OTLP
//!        SIGHUP ──┘           ▲          │
//!                 Kubernetes ─┘ budget ◄─┘
//! ```

mod board;
mod choose;
mod daemons;
mod fold;
mod listeners;
mod metrics;
mod reload;
mod serve;
mod sink;

use std::io;
use std::sync::Arc;

use std::time::{SystemTime, UNIX_EPOCH};

use board::Board;
use choose::{ByRules, Current, Rules};
use observer_core::engine::Input;
use observer_core::facts::{PeerFacts, PeerName};
use observer_core::judged::WallTime;
use reload::Reloader;
use rustix::system::uname;
use serve::{ServeError, Server};
use sink::AgentSink;

use crate::budget::Governor;
use crate::cli::agent::{
    AgentArgs, AgentPlan, KubernetesMode, KubernetesPlan, Listen, ReadError, load,
};
use crate::cli::exit::Exit;
use crate::cli::export::HealPlan;
use crate::facts::Enrich;
use crate::heal;
use crate::kernel::CaptureConfig;
use crate::kubernetes::{self, At, Directory, Naming, Peer};
use crate::otlp::StartError;
use crate::privileges::{self, PrivilegeError};
use crate::stderr::say;
use crate::watch::{self, Pulse, Ready, Setup};

/// Why the agent can't begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ReadError),
    /// The HTTP server can't begin.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The export can't begin.
    #[error(transparent)]
    Export(#[from] StartError),
    /// The JSON can't be written.
    #[error("json.file: {0}")]
    Json(io::Error),
    /// The Kubernetes API is to be asked, and can't be.
    #[error("kubernetes.mode is on, but {0}")]
    Kubernetes(#[from] kubernetes::StartError),
    /// Privileges can't be given up.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Signals can't be handled.
    #[error("signals can't be handled: {0}")]
    Signals(io::Error),
    /// The probes can't be used.
    #[error(transparent)]
    Watch(#[from] watch::Error),
}

/// Runs `observer agent`.
///
/// # Errors
///
/// See [`Error`].
pub fn run(args: &AgentArgs) -> Result<Exit, Error> {
    let plan = load(args)?;
    if args.check_config {
        println!("the configuration is right:");
        describe(&plan).iter().for_each(|line| println!("  {line}"));
        return Ok(Exit::Ok);
    }
    // First what is quick to fail, so that nothing has to be undone.
    let listener = match plan.metrics.listen {
        Listen::At(address) => Some(serve::listen(address)?),
        Listen::Off => None,
    };
    // Before there are other threads, which inherit what this one has.
    if plan.privileges.drop {
        privileges::keep_needed(true)?;
    }
    let stop = watch::stop_flag().map_err(Error::Signals)?;
    let names = names(&plan.kubernetes)?;
    let node = node(&plan.kubernetes);
    let board = Arc::new(Board::new(node, now()));
    let current = Current::default();
    current.set(rules(&plan));
    let governor = Governor::new(plan.budget);
    let reloader = Reloader::new(
        args.clone(),
        plan.clone(),
        current.clone(),
        governor.limits(),
    );
    let reopen = reloader.start(Arc::clone(&board)).map_err(Error::Signals)?;
    if let Some(listener) = listener {
        let address = listener.local_addr().ok();
        let server = Server::new(
            Arc::clone(&board),
            plan.metrics.edges,
            plan.metrics.exemplars,
        );
        serve::start(listener, Arc::new(server))?;
        if let Some(address) = address {
            say(format_args!("metrics and status are at http://{address}/"));
        }
    }
    let sink = AgentSink::new(
        Arc::clone(&board),
        plan.json.as_ref(),
        plan.show_query,
        reopen,
    );
    let sink = Box::new(sink.map_err(Error::Json)?);
    let (sink, export) = heal::around_with_gauge(plan.heal.as_ref(), sink)?;
    board.set_export(export);
    let directory = names.as_ref().map(|naming| Arc::clone(&naming.directory));
    let setup = Setup {
        capture: CaptureConfig {
            all_execs: true,
            types: plan.btf.clone(),
            sample_logs: !plan.heal.as_ref().is_some_and(HealPlan::exports_logs),
            ..CaptureConfig::default()
        },
        chooser: Box::new(ByRules::new(current, directory.clone())),
        names: names.map(|naming| Arc::new(naming) as Arc<dyn Enrich>),
        pulse: Some(pulse(Arc::clone(&board), governor, directory)),
        show_query: plan.show_query,
        detail: plan.detail,
    };
    let watched = watch::observe(setup, sink, stop, |ready| {
        if plan.privileges.drop && !plan.privileges.attach {
            privileges::keep_needed(false).map_err(|error| watch::Error::Ready(error.into()))?;
        }
        // Whoever waits for the announcement asks at once.
        board.hear();
        board.set_ready(true);
        announce(&plan, ready);
        Ok(())
    });
    board.set_ready(false);
    watched?;
    say("everything is delivered or counted; the agent ends");
    Ok(Exit::Ok)
}

/// Shown while not everything is observed.
const SAMPLED: &str = "only a share of connections is observed, or a part of the time: counts are of that share, and of the rest there are estimates";

/// What the session does beside its work, whenever it looks for records.
fn pulse(board: Arc<Board>, mut governor: Governor, directory: Option<Arc<Directory>>) -> Pulse {
    Box::new(move |capture, into| {
        if board.is_asked() {
            board.put_kernel(capture.counters(), capture.status().to_vec());
        }
        for (at, peer) in directory.iter().flat_map(|d| d.take_changes()) {
            into(Input::Peer(peer_facts(at, peer)));
        }
        if let Some(change) = governor.look(capture, |ceiling| board.over(ceiling)) {
            if change.is_of_share() {
                say(change);
                board.set_keep(change.keep, change.every);
                board.note(SAMPLED, change.leaves_out());
            }
            change.apply(capture, into);
        }
        governor.turn(capture)
    })
}

fn peer_facts((address, port): At, peer: Option<Peer>) -> PeerFacts {
    PeerFacts {
        address,
        port,
        name: peer.map(|peer| PeerName {
            name: peer.name,
            namespace: peer.namespace,
        }),
    }
}

fn rules(plan: &AgentPlan) -> Rules {
    Rules {
        include: plan.include.clone(),
        exclude: plan.exclude.clone(),
        system: plan.system,
    }
}

/// Names from the Kubernetes API, if it is to be asked and is there.
fn names(plan: &KubernetesPlan) -> Result<Option<Naming>, Error> {
    let settings = kubernetes::Settings {
        node: node(plan),
        config: None,
    };
    let started = match plan.mode {
        KubernetesMode::Off => return Ok(None),
        KubernetesMode::On => kubernetes::start(settings).map(Some)?,
        KubernetesMode::Auto => kubernetes::start(settings).ok(),
    };
    Ok(started.map(|directory| Naming {
        directory,
        labels: plan.labels,
    }))
}

/// Name of the node: as configured, as the pod's manifest says, or the host's.
fn node(plan: &KubernetesPlan) -> String {
    let variable = || {
        std::env::var("NODE_NAME")
            .ok()
            .filter(|name| !name.is_empty())
    };
    let given = plan.node.clone().or_else(variable);
    given.unwrap_or_else(|| uname().nodename().to_string_lossy().into_owned())
}

fn now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What the configuration comes to, for people.
fn describe(plan: &AgentPlan) -> Vec<String> {
    let list = |rules: &[crate::cli::agent::Rule], none: &str| match rules {
        [] => none.to_owned(),
        rules => rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    };
    let everything = if plan.system {
        "everything"
    } else {
        "everything but the system's daemons"
    };
    let listen = match plan.metrics.listen {
        Listen::Off => "off".to_owned(),
        Listen::At(address) => address.to_string(),
    };
    let json = plan
        .json
        .as_ref()
        .map_or("off".to_owned(), |json| match &json.target {
            crate::cli::agent::Target::Stdout => "standard output".to_owned(),
            crate::cli::agent::Target::File(path) => path.display().to_string(),
        });
    let otlp = plan.heal.as_ref().and_then(|heal| heal.otlp.as_ref());
    let otlp = otlp.map_or("off", |otlp| {
        otlp.endpoint
            .as_deref()
            .unwrap_or("as OTEL_EXPORTER_OTLP_ENDPOINT says")
    });
    vec![
        format!("observed: {}", list(&plan.include, everything)),
        format!("not observed: {}", list(&plan.exclude, "nothing more")),
        format!("metrics and status: {listen}; JSON: {json}; OTLP: {otlp}"),
        format!(
            "budget: {}, {}, {} of connections",
            plan.budget.cpu, plan.budget.memory, plan.budget.sample
        ),
    ]
}

/// Says that the probes are attached. Scripts wait for this line.
fn announce(plan: &AgentPlan, ready: &Ready) {
    let observed = &describe(plan)[0];
    say(format_args!(
        "{observed} ({} processes now), until SIGTERM",
        ready.names.len()
    ));
    for probe in &ready.missing {
        say(probe);
    }
}
