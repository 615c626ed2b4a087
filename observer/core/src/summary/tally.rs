//! Counts of several observers, put together.

use std::collections::BTreeMap;

use super::samples::Samples;
use crate::facts::Runtime;
use crate::judged::counts::{
    Carried, Cell, Counted, How, Inbound, LeftOut, Measure, Name, Reckoned, Reckoning, Sample,
    Series, Unread,
};
use crate::judged::{Counts, LogVerdict, LossKind, Role, Verdict};
use crate::message::Protocol;
use crate::text::Text;

/// Sums of cells. Adding is commutative and associative: who counted what first does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub(super) services: BTreeMap<Name, Service>,
    pub(super) losses: BTreeMap<(Option<Name>, LossKind), u64>,
    pub(super) records: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) runtimes: Counts<Runtime>,
    pub(super) requests: Counts<Inbound>,
    pub(super) served: BTreeMap<Text, u64>,
    pub(super) edges: BTreeMap<Name, Edge>,
    pub(super) lines: Counts<LogVerdict>,
    pub(super) inconclusive: BTreeMap<Text, u64>,
    pub(super) unobserved: Counts<Protocol>,
    /// By the other side.
    pub(super) unreadable: BTreeMap<Text, Counts<Unread>>,
    /// Of requests.
    pub(super) left_out: LeftOut,
    /// On connections that it serves, and on those that it is the client of.
    pub(super) reckoned: BTreeMap<Role, Reckoned>,
    pub(super) samples: Samples,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) calls: Counts<(Verdict, How)>,
    pub(super) routes: BTreeMap<Text, Counts<Carried>>,
    /// Of calls.
    pub(super) left_out: LeftOut,
    pub(super) samples: Samples,
}

impl Tally {
    /// Counts `n` more of a cell.
    pub fn add(&mut self, cell: Cell, n: u64) {
        match cell {
            Cell::Calls {
                service,
                peer,
                verdict,
                how,
            } => self.edge(service, peer).calls.add_many((verdict, how), n),
            Cell::Routes {
                service,
                peer,
                route,
                carried,
            } => {
                let routes = &mut self.edge(service, peer).routes;
                routes.entry(route).or_default().add_many(carried, n);
            }
            Cell::Requests { service, context } => {
                self.service(service).requests.add_many(context, n);
            }
            Cell::Served { service, address } => {
                more(&mut self.service(service).served, address, n)
            }
            Cell::Lines { service, verdict } => self.service(service).lines.add_many(verdict, n),
            Cell::Activity { service, runtime } => {
                self.service(service).runtimes.add_many(runtime, n);
            }
            Cell::Inconclusive { service, reason } => {
                more(&mut self.service(service).inconclusive, reason, n);
            }
            Cell::Unobserved { service, protocol } => {
                self.service(service).unobserved.add_many(protocol, n);
            }
            Cell::Unreadable {
                service,
                peer,
                unread,
            } => {
                let unreadable = &mut self.service(service).unreadable;
                unreadable.entry(peer).or_default().add_many(unread, n);
            }
            Cell::LeftOut {
                service,
                peer,
                measure,
            } => match peer {
                Some(peer) => self.edge(service, peer).left_out.add(measure.of(n)),
                None => self.service(service).left_out.add(measure.of(n)),
            },
            Cell::Reckoned {
                service,
                role,
                reckoning,
            } => {
                let reckoned = &mut self.service(service).reckoned;
                reckoned.entry(role).or_default().add(reckoning.of(n));
            }
            Cell::Losses { service, kind } => more(&mut self.losses, (service, kind), n),
            Cell::Records => self.records = self.records.saturating_add(n),
        }
    }

    /// Takes in an example.
    pub fn sample(&mut self, sample: Sample) {
        match sample.peer.clone() {
            Some(peer) => self.edge(sample.service.clone(), peer).samples.add(sample),
            None => self.service(sample.service.clone()).samples.add(sample),
        }
    }

    /// Adds what another observer counted. Gives how many series are of no kind that is known here.
    pub fn merge(&mut self, counted: Counted) -> usize {
        let mut unknown = 0;
        for series in &counted.series {
            match series.cell() {
                Ok(cell) => self.add(cell, series.count),
                Err(_) => unknown += 1,
            }
        }
        for sample in counted.samples {
            self.sample(sample);
        }
        unknown
    }

    /// Everything in it, in the order of cells.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let mut samples = Vec::new();
        for service in self.services.values() {
            samples.extend(service.samples.iter().cloned());
            samples.extend(
                service
                    .edges
                    .values()
                    .flat_map(|e| e.samples.iter().cloned()),
            );
        }
        let mut cells = self.cells();
        cells.sort_unstable();
        Counted {
            series: cells
                .iter()
                .map(|(cell, n)| Series::new(cell, *n))
                .collect(),
            samples,
        }
    }

    /// All cells with their counts, in no particular order.
    #[must_use]
    pub fn cells(&self) -> Vec<(Cell, u64)> {
        let mut cells = Vec::new();
        for (name, service) in &self.services {
            service.cells(name, &mut cells);
        }
        for ((service, kind), n) in &self.losses {
            let (service, kind) = (service.clone(), *kind);
            cells.push((Cell::Losses { service, kind }, *n));
        }
        cells.push((Cell::Records, self.records));
        cells
    }

    pub(super) fn service(&mut self, name: Name) -> &mut Service {
        self.services.entry(name).or_default()
    }

    fn edge(&mut self, service: Name, peer: Name) -> &mut Edge {
        self.service(service).edges.entry(peer).or_default()
    }
}

impl Service {
    fn cells(&self, name: &Name, cells: &mut Vec<(Cell, u64)>) {
        let service = || name.clone();
        for (peer, edge) in &self.edges {
            edge.cells(name, peer, cells);
        }
        let mut push = |cell, n: &u64| cells.push((cell, *n));
        for (context, n) in &self.requests.0 {
            let (service, context) = (service(), *context);
            push(Cell::Requests { service, context }, n);
        }
        for (address, n) in &self.served {
            let (service, address) = (service(), address.clone());
            push(Cell::Served { service, address }, n);
        }
        for (verdict, n) in &self.lines.0 {
            let (service, verdict) = (service(), *verdict);
            push(Cell::Lines { service, verdict }, n);
        }
        for (runtime, n) in &self.runtimes.0 {
            let (service, runtime) = (service(), *runtime);
            push(Cell::Activity { service, runtime }, n);
        }
        for (reason, n) in &self.inconclusive {
            let (service, reason) = (service(), reason.clone());
            push(Cell::Inconclusive { service, reason }, n);
        }
        for (protocol, n) in &self.unobserved.0 {
            let (service, protocol) = (service(), *protocol);
            push(Cell::Unobserved { service, protocol }, n);
        }
        for (peer, counts) in &self.unreadable {
            for (unread, n) in &counts.0 {
                let (service, peer, unread) = (service(), peer.clone(), *unread);
                push(
                    Cell::Unreadable {
                        service,
                        peer,
                        unread,
                    },
                    n,
                );
            }
        }
        left_out(self.left_out, name, None, cells);
        for (role, of) in &self.reckoned {
            let both = [
                (Reckoning::Counted, of.counted),
                (Reckoning::Expected, of.expected),
            ];
            for (reckoning, n) in both.into_iter().filter(|(_, n)| *n > 0) {
                let (service, role) = (name.clone(), *role);
                let cell = Cell::Reckoned {
                    service,
                    role,
                    reckoning,
                };
                cells.push((cell, n));
            }
        }
    }

    /// What its system calls came to on connections that it is on this side of.
    pub(super) fn reckoned(&self, role: Role) -> Reckoned {
        self.reckoned.get(&role).copied().unwrap_or_default()
    }
}

impl Edge {
    fn cells(&self, service: &Name, peer: &Name, cells: &mut Vec<(Cell, u64)>) {
        for ((verdict, how), n) in &self.calls.0 {
            let cell = Cell::Calls {
                service: service.clone(),
                peer: peer.clone(),
                verdict: *verdict,
                how: *how,
            };
            cells.push((cell, *n));
        }
        for (route, counts) in &self.routes {
            for (carried, n) in &counts.0 {
                let cell = Cell::Routes {
                    service: service.clone(),
                    peer: peer.clone(),
                    route: route.clone(),
                    carried: *carried,
                };
                cells.push((cell, *n));
            }
        }
        left_out(self.left_out, service, Some(peer), cells);
    }
}

/// The cells of an estimate; none where everything was observed.
fn left_out(of: LeftOut, service: &Name, peer: Option<&Name>, cells: &mut Vec<(Cell, u64)>) {
    let both = [(Measure::Count, of.count), (Measure::Variance, of.variance)];
    for (measure, n) in both.into_iter().filter(|(_, n)| *n > 0) {
        let cell = Cell::LeftOut {
            service: service.clone(),
            peer: peer.cloned(),
            measure,
        };
        cells.push((cell, n));
    }
}

fn more<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, n: u64) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(n);
}
