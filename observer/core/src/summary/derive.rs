//! What is said of services: a function of the tally.

use super::estimate::unknown;
use super::tally::{Edge, Service, Tally};
use super::{Extent, extent, rate};
use crate::facts::Runtime;
use crate::judged::counts::{Inbound, LeftOut, Name, Reckoned, Sample};
use crate::judged::{
    Counts, LogSummary, LogVerdict, LossKind, NoEstimate, NotObserved, ReasonCount, Role,
    ServiceSummary, Unreadable, Verdict,
};
use crate::text::Text;

/// Verdicts on everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// On all calls.
    pub calls: Counts<Verdict>,
    /// On all logged events.
    pub lines: Counts<LogVerdict>,
    /// How many calls there were.
    pub calls_extent: Extent,
    /// How many requests were served.
    pub requests_extent: Extent,
}

impl Tally {
    /// Services that did something, by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceSummary> {
        self.services
            .iter()
            .filter(|(_, service)| service.is_active())
            .map(|(name, service)| service.summary(name))
            .collect()
    }

    /// Verdicts on all calls and all logged events.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let (mut requests, mut calls) = (Sum::default(), Sum::default());
        for service in self.services.values() {
            requests.add(service.served());
            calls.add(service.called());
            for edge in service.edges.values() {
                for ((verdict, _), n) in &edge.calls.0 {
                    totals.calls.add_many(*verdict, *n);
                }
            }
            for (verdict, n) in &service.lines.0 {
                totals.lines.add_many(*verdict, *n);
            }
        }
        totals.calls_extent = calls.extent();
        totals.requests_extent = requests.extent();
        totals
    }

    /// Connections that were not observed, by service and protocol.
    #[must_use]
    pub fn unobserved(&self) -> Vec<NotObserved> {
        let mut rows = Vec::new();
        for (name, service) in &self.services {
            rows.extend(
                service
                    .unobserved
                    .0
                    .iter()
                    .map(|(protocol, n)| NotObserved {
                        service: name.name.to_string(),
                        namespace: name.namespace.clone(),
                        protocol: *protocol,
                        connections: *n,
                    }),
            );
        }
        rows
    }

    /// Messages that could not be read, by service and the other side.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Unreadable> {
        let mut rows = Vec::new();
        for (name, service) in &self.services {
            for (peer, counts) in &service.unreadable {
                rows.extend(counts.0.iter().map(|(unread, n)| Unreadable {
                    service: name.name.to_string(),
                    namespace: name.namespace.clone(),
                    role: unread.role,
                    peer: peer.clone(),
                    message: unread.message,
                    flaw: unread.flaw,
                    explanation: unread.flaw.explanation(),
                    count: *n,
                }));
            }
        }
        rows
    }

    /// What was lost, by whom it touches and kind.
    pub fn losses(&self) -> impl Iterator<Item = (Option<&Name>, LossKind, u64)> {
        let losses = self.losses.iter();
        losses.map(|((service, kind), n)| (service.as_ref(), *kind, *n))
    }

    /// Records that pipelines took in.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Addresses at which services were seen to serve, with how many requests.
    pub fn served(&self) -> impl Iterator<Item = (&Name, &Text, u64)> {
        self.services.iter().flat_map(|(name, service)| {
            let served = service.served.iter();
            served.map(move |(address, n)| (name, address, *n))
        })
    }

    /// Requests of a service that came with a context which breaks its format's rules.
    #[must_use]
    pub fn invalid_requests(&self, service: &Name) -> u64 {
        let service = self.services.get(service);
        service.map_or(0, |s| s.requests.of(|c| c == Inbound::Invalid))
    }

    /// Examples of calls on an edge.
    pub fn samples(&self, service: &Name, peer: &Name) -> impl Iterator<Item = &Sample> {
        let edge = self.services.get(service).and_then(|s| s.edges.get(peer));
        edge.into_iter().flat_map(|edge| edge.samples.iter())
    }

    /// Examples of a service's logged events.
    pub fn line_samples(&self, service: &Name) -> impl Iterator<Item = &Sample> {
        let service = self.services.get(service);
        service.into_iter().flat_map(|s| s.samples.iter())
    }
}

/// What was observed of something, what that stands for beside itself, and what system calls came to.
type Seen = (u64, LeftOut, Reckoned);

/// The sum of what was observed of several services.
#[derive(Debug, Default)]
struct Sum {
    all: Seen,
    /// Why it is not known of one of them how many there were; then it is not known of all.
    unknown: Option<NoEstimate>,
}

impl Sum {
    fn add(&mut self, (observed, left_out, reckoned): Seen) {
        self.all.0 = self.all.0.saturating_add(observed);
        self.all.1.add(left_out);
        self.all.2.add(reckoned);
        if let Extent::Unknown(why) = extent(observed, left_out, reckoned) {
            self.unknown = Some(why.reason);
        }
    }

    fn extent(self) -> Extent {
        let (observed, left_out, reckoned) = self.all;
        let all = extent(observed, left_out, reckoned);
        match (all, self.unknown) {
            (Extent::Unknown(_), _) | (_, None) => all,
            (_, Some(reason)) => unknown(reason, reckoned),
        }
    }
}

impl Service {
    fn served(&self) -> Seen {
        let observed = self.requests.of(|_| true);
        (observed, self.left_out, self.reckoned(Role::Server))
    }

    fn called(&self) -> Seen {
        let (mut observed, mut left_out) = (0_u64, LeftOut::default());
        for edge in self.edges.values() {
            observed = observed.saturating_add(edge.calls.of(|_| true));
            left_out.add(edge.left_out);
        }
        (observed, left_out, self.reckoned(Role::Client))
    }

    fn is_active(&self) -> bool {
        !(self.requests.0.is_empty() && self.edges.is_empty() && self.lines.0.is_empty())
    }

    /// What most of its work ran on.
    fn runtime(&self) -> Option<Runtime> {
        let most = |(a, n): &(&Runtime, &u64), (b, m): &(&Runtime, &u64)| n.cmp(m).then(b.cmp(a));
        self.runtimes
            .0
            .iter()
            .max_by(most)
            .map(|(runtime, _)| *runtime)
    }

    fn summary(&self, name: &Name) -> ServiceSummary {
        let runtime = self.runtime();
        let carries_any = self.edges.values().any(Edge::carries_any);
        let edges = self.edges.iter();
        let reckoned = self.reckoned(Role::Client);
        let edges: Vec<_> = edges
            .map(|(peer, edge)| edge.summary(peer, runtime, carries_any, reckoned))
            .collect();
        let all = |which: fn(Verdict) -> bool| {
            let counts = edges.iter().map(|e| e.verdicts.of(which));
            counts.fold(0, u64::saturating_add)
        };
        let of = |(observed, left_out, reckoned)| extent(observed, left_out, reckoned).told();
        let (served_estimated, served_not_estimated) = of(self.served());
        let (calls_estimated, calls_not_estimated) = of(self.called());
        let mut inconclusive: Vec<ReasonCount> = self
            .inconclusive
            .iter()
            .map(|(reason, count)| ReasonCount {
                reason: reason.to_string(),
                count: *count,
            })
            .collect();
        inconclusive.sort_by(|a, b| {
            let more = b.count.cmp(&a.count);
            more.then_with(|| a.reason.cmp(&b.reason))
        });
        ServiceSummary {
            service: name.name.to_string(),
            namespace: name.namespace.clone(),
            runtime,
            executions: Vec::new(),
            served: self.requests.of(|_| true),
            served_estimated,
            served_not_estimated,
            served_with_context: self.requests.of(|c| c == Inbound::Valid),
            loss: rate(all(Verdict::is_loss), all(Verdict::is_judged)),
            calls_estimated,
            calls_not_estimated,
            edges,
            logs: LogSummary {
                lines: self.lines.of(|_| true),
                loss: rate(
                    self.lines.of(LogVerdict::is_loss),
                    self.lines.of(LogVerdict::is_judged),
                ),
                verdicts: self.lines.clone(),
            },
            inconclusive,
        }
    }
}
