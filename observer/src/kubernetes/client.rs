//! Asks the API, for as long as the program runs, on a thread of its own.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod as ApiPod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config};
use tokio::runtime::Builder;

use super::directory::At;
use super::{Directory, Owner, Peer, Pod};
use crate::stderr::say;

/// How long one request may take; watches are asked for anew before that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why the API is not asked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This is no pod, and there is no kubeconfig.
    #[error("there is no Kubernetes API to be found: {0}")]
    NoCluster(String),
    /// There is no thread for it, or the client can't be made.
    #[error("the Kubernetes API can't be asked: {0}")]
    Thread(String),
}

/// What is asked of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node whose pods are asked for.
    pub node: String,
    /// The API; where nothing is given, it is found as kubectl and pods do.
    pub config: Option<Config>,
}

/// Begins to ask, and goes on until the program ends.
///
/// # Errors
///
/// See [`StartError`]. An API that does not answer is none: it may come back.
pub fn start(settings: Settings) -> Result<Arc<Directory>, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Thread(error.to_string());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| failed(&e))?;
    let mut config = match settings.config {
        Some(config) => config,
        None => runtime
            .block_on(Config::infer())
            .map_err(|error| StartError::NoCluster(error.to_string()))?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    let client = {
        let _entered = runtime.enter();
        Client::try_from(config).map_err(|e| failed(&e))?
    };
    let directory = Arc::new(Directory::default());
    let known = Arc::clone(&directory);
    thread::Builder::new()
        .name("kubernetes".to_owned())
        .spawn(move || {
            crate::privileges::keep_none();
            runtime.block_on(run(client, &settings.node, &known));
        })
        .map_err(|e| failed(&e))?;
    Ok(directory)
}

async fn run(client: Client, node: &str, directory: &Directory) {
    let pods = pods(client.clone(), node, directory);
    let services = addresses::<Service>(client.clone(), "service", directory, of_service);
    let slices = addresses::<EndpointSlice>(client, "slice", directory, of_slice);
    tokio::join!(pods, services, slices);
}

fn settings() -> watcher::Config {
    // The server ends a watch by itself before that.
    watcher::Config::default().timeout(u32::try_from(TIMEOUT.as_secs()).unwrap_or(30) * 8)
}

async fn pods(client: Client, node: &str, directory: &Directory) {
    let api: Api<ApiPod> = Api::all(client.clone());
    // The kubelet's names are DNS names: nothing that would end the selector early.
    let settings = settings().fields(&format!("spec.nodeName={node}"));
    let mut events = pin!(watcher(api, settings).default_backoff());
    let mut told = Told::new("pods");
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::Apply(pod)) => put(&client, &pod, directory).await,
            Ok(Event::InitApply(pod)) => {
                listed.extend(pod.metadata.uid.clone());
                put(&client, &pod, directory).await;
            }
            Ok(Event::InitDone) => {
                directory.retain_pods(&listed);
                told.works();
            }
            Ok(Event::Delete(pod)) => directory.remove_pod(&pod.metadata.uid.unwrap_or_default()),
            Err(error) => told.fails(&error),
        }
    }
}

async fn put(client: &Client, pod: &ApiPod, directory: &Directory) {
    let Some(pod) = Pod::from_api(pod) else {
        return;
    };
    let (uid, namespace, job) = (pod.uid.clone(), pod.namespace.clone(), pod.job.clone());
    directory.put_pod(pod);
    if let Some(job) = job
        && let Some(owner) = cron_job(client, &namespace, &job).await
    {
        directory.set_owner(&uid, owner);
    }
}

/// What owns a Job. Where that may not be asked, the Job itself is the owner.
async fn cron_job(client: &Client, namespace: &str, job: &str) -> Option<Owner> {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let asked = tokio::time::timeout(TIMEOUT, api.get_metadata_opt(job)).await;
    let owners = asked.ok()?.ok()??.metadata.owner_references?;
    let owner = owners.into_iter().find(|o| o.controller == Some(true))?;
    Some(Owner {
        kind: owner.kind,
        name: owner.name,
    })
}

/// Who is behind which addresses.
type Addresses = (Peer, Vec<At>);

/// Keeps the addresses of objects of one kind.
async fn addresses<K>(
    client: Client,
    kind: &'static str,
    directory: &Directory,
    read: fn(&K) -> Option<Addresses>,
) where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::all(client);
    let mut events = pin!(watcher(api, settings()).default_backoff());
    let mut told = Told::new(kind);
    let mut listed = BTreeSet::new();
    let name = |object: &K| {
        let meta = object.meta();
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{kind}/{}/{}", part(&meta.namespace), part(&meta.name))
    };
    let put = |object: &K| {
        if let Some((peer, addresses)) = read(object) {
            directory.put_addresses(name(object), peer, addresses);
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::Apply(object)) => put(&object),
            Ok(Event::InitApply(object)) => {
                listed.insert(name(&object));
                put(&object);
            }
            Ok(Event::InitDone) => {
                directory.retain_addresses(kind, &listed);
                told.works();
            }
            Ok(Event::Delete(object)) => directory.remove_addresses(&name(&object)),
            Err(error) => told.fails(&error),
        }
    }
}

/// The addresses that a Service has in the cluster, each with its ports.
fn of_service(service: &Service) -> Option<Addresses> {
    let spec = service.spec.as_ref()?;
    let ips = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let ips: BTreeSet<IpAddr> = ips.filter_map(|ip| ip.parse().ok()).collect();
    let ports: Vec<u16> = spec
        .ports
        .iter()
        .flatten()
        .filter_map(|port| u16::try_from(port.port).ok())
        .collect();
    let addresses = ips
        .iter()
        .flat_map(|ip| ports.iter().map(|port| (*ip, Some(*port))));
    Some((
        peer(
            service.metadata.name.as_ref()?,
            service.metadata.namespace.as_ref()?,
        ),
        addresses.collect(),
    ))
}

/// The addresses of the pods behind a Service, each with its ports.
fn of_slice(slice: &EndpointSlice) -> Option<Addresses> {
    let labels = slice.metadata.labels.as_ref()?;
    let name = labels.get("kubernetes.io/service-name")?;
    let ports: Vec<Option<u16>> = slice
        .ports
        .iter()
        .flatten()
        .map(|port| port.port.and_then(|port| u16::try_from(port).ok()))
        .collect();
    let ips = slice
        .endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.addresses);
    let ips: BTreeSet<IpAddr> = ips.filter_map(|ip| ip.parse().ok()).collect();
    let addresses = ips
        .iter()
        .flat_map(|ip| ports.iter().map(|port| (*ip, *port)));
    Some((
        peer(name, slice.metadata.namespace.as_ref()?),
        addresses.collect(),
    ))
}

fn peer(name: &str, namespace: &str) -> Peer {
    let short = |text: &str| text.chars().take(253).collect();
    Peer {
        name: short(name),
        namespace: short(namespace),
    }
}

/// Says once that something does not work, and once that it does again.
struct Told {
    what: &'static str,
    failing: bool,
}

impl Told {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            failing: false,
        }
    }

    fn fails(&mut self, error: &watcher::Error) {
        if !self.failing {
            self.failing = true;
            let what = self.what;
            say(format_args!(
                "the Kubernetes API does not tell {what}: {}; names come from the host alone until it does",
                reason(error)
            ));
        }
    }

    fn works(&mut self) {
        if self.failing {
            self.failing = false;
            say(format_args!("the Kubernetes API tells {} again", self.what));
        }
    }
}

/// The innermost reason, which says what happened, on one line.
fn reason(error: &watcher::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    observer_core::text::printable(&text)
        .chars()
        .take(300)
        .collect()
}
