//! Tells of exchanges: requests that were served, and calls.

use super::common::{By, Common, doubted, inbound, trace_of};
use crate::attribution::{Attributor, Call, Decision, Served};
use crate::context::Carrier;
use crate::exchange::{Begun, Ended};
use crate::ids::Seq;
use crate::judged::counts::Name;
use crate::judged::{Exchange, ExchangeId, Finding, Judged, Reason};
use crate::redact::redact;
use crate::summary::Circumstances;
use crate::text::{Text, printable_text};
use crate::verdict::{CallJudgement, judge_call};

/// A request that was served, with its answer.
pub(super) fn served(common: &mut Common, begun: Begun, ended: &Ended) -> Judged {
    let mut findings = own_findings(&begun.head.carrier);
    if begun.head.telemetry {
        findings.push(Finding::TelemetryExport);
    }
    let (service, circumstances) = common.circumstances(begun.tgid);
    let circumstances = Circumstances {
        left_out: begun.left_out,
        ..circumstances
    };
    let mut exchange = exchange(common, service, None, begun, Some(ended));
    exchange.findings = findings;
    common.counter.exchange(&exchange, &circumstances);
    Judged::Exchange(Box::new(exchange))
}

/// A call, with the request that it was made for, as far as that is known.
pub(super) fn call(
    common: &mut Common,
    attributor: &Attributor,
    by: By,
    call: Call,
    decision: Decision,
) -> Judged {
    let served = |request: Seq| attributor.served(by.tgid, request);
    let owner = decision.owner.and_then(|o| served(o.request));
    let same = decision.same_trace.iter().filter_map(|r| served(*r));
    // With what the process sent to itself, whoever began that goes on.
    let (own, same): (Vec<&Served>, Vec<&Served>) = same.partition(|s| s.own);
    let same: Vec<&Carrier> = same.into_iter().map(|s| &*s.carrier).collect();
    let outbound = &call.begun.head.carrier;
    let asker = decision.owner.map(|o| o.request);
    let begun_here = own
        .iter()
        .all(|s| asker.is_some_and(|asker| attributor.is_made_for(by.tgid, s, asker)));
    let (verdict, findings, doubt) = judge_call(&CallJudgement {
        inbound: owner.map(inbound),
        same_trace: &same,
        outbound,
        ids_certain: decision.ids_certain && begun_here,
        reason: decision.attribution.reason.as_ref(),
    });
    let doubt = match doubt {
        Some(Reason::RecordsLost) if !begun_here => Some(Reason::SameIdTwice {
            candidates: own.iter().map(|served| ExchangeId(served.seq)).collect(),
        }),
        doubt => doubted(doubt, &decision),
    };
    let same_format = owner.is_none_or(|s| shares_format(inbound(s), outbound));
    let same_execution = decision.owner.is_some_and(|o| o.same_execution);
    let trace = owner.and_then(|s| trace_of(inbound(s)));
    let (peer_namespace, peer_service) = match common.names.other_side(&call.begun) {
        Some(Name { namespace, name }) => (namespace, Some(name)),
        None => (Text::default(), None),
    };
    let (service, circumstances) = common.circumstances(by.tgid);
    let circumstances = Circumstances {
        peer_namespace,
        same_execution,
        same_format,
        trace,
        left_out: call.begun.left_out,
        ..circumstances
    };
    let exchange = Exchange {
        request: decision.owner.map(|o| ExchangeId(o.request)),
        attribution: Some(decision.attribution.or_reason(doubt)),
        inferred: decision.inferred,
        verdict: Some(verdict),
        findings,
        ..exchange(
            common,
            service,
            peer_service,
            *call.begun,
            call.ended.as_ref(),
        )
    };
    common.counter.exchange(&exchange, &circumstances);
    Judged::Exchange(Box::new(exchange))
}

/// An exchange of `service`, with what is known by itself.
fn exchange(
    common: &Common,
    service: Text,
    peer_service: Option<Text>,
    begun: Begun,
    ended: Option<&Ended>,
) -> Exchange {
    let complete = ended.filter(|e| e.outcome.is_ok());
    let head = begun.head;
    Exchange {
        id: ExchangeId(begun.seq),
        role: begun.role,
        pid: begun.tgid,
        tid: begun.moved.tid,
        service,
        protocol: head.version.name(),
        tls: false,
        start: common.wall(begun.moved.since),
        duration_ns: complete.map(|e| e.time.since(begun.moved.since)),
        method: printable_text(&head.method),
        target: redact(printable_text(&head.target), common.config.show_query),
        host: head.host.as_ref().map(printable_text),
        status: ended.and_then(|e| e.status),
        local: begun.endpoint.local.clone(),
        peer: begun.endpoint.peer.clone(),
        peer_service,
        context: head.carrier.context().cloned(),
        request: None,
        parent: begun.other_end.map(ExchangeId),
        attribution: None,
        inferred: None,
        verdict: None,
        findings: Vec::new(),
        unfinished: ended.and_then(|e| e.outcome.err()),
        flaw: ended.and_then(|e| e.flaw),
        until: ended.map(|e| common.wall(e.time)),
        identity: begun.sighting.identity(common.config.anchor),
    }
}

fn own_findings(carrier: &Carrier) -> Vec<Finding> {
    judge_call(&CallJudgement {
        inbound: None,
        same_trace: &[],
        outbound: carrier,
        ids_certain: false,
        reason: None,
    })
    .1
}

fn shares_format(inbound: &Carrier, outbound: &Carrier) -> bool {
    let came = |format| inbound.contexts.iter().any(|c| c.format == format);
    outbound.contexts.iter().any(|c| came(c.format))
}
