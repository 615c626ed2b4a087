//! Counts what was judged, per service and edge, and explains it.

mod edge;
mod wilson;

use std::collections::BTreeMap;

use edge::Edge;
use smol_str::ToSmolStr;
pub use wilson::rate;

use crate::facts::Runtime;
use crate::judged::{
    Counts, EdgeSummary, Exchange, Finding, Log, LogSummary, LogVerdict, NotObserved, Rate,
    ReasonCount, Role, ServiceSummary, Verdict,
};
use crate::message::Protocol;
use crate::text::Text;

/// Services that are counted apart, at most; what is beyond goes into [`OTHER`].
const MAX_SERVICES: usize = 1_024;

/// Peers of one service that are counted apart, at most; what is beyond goes into [`OTHER`].
const MAX_EDGES: usize = 1_024;

/// Reasons that are counted apart per service, at most.
const MAX_REASONS: usize = 32;

/// Name of what is beyond the bounds.
pub const OTHER: &str = "other";

/// Counts of everything judged so far.
#[derive(Debug, Default)]
pub struct Counter {
    services: BTreeMap<Text, Service>,
    verdicts: Counts<Verdict>,
    log_verdicts: Counts<LogVerdict>,
    not_observed: BTreeMap<(String, Protocol), u64>,
}

#[derive(Debug, Default)]
struct Service {
    runtime: Option<Runtime>,
    served: u64,
    served_with_context: u64,
    edges: BTreeMap<Text, Edge>,
    lines: u64,
    log_verdicts: Counts<LogVerdict>,
    inconclusive: BTreeMap<&'static str, u64>,
}

/// What the causes of losses are told by, beside the exchange itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// What the service runs on.
    pub runtime: Option<Runtime>,
    /// The thread that read the request made the call.
    pub same_execution: bool,
    /// The call carries a context in a format that the request came in with.
    pub same_format: bool,
}

impl Counter {
    /// Counts an exchange.
    pub fn exchange(&mut self, exchange: &Exchange, circumstances: Circumstances) {
        let service = self.service(&exchange.service, circumstances.runtime);
        match exchange.role {
            Role::Server => {
                service.served += 1;
                service.served_with_context += u64::from(exchange.context.is_some());
            }
            Role::Client => {
                let Some(verdict) = exchange.verdict else {
                    return;
                };
                let peer = peer_name(exchange);
                service.edge(&peer).add(exchange, verdict, circumstances);
                if verdict == Verdict::Inconclusive {
                    service.reason(exchange.attribution.as_ref(), &exchange.findings);
                }
                self.verdicts.add(verdict);
            }
        }
    }

    /// Counts a logged event.
    pub fn log(&mut self, log: &Log, runtime: Option<Runtime>) {
        let service = self.service(&log.service, runtime);
        service.lines += 1;
        service.log_verdicts.add(log.verdict);
        if log.verdict == LogVerdict::Inconclusive {
            service.reason(Some(&log.attribution), &[]);
        }
        self.log_verdicts.add(log.verdict);
    }

    /// Counts a connection that is not observed.
    pub fn not_observed(&mut self, service: &str, protocol: Protocol) {
        let known = self
            .not_observed
            .contains_key(&(service.to_owned(), protocol));
        let service = if known || self.not_observed.len() < MAX_SERVICES {
            service
        } else {
            OTHER
        };
        *self
            .not_observed
            .entry((service.to_owned(), protocol))
            .or_default() += 1;
    }

    /// Verdicts on all calls and all logged events.
    #[must_use]
    pub fn totals(&self) -> (Counts<Verdict>, Counts<LogVerdict>) {
        (self.verdicts.clone(), self.log_verdicts.clone())
    }

    /// Connections that were not observed.
    #[must_use]
    pub fn unobserved(&self) -> Vec<NotObserved> {
        let row = |((service, protocol), n): (&(String, Protocol), &u64)| NotObserved {
            service: service.clone(),
            protocol: *protocol,
            connections: *n,
        };
        self.not_observed.iter().map(row).collect()
    }

    /// Services by name.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceSummary> {
        self.services
            .iter()
            .map(|(name, service)| service.summary(name))
            .collect()
    }

    fn service(&mut self, name: &Text, runtime: Option<Runtime>) -> &mut Service {
        let service = counted(&mut self.services, name, MAX_SERVICES);
        service.runtime = service.runtime.or(runtime);
        service
    }
}

fn peer_name(exchange: &Exchange) -> Text {
    exchange
        .peer_service
        .clone()
        .unwrap_or_else(|| exchange.peer.to_smolstr())
}

/// What is counted under `name`; under [`OTHER`] if it is not among the first `most`.
fn counted<'a, T: Default>(
    known: &'a mut BTreeMap<Text, T>,
    name: &Text,
    most: usize,
) -> &'a mut T {
    let apart = known.len() < most || known.contains_key(name);
    let name = if apart {
        name.clone()
    } else {
        Text::new_static(OTHER)
    };
    known.entry(name).or_default()
}

impl Service {
    fn edge(&mut self, peer: &Text) -> &mut Edge {
        counted(&mut self.edges, peer, MAX_EDGES)
    }

    fn reason(&mut self, attribution: Option<&crate::judged::Attribution>, findings: &[Finding]) {
        let reason = attribution
            .and_then(|a| a.reason.as_ref())
            .map_or("ids can't be checked", |r| r.kind());
        let reason = if findings.contains(&Finding::TelemetryExport) {
            "telemetry export"
        } else {
            reason
        };
        let known = self.inconclusive.contains_key(reason) || self.inconclusive.len() < MAX_REASONS;
        *self
            .inconclusive
            .entry(if known { reason } else { OTHER })
            .or_default() += 1;
    }

    fn summary(&self, name: &str) -> ServiceSummary {
        let carries_any = self.edges.values().any(Edge::carries_any);
        let edges: Vec<EdgeSummary> = self
            .edges
            .iter()
            .map(|(peer, edge)| edge.summary(peer, self.runtime, carries_any))
            .collect();
        let lost = self
            .edges
            .values()
            .map(|e| e.verdicts.of(Verdict::is_loss))
            .sum();
        let judged = self
            .edges
            .values()
            .map(|e| e.verdicts.of(Verdict::is_judged))
            .sum();
        let mut inconclusive: Vec<ReasonCount> = self
            .inconclusive
            .iter()
            .map(|(reason, count)| ReasonCount {
                reason: (*reason).to_owned(),
                count: *count,
            })
            .collect();
        inconclusive.sort_by(|a, b| {
            let more = b.count.cmp(&a.count);
            more.then_with(|| a.reason.cmp(&b.reason))
        });
        ServiceSummary {
            service: name.to_owned(),
            runtime: self.runtime,
            executions: Vec::new(),
            served: self.served,
            served_with_context: self.served_with_context,
            edges,
            logs: LogSummary {
                lines: self.lines,
                verdicts: self.log_verdicts.clone(),
                loss: self.log_loss(),
            },
            loss: rate(lost, judged),
            inconclusive,
        }
    }

    fn log_loss(&self) -> Rate {
        rate(
            self.log_verdicts.of(LogVerdict::is_loss),
            self.log_verdicts.of(LogVerdict::is_judged),
        )
    }
}
