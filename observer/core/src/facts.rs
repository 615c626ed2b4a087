//! What is known about processes and files from outside the records: the observer reads it from
//! `/proc`, a recording keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{FileId, Tgid, Tid};

/// What a process runs on, where it was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// CPython.
    Python,
    /// Node.js.
    Node,
    /// A Java virtual machine.
    Java,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// .NET.
    Dotnet,
    /// A proxy: nginx, HAProxy, Envoy.
    Proxy,
    /// Another native program.
    Native,
}

/// What is known about a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// The process.
    pub tgid: Tgid,
    /// Name of its service: as its SDK publishes it, else `OTEL_SERVICE_NAME`, else script, jar, module or executable name.
    pub service: String,
    /// What it runs on.
    pub runtime: Option<Runtime>,
    /// Further resource attributes, by their OpenTelemetry names: what the process declares
    /// (`OTEL_RESOURCE_ATTRIBUTES`), its executable, container and host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, String>,
    /// Whether its executions can be told apart; absent while it is not known, or if the runtime has
    /// none but threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executions: Option<Executions>,
    /// Whether it may read and write sockets through an `io_uring`, which no probe sees.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ring: bool,
    /// Whether each of its events is of one connection and is handled before the next one begins, as in nginx.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub events: bool,
    /// Its threads that are workers by their names: of a server that gives each of them one request at a time, and
    /// nothing else (Tomcat, Puma).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub workers: BTreeSet<Tid>,
}

impl ProcessFacts {
    /// A process of which nothing is known but the name of its service.
    #[must_use]
    pub fn named(tgid: Tgid, service: &str) -> Self {
        Self {
            tgid,
            service: service.to_owned(),
            runtime: None,
            resource: BTreeMap::new(),
            executions: None,
            ring: false,
            events: false,
            workers: BTreeSet::new(),
        }
    }
}

/// Whether the executions of a process can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Executions {
    /// Its records name them.
    Known {
        /// What they are.
        kind: ExecutionKind,
        /// Probes that could not be put in place, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// They are not looked at for now, to save the process's time; what they do meanwhile stays unseen.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
    },
    /// They can't, for this reason.
    Unavailable(String),
}

/// What kind of execution something is (`observer_abi::runtime`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionKind {
    /// A goroutine.
    Goroutine,
    /// A `contextvars` context of Python: one per asyncio task.
    PythonContext,
    /// A greenlet of Python's, which gevent runs everything in.
    Greenlet,
    /// A tokio task.
    TokioTask,
    /// What Node runs on behalf of.
    NodeAsync,
    /// A Java virtual thread.
    VirtualThread,
    /// A stream of HAProxy's: a request and its response.
    HaproxyStream,
    /// No execution, but the trace that a thread publishes to work in (OTEP 4947): its id's halves are identity and
    /// origin.
    Published,
    /// The same as another observer of the host tells it (`traces_ctx_v1` of OpenTelemetry eBPF Instrumentation).
    Pinned,
}

impl fmt::Display for ExecutionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Goroutine => "goroutine",
            Self::PythonContext => "context",
            Self::Greenlet => "greenlet",
            Self::TokioTask => "task",
            Self::NodeAsync => "async id",
            Self::VirtualThread => "virtual thread",
            Self::HaproxyStream => "stream",
            Self::Published => "published context",
            Self::Pinned => "pinned context",
        })
    }
}

/// What is known about an open file description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The description.
    pub file: FileId,
    /// Path that it was opened by, as `/proc/PID/fd` shows it.
    pub path: String,
    /// The standard stream that it is in the process that used it first, by another descriptor than this
    /// one: 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<u8>,
}

/// Who is behind an address outside of what is observed: a Service of the cluster, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFacts {
    /// The address.
    pub address: IpAddr,
    /// The TCP port; absent if all ports are meant.
    pub port: Option<u16>,
    /// Who is there; absent if nobody that is known is any longer.
    pub name: Option<PeerName>,
}

/// The name of a service that is not observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerName {
    /// Its name.
    pub name: String,
    /// Its namespace; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}
