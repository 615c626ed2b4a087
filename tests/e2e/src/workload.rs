//! What the services written in Rust do for one request; the other languages have the same module.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A new trace-id in lower-case hex.
pub fn trace_id(rng: &mut fastrand::Rng) -> String {
    format!("{:032x}", rng.u128(1..))
}

/// A new parent-id in lower-case hex.
pub fn span_id(rng: &mut fastrand::Rng) -> String {
    format!("{:016x}", rng.u64(1..))
}

/// A `traceparent` that breaks one rule of W3C Trace Context level 1, section 3.2.
#[must_use]
pub fn malformed(trace: &str, span: &str, variant: u32) -> String {
    let head = &trace[..30];
    match variant % 8 {
        0 => format!("00-{head}a-{span}-01"),
        1 => format!("00-{}AB-{span}-01", head.to_uppercase()),
        2 => format!("ff-{trace}-{span}-01"),
        3 => format!("00-{}-{span}-01", "0".repeat(32)),
        4 => format!("00-{trace}-{}-01", "0".repeat(16)),
        5 => format!("00-{head}ag-{span}-01"),
        6 => format!("00-{trace}-{span}"),
        _ => format!("00-{trace}-{span}-01-extra"),
    }
}

/// Fields of a query, undecoded: the test bed's values need no decoding.
#[must_use]
pub fn query(target: &str) -> HashMap<&str, &str> {
    let (_, query) = target.split_once('?').unwrap_or((target, ""));
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

/// Trace-id of a valid version 00 `traceparent`.
fn parse(traceparent: &str) -> Option<&str> {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else {
        return None;
    };
    let hex = |s: &str, len: usize| {
        s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |s: &str| s.bytes().all(|b| b == b'0');
    (version == "00"
        && hex(trace, 32)
        && hex(parent, 16)
        && hex(flags, 2)
        && !zero(trace)
        && !zero(parent))
    .then_some(trace)
}

/// One request: its query, its inbound context, and what follows from them.
#[derive(Clone, Debug)]
pub struct Work {
    /// Truth id.
    pub id: String,
    /// Number of calls asked for.
    pub calls: u32,
    /// Whether they are to be made in parallel.
    pub parallel: bool,
    mode: String,
    log: String,
    variant: u32,
    inbound: Option<String>,
    trace: String,
    leaked: String,
}

/// Trace of the request that began last, as a global that a careless library keeps its context in.
static LAST: Mutex<Option<String>> = Mutex::new(None);

impl Work {
    /// Reads the request's target and `traceparent`.
    #[must_use]
    pub fn new(target: &str, traceparent: Option<&str>) -> Self {
        let query = query(target);
        let field = |name: &str, default: &str| (*query.get(name).unwrap_or(&default)).to_owned();
        let trace = traceparent
            .and_then(parse)
            .map_or_else(|| trace_id(&mut fastrand::Rng::new()), str::to_owned);
        let last = LAST
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(trace.clone());
        Self {
            id: field("id", "none"),
            calls: field("calls", "2").parse().unwrap_or(2),
            parallel: field("par", "0") == "1",
            mode: field("mode", "propagate"),
            log: field("log", "linked"),
            variant: field("var", "0").parse().unwrap_or(0),
            inbound: traceparent.map(str::to_owned),
            leaked: last.unwrap_or_else(|| trace.clone()),
            trace,
        }
    }

    /// URL of call `n`.
    #[must_use]
    pub fn url(&self, downstream: &str, n: u32) -> String {
        format!("{downstream}/down?id={}&n={n}", self.id)
    }

    /// Propagation headers of one call.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut rng = fastrand::Rng::new();
        let (trace, span) = (&self.trace, span_id(&mut rng));
        match self.mode.as_str() {
            "propagate" => vec![("traceparent", format!("00-{trace}-{span}-01"))],
            "leak" => vec![("traceparent", format!("00-{}-{span}-01", self.leaked))],
            "restart" => vec![(
                "traceparent",
                format!("00-{}-{span}-01", trace_id(&mut rng)),
            )],
            "forward" => self
                .inbound
                .iter()
                .map(|v| ("traceparent", v.clone()))
                .collect(),
            "malformed" => vec![("traceparent", malformed(trace, &span, self.variant))],
            "b3" if self.variant % 2 == 1 => vec![("b3", format!("{trace}-{span}-1"))],
            "b3" => vec![
                ("X-B3-TraceId", trace.clone()),
                ("X-B3-SpanId", span),
                ("X-B3-Sampled", "1".to_owned()),
            ],
            _ => Vec::new(),
        }
    }

    /// Log line `k`: JSON when `k` is even, text when it is odd.
    #[must_use]
    pub fn line(&self, k: u32) -> String {
        let field = match self.log.as_str() {
            "linked" => Some(("trace_id", self.trace.clone())),
            "zero" => Some(("trace_id", "0".repeat(32))),
            "decimal" => u64::from_str_radix(&self.trace[16..], 16)
                .ok()
                .map(|low| ("dd.trace_id", low.to_string())),
            _ => None,
        };
        let id = &self.id;
        match (k % 2, field) {
            (0, Some((name, value))) => {
                format!(
                    r#"{{"level":"info","message":"step","id":"{id}","k":{k},"{name}":"{value}"}}"#
                )
            }
            (0, None) => format!(r#"{{"level":"info","message":"step","id":"{id}","k":{k}}}"#),
            (_, Some((name, value))) => format!("INFO step id={id} k={k} {name}={value}"),
            (_, None) => format!("INFO step id={id} k={k}"),
        }
    }
}

/// URL of background call `n`.
#[must_use]
pub fn background_url(downstream: &str, n: u32) -> String {
    format!("{downstream}/bg?n={n}")
}

/// Background log line `n`.
#[must_use]
pub fn background_line(n: u32) -> String {
    format!(r#"{{"level":"info","message":"tick","bg":{n}}}"#)
}

/// A number from the environment, or its default.
#[must_use]
pub fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_malformed_kind_is_refused_and_a_good_one_is_not() {
        let (trace, span) = ("ab".repeat(16), "cd".repeat(8));
        assert!(parse(&format!("00-{trace}-{span}-01")).is_some());
        for variant in 0..8 {
            let value = malformed(&trace, &span, variant);
            assert!(parse(&value).is_none(), "{value}");
        }
    }

    #[test]
    fn headers_follow_the_mode() {
        let tp = format!("00-{}-{}-01", "ab".repeat(16), "cd".repeat(8));
        let headers = |mode: &str| Work::new(&format!("/work?mode={mode}"), Some(&tp)).headers();
        assert_eq!(headers("forward"), [("traceparent", tp.clone())]);
        assert!(headers("propagate")[0].1.contains(&"ab".repeat(16)));
        assert_ne!(headers("propagate")[0].1, tp);
        assert!(!headers("restart")[0].1.contains(&"ab".repeat(16)));
        assert!(headers("drop").is_empty());
    }
}
