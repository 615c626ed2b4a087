//! What a service lost or changed between the request that it read and the call that it made.
//!
//! All of these err on the side of silence: whatever the specifications allow a service to drop, or
//! can't be told from that, is no loss.

use super::formats::{RANDOM, parse_traceparent};
use super::{Carrier, Context, Format};
use crate::text::Text;

/// Members above which a service may drop some (W3C Trace Context §3.3.1).
const MAX_MEMBERS: usize = 32;
/// Characters of `tracestate` that every service should propagate (§3.3.3.1).
const MIN_PROPAGATED: usize = 512;
/// Baggage members that every service must propagate (W3C Baggage §3.3.2).
const MIN_BAGGAGE_MEMBERS: usize = 64;

/// `tracestate` keys that came in and did not go out, although nothing allowed to drop them.
///
/// Empty when the call carries no `traceparent`, when its `tracestate` is invalid, or when the list
/// was so long that a service may cut it.
#[must_use]
pub fn tracestate_lost<'a>(inbound: &'a Carrier, outbound: &Carrier) -> Vec<&'a str> {
    let size: usize = inbound
        .tracestate
        .iter()
        .map(|(key, value)| key.len() + value.len() + 2)
        .sum();
    let may_cut = size > MIN_PROPAGATED || outbound.tracestate.len() >= MAX_MEMBERS;
    if may_cut || w3c(outbound).is_none() || breaks(outbound, "tracestate-") {
        return Vec::new();
    }
    missing(&inbound.tracestate, &outbound.tracestate)
}

/// Whether unmodified `tracestate` members went out in another order than they came in.
///
/// The left-most member of the call is left out: a service puts its own there, even unchanged.
#[must_use]
pub fn tracestate_reordered(inbound: &Carrier, outbound: &Carrier) -> bool {
    let place = |member| inbound.tracestate.iter().position(|seen| seen == member);
    let places = outbound.tracestate.iter().skip(1).filter_map(place);
    !places.is_sorted()
}

/// `baggage` keys that came in and did not go out.
///
/// Empty when the call's `baggage` is invalid, or when there were so many that a service may drop some.
#[must_use]
pub fn baggage_lost<'a>(inbound: &'a Carrier, outbound: &Carrier) -> Vec<&'a str> {
    if inbound.baggage.len() > MIN_BAGGAGE_MEMBERS || breaks(outbound, "baggage-") {
        return Vec::new();
    }
    missing(&inbound.baggage, &outbound.baggage)
}

/// Whether the random-trace-id flag of one trace changed, which a service must not do (W3C Trace
/// Context Level 2 §3.2.2.5.2). Services of Level 1 do it by design: a remark, not a fault.
#[must_use]
pub fn random_flag_changed(inbound: &Context, outbound: &Context) -> bool {
    match (inbound.flags(), outbound.flags()) {
        (Some(came), Some(went)) => {
            inbound.trace_id == outbound.trace_id && (came ^ went) & RANDOM != 0
        }
        _ => false,
    }
}

impl Context {
    /// The trace-flags as carried; formats other than `traceparent`'s have none.
    #[must_use]
    pub fn flags(&self) -> Option<u8> {
        if !matches!(self.format, Format::W3c | Format::ElasticApm) {
            return None;
        }
        let parsed = parse_traceparent(self.raw.as_bytes(), "traceparent").ok()?;
        Some(parsed.flags)
    }
}

fn w3c(carrier: &Carrier) -> Option<&Context> {
    let mut contexts = carrier.contexts.iter();
    contexts.find(|context| context.format == Format::W3c)
}

fn breaks(carrier: &Carrier, prefix: &str) -> bool {
    let mut rules = carrier.invalid.iter().map(|invalid| invalid.rule);
    rules.any(|rule| rule.starts_with(prefix))
}

fn missing<'a>(came: &'a [(Text, Text)], went: &[(Text, Text)]) -> Vec<&'a str> {
    let keys = came.iter().map(|(key, _)| key.as_str());
    keys.filter(|key| went.iter().all(|(kept, _)| kept != key))
        .collect()
}
