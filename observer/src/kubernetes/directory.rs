//! What the API has told so far.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Owner, Pod};
use crate::facts::container::Container;

/// Pods that are kept, at most: a node has some hundred.
const MAX_PODS: usize = 4_096;

/// Sources of addresses (Services, EndpointSlices) that are kept, at most.
const MAX_SOURCES: usize = 65_536;

/// Addresses of one source that are kept, at most: an EndpointSlice has 1 000 (API's own bound).
const MAX_ADDRESSES: usize = 1_000;

/// Who is behind an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Name of the Service.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// An address with a port, or with any.
pub type At = (IpAddr, Option<u16>);

#[derive(Debug, Default)]
struct Known {
    pods: HashMap<String, Arc<Pod>>,
    /// Uids by the hashes of static pods.
    hashes: HashMap<String, String>,
    /// Uids by the ids of containers.
    containers: HashMap<String, String>,
    sources: HashMap<String, (Peer, Vec<At>)>,
    /// Addresses whose peer may have changed since they were last asked for.
    changed: BTreeSet<At>,
    version: u64,
}

/// Pods of this node, and Services of the cluster. Shared by the thread that asks the API and those
/// that need names.
#[derive(Debug, Default)]
pub struct Directory {
    known: RwLock<Known>,
}

impl Directory {
    /// The pod that a container belongs to, if the API has told of it.
    #[must_use]
    pub fn pod(&self, container: &Container) -> Option<Arc<Pod>> {
        let known = self.read();
        let uid = container.pod_uid.as_ref();
        let uid = uid
            .filter(|uid| known.pods.contains_key(*uid))
            .or_else(|| known.hashes.get(uid?))
            .or_else(|| known.containers.get(&container.id))?;
        known.pods.get(uid).cloned()
    }

    /// Grows with each change of pods.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// How many pods are known, and how many Services and EndpointSlices.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let known = self.read();
        (known.pods.len(), known.sources.len())
    }

    /// Takes in a pod as it is now.
    pub fn put_pod(&self, pod: Pod) {
        let mut known = self.write();
        let known = &mut *known;
        if known.pods.len() >= MAX_PODS && !known.pods.contains_key(&pod.uid) {
            return;
        }
        if known.pods.get(&pod.uid).is_some_and(|old| **old == pod) {
            return;
        }
        for id in pod.containers.keys() {
            known.containers.insert(id.clone(), pod.uid.clone());
        }
        if let Some(hash) = &pod.hash {
            known.hashes.insert(hash.clone(), pod.uid.clone());
        }
        known.pods.insert(pod.uid.clone(), Arc::new(pod));
        known.version += 1;
    }

    /// A pod is gone.
    pub fn remove_pod(&self, uid: &str) {
        let mut known = self.write();
        let known = &mut *known;
        if known.pods.remove(uid).is_some() {
            known.containers.retain(|_, of| of != uid);
            known.hashes.retain(|_, of| of != uid);
            known.version += 1;
        }
    }

    /// All pods there are now: others are gone.
    pub fn retain_pods(&self, uids: &BTreeSet<String>) {
        let gone: Vec<String> = {
            let known = self.read();
            let gone = known.pods.keys().filter(|uid| !uids.contains(*uid));
            gone.cloned().collect()
        };
        for uid in gone {
            self.remove_pod(&uid);
        }
    }

    /// What owns a pod, once it was asked for.
    pub fn set_owner(&self, uid: &str, owner: Owner) {
        let mut known = self.write();
        if let Some(pod) = known.pods.get_mut(uid) {
            let mut changed = Pod::clone(pod);
            (changed.owner, changed.job) = (Some(owner), None);
            *pod = Arc::new(changed);
            known.version += 1;
        }
    }

    /// Who is behind the addresses of a Service or EndpointSlice; `source` names it among all.
    pub fn put_addresses(&self, source: String, peer: Peer, mut addresses: Vec<At>) {
        addresses.truncate(MAX_ADDRESSES);
        let mut known = self.write();
        let known = &mut *known;
        if known.sources.len() >= MAX_SOURCES && !known.sources.contains_key(&source) {
            return;
        }
        known.changed.extend(&addresses);
        if let Some((_, old)) = known.sources.insert(source, (peer, addresses)) {
            known.changed.extend(old);
        }
    }

    /// A Service or EndpointSlice is gone.
    pub fn remove_addresses(&self, source: &str) {
        let mut known = self.write();
        if let Some((_, old)) = known.sources.remove(source) {
            known.changed.extend(old);
        }
    }

    /// All sources of addresses of a kind there are now, by the beginning of their names: others are gone.
    pub fn retain_addresses(&self, kind: &str, sources: &BTreeSet<String>) {
        let gone: Vec<String> = {
            let known = self.read();
            let of_kind = known.sources.keys().filter(|name| name.starts_with(kind));
            of_kind
                .filter(|name| !sources.contains(*name))
                .cloned()
                .collect()
        };
        for source in gone {
            self.remove_addresses(&source);
        }
    }

    /// Addresses of which something has changed since the last call, with who is behind them now. An
    /// address that belongs to several Services is that of the first by name.
    pub fn take_changes(&self) -> Vec<(At, Option<Peer>)> {
        if self.read().changed.is_empty() {
            return Vec::new();
        }
        let mut known = self.write();
        let changed = std::mem::take(&mut known.changed);
        let mut now: HashMap<At, &Peer> = HashMap::new();
        for (peer, addresses) in known.sources.values() {
            for at in addresses.iter().filter(|at| changed.contains(*at)) {
                let name = |p: &Peer| (p.namespace.clone(), p.name.clone());
                let entry = now.entry(*at).or_insert(peer);
                if name(peer) < name(entry) {
                    *entry = peer;
                }
            }
        }
        changed
            .iter()
            .map(|at| (*at, now.get(at).map(|p| (*p).clone())))
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
