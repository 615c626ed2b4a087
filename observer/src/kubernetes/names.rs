//! Names by OpenTelemetry's rules ("Specify resource attributes using Kubernetes annotations", semantic
//! conventions 1.37).

use std::collections::BTreeMap;
use std::sync::Arc;

use observer_core::facts::{ProcessFacts, Runtime};
use opentelemetry_semantic_conventions::resource::{
    K8S_CONTAINER_NAME, K8S_NAMESPACE_NAME, K8S_NODE_NAME, K8S_POD_NAME, K8S_POD_UID,
    SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION,
};

use super::{Directory, Pod};
use crate::facts::Process;
use crate::facts::container::container;

/// Gives processes the names of their pods.
#[derive(Clone, Debug)]
pub struct Naming {
    /// What the API has told.
    pub directory: Arc<Directory>,
    /// Whether `app.kubernetes.io/instance` and `/name` name services.
    pub labels: bool,
}

impl crate::facts::Enrich for Naming {
    fn enrich(&self, process: &Process, declared: bool, facts: &mut ProcessFacts) {
        let Some(container) = container(&process.cgroups()) else {
            return;
        };
        if let Some(pod) = self.directory.pod(&container) {
            let name = pod.container(&container.id);
            name_by(&pod, name, self.labels, declared, facts);
        }
    }

    fn version(&self) -> u64 {
        self.directory.version()
    }
}

/// Adds what a pod says of a process in its container. A name that the process `declared` itself
/// (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) stands: its own telemetry has it.
pub fn name_by(
    pod: &Pod,
    container: Option<&str>,
    labels: bool,
    declared: bool,
    facts: &mut ProcessFacts,
) {
    if !declared && let Some(name) = service(pod, labels) {
        facts.service = match container {
            // A sidecar is a hop of its own: one name for both would blame the service for its proxy.
            Some(container) if facts.runtime == Some(Runtime::Proxy) && pod.container_count > 1 => {
                format!("{name}/{container}")
            }
            _ => name.to_owned(),
        };
    }
    let label = |name: &str| {
        let known = pod.labels.get(name).filter(|_| labels);
        known.cloned()
    };
    let instance = container.map(|c| format!("{}.{}.{c}", pod.namespace, pod.name));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.resource.entry(name.to_owned()).or_insert(value);
        }
    };
    for (name, value) in pod
        .resource
        .iter()
        .filter(|(name, _)| *name != SERVICE_NAME)
    {
        add(name, Some(value.clone()));
    }
    add(SERVICE_NAMESPACE, Some(pod.namespace.clone()));
    add(SERVICE_VERSION, label("app.kubernetes.io/version"));
    add(SERVICE_INSTANCE_ID, instance);
    add(K8S_NAMESPACE_NAME, Some(pod.namespace.clone()));
    add(K8S_POD_NAME, Some(pod.name.clone()));
    add(K8S_POD_UID, Some(pod.uid.clone()));
    add(K8S_NODE_NAME, pod.node.clone());
    add(K8S_CONTAINER_NAME, container.map(str::to_owned));
    if let Some(owner) = &pod.owner {
        // `k8s.deployment.name`, `k8s.statefulset.name`, …
        let kind = owner.kind.to_lowercase();
        add(&format!("k8s.{kind}.name"), Some(owner.name.clone()));
    }
}

/// The first of: annotation, labels, owner, pod.
fn service(pod: &Pod, labels: bool) -> Option<&str> {
    let known = |from: &BTreeMap<String, String>, name: &str| {
        let value = from.get(name).filter(|value| !value.is_empty());
        value.is_some()
    };
    if known(&pod.resource, SERVICE_NAME) {
        return pod.resource.get(SERVICE_NAME).map(String::as_str);
    }
    for label in ["app.kubernetes.io/instance", "app.kubernetes.io/name"] {
        if labels && known(&pod.labels, label) {
            return pod.labels.get(label).map(String::as_str);
        }
    }
    let owner = pod.owner.as_ref().map(|owner| owner.name.as_str());
    owner
        .or(Some(pod.name.as_str()))
        .filter(|name| !name.is_empty())
}
