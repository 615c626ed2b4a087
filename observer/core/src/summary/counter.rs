//! Counts what one observer judges, within bounds.

use std::collections::BTreeMap;

use smol_str::{SmolStrBuilder, ToSmolStr};

use super::tally::{Edge, Service, Tally};
use crate::context::TraceId;
use crate::facts::Runtime;
use crate::judged::counts::{Carried, Cell, How, Inbound, LeftOut, Name, Reckoned, Sample, Unread};
use crate::judged::{
    Address, Attribution, Exchange, Finding, Log, LogVerdict, LossKind, Role, Verdict,
};
use crate::message::Protocol;
use crate::route::each_piece;
use crate::text::Text;

/// Services that are counted apart, at most; what is beyond goes into [`OTHER`].
const MAX_SERVICES: usize = 1_024;

/// Peers of one service that are counted apart, at most; what is beyond goes into [`OTHER`].
const MAX_EDGES: usize = 1_024;

/// Routes of one edge that are counted apart, at most; what is beyond goes into [`OTHER`].
const MAX_ROUTES: usize = 32;

/// Addresses of one service that are counted, at most: more of them are not told.
const MAX_ADDRESSES: usize = 16;

/// Reasons that are counted apart per service, at most.
const MAX_REASONS: usize = 32;

/// Other sides of one service whose messages could not be read that are counted apart, at most; what is beyond goes
/// into [`OTHER`].
const MAX_UNREADABLE: usize = 32;

/// Name of what is beyond the bounds.
pub const OTHER: &str = "other";

/// Counts of everything judged so far.
#[derive(Debug, Default)]
pub struct Counter {
    tally: Tally,
}

/// What the causes of losses are told by, and what an example says, beside the exchange itself.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Namespace of the service; empty where none is known.
    pub namespace: Text,
    /// Namespace of the peer's service; empty where none is known.
    pub peer_namespace: Text,
    /// What the service runs on.
    pub runtime: Option<Runtime>,
    /// The execution that read the request made the call.
    pub same_execution: bool,
    /// The call carries a context in a format that the request came in with.
    pub same_format: bool,
    /// The trace that the request belongs to, for which the call or line was made.
    pub trace: Option<TraceId>,
    /// What the exchange stands for beside itself.
    pub left_out: LeftOut,
}

impl Counter {
    /// Counts an exchange.
    pub fn exchange(&mut self, exchange: &Exchange, circumstances: &Circumstances) {
        let (name, service) = self.service(&exchange.service, circumstances);
        match exchange.role {
            Role::Server => {
                service.requests.add(inbound(exchange));
                service.left_out.add(circumstances.left_out);
                if let Some(address) = reachable(&exchange.local)
                    && (service.served.len() < MAX_ADDRESSES
                        || service.served.contains_key(&address))
                {
                    *service.served.entry(address).or_default() += 1;
                }
            }
            Role::Client => {
                let Some(verdict) = exchange.verdict else {
                    return;
                };
                if verdict == Verdict::Inconclusive {
                    service.reason(exchange.attribution.as_ref(), &exchange.findings);
                }
                let peer = peer_name(exchange, circumstances);
                let (peer, edge) = counted(&mut service.edges, peer, MAX_EDGES);
                edge.add(exchange, verdict, circumstances);
                if wants_example(verdict) {
                    edge.samples
                        .add(call_sample(exchange, verdict, name, peer, circumstances));
                }
            }
        }
    }

    /// Counts a logged event.
    pub fn log(&mut self, log: &Log, circumstances: &Circumstances) {
        let (name, service) = self.service(&log.service, circumstances);
        service.lines.add(log.verdict);
        if log.verdict == LogVerdict::Inconclusive {
            service.reason(Some(&log.attribution), &[]);
        }
        if log.verdict.is_loss() {
            service.samples.add(line_sample(log, name, circumstances));
        }
    }

    /// Counts a connection that is not observed.
    pub fn not_observed(&mut self, service: Name, protocol: Protocol) {
        let (_, service) = counted(&mut self.tally.services, service, MAX_SERVICES);
        service.unobserved.add(protocol);
    }

    /// Counts a message that could not be read; `peer` is the other side's address.
    pub fn unreadable(&mut self, service: Name, peer: &Address, unread: Unread) {
        let (_, service) = counted(&mut self.tally.services, service, MAX_SERVICES);
        let mut peer = other_side(peer, unread.role);
        if service.unreadable.len() >= MAX_UNREADABLE && !service.unreadable.contains_key(&peer) {
            peer = Text::new_static(OTHER);
        }
        service.unreadable.entry(peer).or_default().add(unread);
    }

    /// Counts system calls on connections that `service` is on this side of, where only a share of these is observed.
    pub fn reckoned(&mut self, service: Name, role: Role, calls: Reckoned) {
        let (_, service) = counted(&mut self.tally.services, service, MAX_SERVICES);
        service.reckoned.entry(role).or_default().add(calls);
    }

    /// Counts what was lost; `service` is whom it touches, where that is known.
    pub fn lost(&mut self, service: Option<Name>, kind: LossKind, count: u64) {
        let apart = self.tally.losses.len() < MAX_SERVICES
            || self.tally.losses.contains_key(&(service.clone(), kind));
        let service = if apart { service } else { None };
        self.tally.add(Cell::Losses { service, kind }, count);
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn service(&mut self, name: &Text, circumstances: &Circumstances) -> (Name, &mut Service) {
        let name = Name {
            namespace: circumstances.namespace.clone(),
            name: name.clone(),
        };
        let (name, service) = counted(&mut self.tally.services, name, MAX_SERVICES);
        if let Some(runtime) = circumstances.runtime {
            service.runtimes.add(runtime);
        }
        (name, service)
    }
}

impl Service {
    fn reason(&mut self, attribution: Option<&Attribution>, findings: &[Finding]) {
        let reason = attribution
            .and_then(|a| a.reason.as_ref())
            .map_or("ids can't be checked", |r| r.kind());
        let reason = if findings.contains(&Finding::TelemetryExport) {
            "telemetry export"
        } else {
            reason
        };
        let known = self.inconclusive.contains_key(reason) || self.inconclusive.len() < MAX_REASONS;
        let reason = Text::new_static(if known { reason } else { OTHER });
        *self.inconclusive.entry(reason).or_default() += 1;
    }
}

impl Edge {
    fn add(&mut self, exchange: &Exchange, verdict: Verdict, circumstances: &Circumstances) {
        let how = How::of(
            verdict,
            circumstances.same_execution,
            circumstances.same_format,
            exchange.request.is_some(),
        );
        self.calls.add((verdict, how));
        self.left_out.add(circumstances.left_out);
        let carried = match verdict {
            Verdict::Dropped => Carried::Dropped,
            verdict if verdict.is_judged() => Carried::Carried,
            _ => return,
        };
        let mut name = route_name(exchange);
        if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(&name) {
            name = Text::new_static(OTHER);
        }
        self.routes.entry(name).or_default().add(carried);
    }
}

/// Whether anything that is said about calls with this verdict names examples.
fn wants_example(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Propagated | Verdict::Inconclusive)
}

fn route_name(exchange: &Exchange) -> Text {
    let mut name = SmolStrBuilder::new();
    name.push_str(&exchange.method);
    name.push(' ');
    each_piece(&exchange.target, |piece| name.push_str(piece));
    name.finish()
}

fn inbound(exchange: &Exchange) -> Inbound {
    let invalid = |f: &Finding| matches!(f, Finding::InvalidContext { .. });
    match &exchange.context {
        Some(_) => Inbound::Valid,
        None if exchange.findings.iter().any(invalid) => Inbound::Invalid,
        None => Inbound::None,
    }
}

/// The address, if other hosts may reach it under that name.
fn reachable(address: &Address) -> Option<Text> {
    let Address::Tcp(address) = address else {
        return None;
    };
    let ip = address.ip().to_canonical();
    let own = ip.is_loopback() || ip.is_unspecified();
    (!own).then(|| std::net::SocketAddr::new(ip, address.port()).to_smolstr())
}

/// The other side without what changes with every connection: the port of a client.
fn other_side(peer: &Address, role: Role) -> Text {
    match (peer, role) {
        (Address::Tcp(address), Role::Server) => address.ip().to_canonical().to_smolstr(),
        _ => peer.to_smolstr(),
    }
}

fn peer_name(exchange: &Exchange, circumstances: &Circumstances) -> Name {
    match &exchange.peer_service {
        Some(service) => Name {
            namespace: circumstances.peer_namespace.clone(),
            name: service.clone(),
        },
        None => Name::plain(exchange.peer.to_smolstr()),
    }
}

fn call_sample(
    exchange: &Exchange,
    verdict: Verdict,
    service: Name,
    peer: Name,
    circumstances: &Circumstances,
) -> Sample {
    let sent = exchange.context.as_ref().map(|c| &c.trace_id);
    let trace = circumstances.trace.as_ref();
    let other = sent.filter(|sent| trace.is_none_or(|trace| !trace.same_trace(sent)));
    Sample {
        time: exchange.start,
        id: exchange.id.to_smolstr(),
        source: Text::default(),
        service,
        peer: Some(peer),
        verdict: Text::new_static(verdict.name()),
        what: route_name(exchange),
        trace_id: trace.map(TraceId::to_text),
        sent_trace_id: other.map(TraceId::to_text),
    }
}

fn line_sample(log: &Log, service: Name, circumstances: &Circumstances) -> Sample {
    let carried = log.context.as_ref().map(|c| c.trace_id.clone());
    Sample {
        time: log.time,
        id: log.id.to_smolstr(),
        source: Text::default(),
        service,
        peer: None,
        verdict: Text::new_static(log.verdict.name()),
        what: log.source.clone(),
        trace_id: circumstances.trace.as_ref().map(TraceId::to_text),
        sent_trace_id: carried,
    }
}

/// What is counted under `name`; under [`OTHER`] if it is not among the first `most`.
fn counted<T: Default>(known: &mut BTreeMap<Name, T>, name: Name, most: usize) -> (Name, &mut T) {
    let apart = known.len() < most || known.contains_key(&name);
    let name = if apart {
        name
    } else {
        Name::plain(Text::new_static(OTHER))
    };
    let entry = known.entry(name.clone()).or_default();
    (name, entry)
}
