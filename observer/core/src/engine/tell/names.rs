//! Who is who: names of processes, and of what is behind addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use observer_abi::control::Reckoned as Place;
use opentelemetry_semantic_conventions::resource::SERVICE_NAMESPACE;
use smol_str::format_smolstr;

use crate::exchange::Begun;
use crate::facts::{Executions, PeerFacts, ProcessFacts, Runtime};
use crate::ids::{Seq, Tgid};
use crate::judged::counts::Name;
use crate::judged::{Address, ExecutionsCount, Role, ServiceSummary};
use crate::text::{Text, printable};

/// Addresses at which a service was seen to serve, that are remembered.
const MAX_ADDRESSES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Addresses outside of what is observed whose names are remembered.
const MAX_PEERS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Calls whose other end is known, that are remembered.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Processes whose facts are remembered.
const MAX_PROCESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Different answers that are told of one service's executions, at most.
const MAX_ANSWERS: usize = 8;

/// Name of a process of which nothing is known.
fn unnamed(tgid: Tgid) -> Text {
    format_smolstr!("pid {tgid}")
}

/// What is known of processes and addresses.
#[derive(Debug)]
pub(super) struct Names {
    facts: LruCache<Tgid, Known>,
    /// Processes in `facts`, by where their calls are counted as servers.
    places: BTreeMap<u16, BTreeSet<Tgid>>,
    serves: LruCache<Address, Tgid>,
    /// Who is behind addresses that no observed process serves.
    peers: LruCache<(IpAddr, Option<u16>), Name>,
    /// Calls whose other end is observed: who serves them.
    served_by: LruCache<Seq, Tgid>,
}

/// What is told of a process.
#[derive(Debug)]
struct Known {
    /// Printable.
    service: Text,
    /// Printable; empty where none is declared.
    namespace: Text,
    runtime: Option<Runtime>,
    /// Whether its executions can be told apart.
    executions: Option<Executions>,
    ring: bool,
    ended: bool,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            facts: LruCache::sparse(MAX_PROCESSES),
            places: BTreeMap::new(),
            serves: LruCache::sparse(MAX_ADDRESSES),
            peers: LruCache::sparse(MAX_PEERS),
            served_by: LruCache::sparse(MAX_CALLS),
        }
    }

    /// Takes note of a process; true if it is new that it drives sockets through an `io_uring`.
    pub(super) fn process(&mut self, facts: ProcessFacts) -> bool {
        let blind = facts.ring && !self.facts.peek(&facts.tgid).is_some_and(|known| known.ring);
        let known = Known {
            service: Text::new(printable(&facts.service)),
            namespace: facts
                .resource
                .get(SERVICE_NAMESPACE)
                .map_or_else(Text::default, |n| Text::new(printable(n))),
            runtime: facts.runtime,
            executions: facts.executions,
            ring: facts.ring,
            ended: false,
        };
        self.places
            .entry(Place::place(facts.tgid.0, false))
            .or_default()
            .insert(facts.tgid);
        if let Some((other, _)) = self.facts.push(facts.tgid, known)
            && other != facts.tgid
            && let Some(there) = self.places.get_mut(&Place::place(other.0, false))
        {
            there.remove(&other);
        }
        blind
    }

    /// Takes note of a process that ended.
    pub(super) fn ended(&mut self, tgid: Tgid) {
        if let Some(known) = self.facts.peek_mut(&tgid) {
            known.ended = true;
        }
    }

    /// Services of the processes whose calls are counted at this place, and the side of connections that these are on: of those that run, or
    /// if there are none, of those that ran.
    pub(super) fn counted_at(&self, place: u16) -> (BTreeSet<Name>, Role) {
        let client = Place::is_of_client(place);
        let role = if client { Role::Client } else { Role::Server };
        let known = || {
            self.places
                .get(&(place - u16::from(client)))
                .into_iter()
                .flatten()
        };
        let ended = |tgid: &&Tgid| self.facts.peek(tgid).is_none_or(|known| known.ended);
        let mut named: BTreeSet<Name> = (known().filter(|tgid| !ended(tgid)))
            .map(|tgid| self.of(*tgid))
            .collect();
        if named.is_empty() {
            named = known().map(|tgid| self.of(*tgid)).collect();
        }
        (named, role)
    }

    /// Takes note of who is behind an address.
    pub(super) fn peer(&mut self, facts: PeerFacts) {
        let at = (facts.address.to_canonical(), facts.port);
        match facts.name {
            Some(peer) => {
                let name = Name {
                    namespace: Text::new(printable(&peer.namespace)),
                    name: Text::new(printable(&peer.name)),
                };
                self.peers.push(at, name);
            }
            None => {
                self.peers.pop(&at);
            }
        }
    }

    /// Takes note of who serves.
    pub(super) fn begun(&mut self, begun: &Begun) {
        if begun.role == Role::Server {
            self.serves.push(begun.endpoint.local.clone(), begun.tgid);
            if let Some(call) = begun.other_end {
                self.served_by.push(call, begun.tgid);
            }
        }
    }

    /// The process at the other end of a call, when it is observed as well.
    fn serving(&self, begun: &Begun) -> Option<Tgid> {
        let by_exchange = self.served_by.peek(&begun.seq).copied();
        by_exchange.or_else(|| self.serves.peek(&begun.endpoint.peer).copied())
    }

    /// The service at the other end of a call: an observed process, else who is known to be behind the
    /// address.
    pub(super) fn other_side(&self, begun: &Begun) -> Option<Name> {
        if let Some(tgid) = self.serving(begun) {
            return Some(self.of(tgid));
        }
        let Address::Tcp(address) = &begun.endpoint.peer else {
            return None;
        };
        let ip = address.ip().to_canonical();
        let exact = self.peers.peek(&(ip, Some(address.port())));
        exact.or_else(|| self.peers.peek(&(ip, None))).cloned()
    }

    /// Name and namespace of a process's service.
    pub(super) fn of(&self, tgid: Tgid) -> Name {
        self.who(tgid).0
    }

    /// Name of a process's service.
    pub(super) fn service(&self, tgid: Tgid) -> Text {
        self.facts
            .peek(&tgid)
            .map_or_else(|| unnamed(tgid), |known| known.service.clone())
    }

    /// Name and namespace of a process's service, and what it runs on.
    pub(super) fn who(&self, tgid: Tgid) -> (Name, Option<Runtime>) {
        match self.facts.peek(&tgid) {
            Some(known) => {
                let name = Name {
                    namespace: known.namespace.clone(),
                    name: known.service.clone(),
                };
                (name, known.runtime)
            }
            None => (Name::plain(unnamed(tgid)), None),
        }
    }

    /// Whether the executions of a service's processes can be told apart: each answer with its count, at
    /// most [`MAX_ANSWERS`] of them.
    pub(super) fn executions(&self, service: &ServiceSummary) -> Vec<ExecutionsCount> {
        let mut counts = BTreeMap::new();
        let of_service = |known: &Known| {
            known.service == service.service && known.namespace == service.namespace
        };
        for (_, known) in self.facts.iter().filter(|(_, k)| of_service(k)) {
            let answer = match &known.executions {
                Some(Executions::Known { kind, missing, .. }) => (Some(*kind), missing.clone()),
                Some(Executions::Unavailable(why)) => (None, vec![why.clone()]),
                None => continue,
            };
            if counts.len() < MAX_ANSWERS || counts.contains_key(&answer) {
                *counts.entry(answer).or_insert(0) += 1;
            }
        }
        let count = |((kind, missing), processes): ((_, Vec<String>), _)| ExecutionsCount {
            kind,
            missing: missing.iter().map(|m| printable(m).into_owned()).collect(),
            processes,
        };
        counts.into_iter().map(count).collect()
    }
}
