//! OpenTelemetry's semantic conventions for HTTP spans (stable since 1.23), and what the observer adds.

use std::collections::{HashMap, HashSet};

use opentelemetry_semantic_conventions::attribute::{
    CLIENT_ADDRESS, ERROR_TYPE, HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_RESPONSE_STATUS_CODE, NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, NETWORK_PROTOCOL_NAME,
    NETWORK_PROTOCOL_VERSION, NETWORK_TRANSPORT, SERVER_ADDRESS, SERVER_PORT, URL_FULL, URL_PATH,
    URL_QUERY, URL_SCHEME,
};

use super::ids::SpanKind;
use super::span::{Attributes, Provenance};
use crate::judged::{Address, Exchange, Tier, Unfinished};
use crate::route::route;

/// The span was made by the observer.
pub const SYNTHETIC: &str = "observer.synthetic";
/// The evidence that joins it to its parent.
pub const TIER: &str = "observer.tier";
/// Probability that it is where it belongs.
pub const CONFIDENCE: &str = "observer.confidence";
/// The judgement that made it necessary; on log records, that on the line.
pub const VERDICT: &str = "observer.verdict";
/// Why no complete response was seen.
pub const UNFINISHED: &str = "observer.unfinished";
/// The line did not say its trace.
pub const HEALED: &str = "observer.healed";

/// Methods that the conventions know (RFC 9110, PATCH, QUERY).
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

/// Names of spans that one service may have; beyond, only the method names them.
const NAMES: usize = 200;

/// Services whose names are kept apart.
const SERVICES: usize = 1_024;

/// Names of low cardinality: `GET /cart/{id}`, as long as a service has few of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<String, HashSet<String>>,
}

impl Names {
    pub(super) fn name(&mut self, exchange: &Exchange) -> String {
        // The conventions' word for a method that is none of theirs.
        let method = known_method(&exchange.method).unwrap_or("HTTP");
        let full = format!("{method} {}", route(path(&exchange.target)));
        if !self.known.contains_key(&*exchange.service) && self.known.len() >= SERVICES {
            return method.to_owned();
        }
        let names = self.known.entry(exchange.service.to_string()).or_default();
        if names.contains(&full) {
            return full;
        }
        if names.len() >= NAMES {
            return method.to_owned();
        }
        names.insert(full.clone());
        full
    }
}

fn known_method(method: &str) -> Option<&'static str> {
    METHODS.iter().find(|m| **m == method).copied()
}

/// The path of a target in origin or absolute form.
fn path(target: &str) -> &str {
    let origin = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    origin.split(['?', '#']).next().unwrap_or_default()
}

/// Whether the conventions call an exchange failed: a server's span by 5xx, a client's by 4xx too.
pub(super) fn error_type(exchange: &Exchange, kind: SpanKind) -> Option<String> {
    let bound = match kind {
        SpanKind::Server => 500,
        SpanKind::Client => 400,
    };
    match (exchange.status, exchange.unfinished) {
        (Some(status), _) if status >= bound => Some(status.to_string()),
        (_, Some(why)) => unfinished(why).map(str::to_owned),
        _ => None,
    }
}

/// What went wrong; nothing where it is only not known.
fn unfinished(why: Unfinished) -> Option<&'static str> {
    Some(match why {
        Unfinished::Closed => "connection_closed",
        Unfinished::Reset => "connection_reset",
        Unfinished::Exited => "process_exited",
        Unfinished::TimedOut => "timeout",
        Unfinished::Lost | Unfinished::Malformed | Unfinished::Stopped => return None,
    })
}

fn unfinished_word(why: Unfinished) -> &'static str {
    unfinished(why).unwrap_or(match why {
        Unfinished::Stopped => "observer_stopped",
        Unfinished::Malformed => "malformed_message",
        _ => "bytes_lost",
    })
}

/// Attributes of one side of an exchange.
pub(super) fn attributes(
    exchange: &Exchange,
    kind: SpanKind,
    provenance: Provenance,
) -> Attributes {
    let mut a = Attributes::default();
    match known_method(&exchange.method) {
        Some(method) => a.set(HTTP_REQUEST_METHOD, method),
        None => {
            a.set(HTTP_REQUEST_METHOD, "_OTHER");
            a.set(HTTP_REQUEST_METHOD_ORIGINAL, &*exchange.method);
        }
    }
    if let Some(status) = exchange.status {
        a.set(HTTP_RESPONSE_STATUS_CODE, i64::from(status));
    }
    if let Some(error) = error_type(exchange, kind) {
        a.set(ERROR_TYPE, error);
    }
    match exchange.protocol.strip_prefix("http/") {
        Some(version) => a.set(NETWORK_PROTOCOL_VERSION, version),
        None => a.set(NETWORK_PROTOCOL_NAME, exchange.protocol),
    }
    let scheme = if exchange.tls { "https" } else { "http" };
    let (host, port) = server(exchange, kind);
    match kind {
        SpanKind::Server => {
            a.set(URL_SCHEME, scheme);
            a.set(URL_PATH, path(&exchange.target));
            if let Some((_, query)) = exchange.target.split_once('?') {
                a.set(URL_QUERY, query);
            }
            if let Address::Tcp(peer) = &exchange.peer {
                a.set(CLIENT_ADDRESS, peer.ip().to_canonical().to_string());
            }
        }
        SpanKind::Client => a.set(URL_FULL, full_url(exchange, scheme, &host)),
    }
    a.set(SERVER_ADDRESS, host);
    if let Some(port) = port {
        a.set(SERVER_PORT, i64::from(port));
    }
    peer(&exchange.peer, &mut a);
    a.set(SYNTHETIC, true);
    if let Some(tier) = provenance.tier {
        a.set(TIER, tier_name(tier));
    }
    a.set(CONFIDENCE, provenance.confidence);
    if let Some(verdict) = provenance.verdict {
        a.set(VERDICT, verdict);
    }
    if let Some(why) = exchange.unfinished {
        a.set(UNFINISHED, unfinished_word(why));
    }
    a
}

fn peer(peer: &Address, a: &mut Attributes) {
    match peer {
        Address::Tcp(peer) => {
            a.set(NETWORK_PEER_ADDRESS, peer.ip().to_canonical().to_string());
            a.set(NETWORK_PEER_PORT, i64::from(peer.port()));
        }
        Address::Unix(path) => {
            a.set(NETWORK_TRANSPORT, "unix");
            if !path.is_empty() {
                a.set(NETWORK_PEER_ADDRESS, &**path);
            }
        }
        Address::Unknown => {}
    }
}

/// Name and port of the server: as the client called it, else its address.
fn server(exchange: &Exchange, kind: SpanKind) -> (String, Option<u16>) {
    let address = match kind {
        SpanKind::Server => &exchange.local,
        SpanKind::Client => &exchange.peer,
    };
    let port = match address {
        Address::Tcp(tcp) => Some(tcp.port()),
        _ => None,
    };
    let Some(host) = exchange.host.as_deref().filter(|h| !h.is_empty()) else {
        return match address {
            Address::Tcp(tcp) => (tcp.ip().to_canonical().to_string(), port),
            other => (other.to_string(), port),
        };
    };
    // `[::1]:80`, `shop:80`, `shop`.
    match host.rsplit_once(':') {
        Some((name, digits)) if !name.ends_with(':') => match digits.parse() {
            Ok(port) => (bare(name).to_owned(), Some(port)),
            Err(_) => (bare(host).to_owned(), port),
        },
        _ => (bare(host).to_owned(), port),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}

fn full_url(exchange: &Exchange, scheme: &str, server: &str) -> String {
    let target = &exchange.target;
    if target.contains("://") && !target.starts_with('/') {
        return target.to_string();
    }
    let authority = exchange.host.as_deref().filter(|h| !h.is_empty());
    format!("{scheme}://{}{target}", authority.unwrap_or(server))
}

/// The tier's word in all output.
#[must_use]
pub fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Context => "context",
        Tier::Declared => "declared",
        Tier::Execution => "execution",
        Tier::HandOff => "hand-off",
        Tier::Connection => "connection",
        Tier::Exclusive => "exclusive",
    }
}
