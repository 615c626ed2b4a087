//! What is kept of a pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod as ApiPod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::cli::pattern::matches;

/// The longest name, label or annotation that is kept, bytes. Names have at most 253 (RFC 1123), values of
/// labels 63; of annotations, only those for resources are kept.
const LENGTH: usize = 253;

/// Labels and annotations that are kept of one pod, at most each.
const ENTRIES: usize = 64;

/// What owns a pod in the end: not a ReplicaSet, but its Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind, as the API writes it: `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its uid; its control groups are named by it.
    pub uid: String,
    /// Hash of a static pod's configuration: names its control groups instead of the uid.
    pub hash: Option<String>,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its node.
    pub node: Option<String>,
    /// What owns it; absent if nothing does.
    pub owner: Option<Owner>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations that begin with `resource.opentelemetry.io/`, without that.
    pub resource: BTreeMap<String, String>,
    /// Names of its containers by their ids.
    pub containers: BTreeMap<String, String>,
    /// How many containers its specification has.
    pub container_count: usize,
    /// Whether its owner has still to be asked for (a Job's CronJob).
    pub job: Option<String>,
}

/// Annotations that say what a resource is.
const RESOURCE: &str = "resource.opentelemetry.io/";

/// The annotation by which the kubelet names a static pod's configuration.
const HASH: &str = "kubernetes.io/config.hash";

/// Set by the Deployment's controller, as the last part of its ReplicaSets' names.
const TEMPLATE_HASH: &str = "pod-template-hash";

impl Pod {
    /// What is kept of what the API tells; nothing if it has no uid or name.
    #[must_use]
    pub fn from_api(pod: &ApiPod) -> Option<Self> {
        let meta = &pod.metadata;
        let labels = kept(meta.labels.as_ref(), Some);
        let annotations = meta.annotations.as_ref();
        let owners = meta.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        let controller = controller.or(owners.first());
        let status = pod.status.as_ref();
        let statuses = status.map(|status| {
            [
                &status.container_statuses,
                &status.init_container_statuses,
                &status.ephemeral_container_statuses,
            ]
        });
        let containers = statuses
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .take(ENTRIES)
            .filter_map(|status| {
                // `containerd://ID`
                let id = status.container_id.as_ref()?.rsplit('/').next()?;
                Some((short(id), short(&status.name)))
            });
        Some(Self {
            uid: short(meta.uid.as_ref()?),
            hash: annotations
                .and_then(|a| a.get(HASH))
                .map(|hash| short(hash)),
            name: short(meta.name.as_ref()?),
            namespace: short(meta.namespace.as_ref()?),
            node: pod
                .spec
                .as_ref()
                .and_then(|s| s.node_name.as_deref())
                .map(short),
            owner: controller.map(|owner| top(owner, &labels)),
            job: controller
                .filter(|o| o.kind == "Job")
                .map(|o| short(&o.name)),
            containers: containers.collect(),
            container_count: pod.spec.as_ref().map_or(0, |spec| spec.containers.len()),
            resource: kept(annotations, |name| name.strip_prefix(RESOURCE)),
            labels,
        })
    }

    /// The name of a container, by its id.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&str> {
        self.containers.get(id).map(String::as_str)
    }

    /// Whether its owner matches a pattern for its name, or for `kind/name` with the kind in lower case.
    #[must_use]
    pub fn is_owned_by(&self, pattern: &str) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| match pattern.split_once('/') {
                Some((kind, name)) => {
                    owner.kind.eq_ignore_ascii_case(kind) && matches(name, &owner.name)
                }
                None => matches(pattern, &owner.name),
            })
    }
}

/// What owns a controller, as far as it can be told without asking: a Deployment names its ReplicaSets
/// `NAME-HASH`, and labels their pods with that hash.
fn top(owner: &OwnerReference, labels: &BTreeMap<String, String>) -> Owner {
    let deployment = labels
        .get(TEMPLATE_HASH)
        .filter(|_| owner.kind == "ReplicaSet")
        .and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    match deployment {
        Some(name) => Owner {
            kind: "Deployment".into(),
            name: short(name),
        },
        None => Owner {
            kind: short(&owner.kind),
            name: short(&owner.name),
        },
    }
}

fn kept<'a>(
    all: Option<&'a BTreeMap<String, String>>,
    name: impl Fn(&'a str) -> Option<&'a str>,
) -> BTreeMap<String, String> {
    all.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((short(name(key)?), short(value))))
        .take(ENTRIES)
        .collect()
}

fn short(text: &str) -> String {
    let mut end = text.len().min(LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
