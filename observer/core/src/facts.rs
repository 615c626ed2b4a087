//! What is known about processes and files from outside the records: the observer reads it from
//! `/proc`, a recording keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{FileId, Tgid};

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
    /// Name of its service: `OTEL_SERVICE_NAME`, else script, jar, module or executable name.
    pub service: String,
    /// What it runs on.
    pub runtime: Option<Runtime>,
    /// Further resource attributes, by their OpenTelemetry names: what the process declares
    /// (`OTEL_RESOURCE_ATTRIBUTES`), its executable, container and host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, String>,
}

/// What is known about an open file description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The description.
    pub file: FileId,
    /// Path that it was opened by, as `/proc/PID/fd` shows it.
    pub path: String,
}
