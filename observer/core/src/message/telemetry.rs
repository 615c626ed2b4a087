//! Recognises requests that deliver telemetry: they carry no context by design.
//!
//! A rule must not fit an application's own interface: where the path is not a vendor's alone, the
//! content type or the user agent must fit too.

/// Fields that rules look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told<'a> {
    pub user_agent: &'a [u8],
    pub content_type: &'a [u8],
}

/// How a rule looks at the path.
#[derive(Clone, Copy)]
enum Path {
    Is(&'static str),
    Begins(&'static str),
    Ends(&'static str),
    /// A number between two parts.
    Number(&'static str, &'static str),
}

/// What must fit beside the path.
#[derive(Clone, Copy)]
enum Also {
    Nothing,
    /// The content type begins with one of these.
    Type(&'static [&'static str]),
    /// The user agent begins with one of these.
    Agent(&'static [&'static str]),
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";
const THRIFT: &[&str] = &["application/x-thrift", "application/vnd.apache.thrift"];
const ELASTIC: &[&str] = &["apm-agent-", "elasticapm-", "elastic-apm-"];

/// Whoever calls itself so delivers nothing but telemetry.
const AGENTS: &[&str] = &[
    "OTel-OTLP-Exporter",
    "OTel OTLP Exporter",
    "OpenTelemetry",
    "NewRelic-",
    "libhoney-",
    "Grafana Alloy/",
    "Fluent-Bit",
];

#[rustfmt::skip]
const RULES: &[(Path, Also)] = &[
    // OTLP/HTTP (opentelemetry.io/docs/specs/otlp, "Binary Protobuf Encoding", "JSON Protobuf Encoding").
    (Path::Ends("/v1/traces"), Also::Type(&[PROTOBUF])),
    (Path::Ends("/v1/metrics"), Also::Type(&[PROTOBUF])),
    (Path::Ends("/v1/logs"), Also::Type(&[PROTOBUF])),
    (Path::Is("/v1/traces"), Also::Type(&[JSON])),
    (Path::Is("/v1/metrics"), Also::Type(&[JSON])),
    (Path::Is("/v1/logs"), Also::Type(&[JSON])),
    // Zipkin (zipkin.io/zipkin-api).
    (Path::Is("/api/v1/spans"), Also::Type(&[JSON, THRIFT[0]])),
    (Path::Is("/api/v2/spans"), Also::Type(&[JSON, PROTOBUF])),
    // Jaeger collector.
    (Path::Is("/api/traces"), Also::Type(THRIFT)),
    // Datadog trace agent.
    (Path::Number("/v0.", "/traces"), Also::Type(&[MSGPACK, JSON])),
    (Path::Number("/v0.", "/stats"), Also::Type(&[MSGPACK, JSON])),
    (Path::Number("/v0.", "/pipeline_stats"), Also::Nothing),
    (Path::Number("/v0.", "/config"), Also::Type(&[JSON])),
    (Path::Begins("/telemetry/proxy/api/"), Also::Nothing),
    (Path::Begins("/evp_proxy/v"), Also::Nothing),
    (Path::Is("/profiling/v1/input"), Also::Nothing),
    (Path::Is("/debugger/v1/input"), Also::Nothing),
    // Elastic APM server.
    (Path::Is("/intake/v2/events"), Also::Type(&["application/x-ndjson"])),
    (Path::Is("/intake/v2/events"), Also::Agent(ELASTIC)),
    (Path::Is("/config/v1/agents"), Also::Agent(ELASTIC)),
    // Apache SkyWalking OAP.
    (Path::Is("/v3/segment"), Also::Type(&[JSON])),
    (Path::Is("/v3/segments"), Also::Type(&[JSON])),
    (Path::Begins("/v3/management/"), Also::Type(&[JSON])),
    // New Relic collector.
    (Path::Is("/agent_listener/invoke_raw_method"), Also::Nothing),
    // Sentry.
    (Path::Number("/api/", "/envelope/"), Also::Type(&["application/x-sentry-envelope"])),
    (Path::Number("/api/", "/envelope/"), Also::Agent(&["sentry"])),
    (Path::Number("/api/", "/store/"), Also::Agent(&["sentry", "raven"])),
    // Prometheus remote write (also Mimir and Thanos) and Pushgateway.
    (Path::Is("/api/v1/write"), Also::Type(&[PROTOBUF])),
    (Path::Is("/api/v1/push"), Also::Type(&[PROTOBUF])),
    (Path::Is("/api/v1/receive"), Also::Type(&[PROTOBUF])),
    (Path::Begins("/metrics/job/"), Also::Type(&["text/plain", "application/vnd.google.protobuf"])),
    // Loki.
    (Path::Is("/loki/api/v1/push"), Also::Nothing),
    // Splunk HTTP Event Collector.
    (Path::Is("/services/collector"), Also::Nothing),
    (Path::Is("/services/collector/event"), Also::Nothing),
    (Path::Is("/services/collector/raw"), Also::Nothing),
    // Azure Application Insights.
    (Path::Is("/v2.1/track"), Also::Nothing),
    (Path::Is("/v2/track"), Also::Type(&["application/x-json-stream"])),
    // AWS X-Ray daemon.
    (Path::Is("/GetSamplingRules"), Also::Nothing),
    (Path::Is("/SamplingTargets"), Also::Nothing),
];

/// Whether a request delivers telemetry.
pub(super) fn is_delivery(method: &str, target: &str, told: &Told<'_>) -> bool {
    if begins_with_one(told.user_agent, AGENTS) {
        return true;
    }
    if method != "POST" && method != "PUT" {
        return false;
    }
    let path = path(target);
    RULES
        .iter()
        .any(|(rule, also)| rule.fits(path) && also.fits(told))
}

/// The path of a target in origin or absolute form, without its query.
fn path(target: &str) -> &str {
    let origin = match target.find("://") {
        Some(at) if !target.starts_with('/') => {
            let rest = &target[at + 3..];
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    &origin[..origin.find(['?', '#']).unwrap_or(origin.len())]
}

fn begins_with_one(value: &[u8], beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| {
        value
            .get(..beginning.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
    })
}

impl Path {
    fn fits(self, path: &str) -> bool {
        match self {
            Self::Is(whole) => path == whole,
            Self::Begins(start) => path.starts_with(start),
            Self::Ends(end) => path.ends_with(end),
            Self::Number(before, after) => path
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
        }
    }
}

impl Also {
    fn fits(self, told: &Told<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Type(types) => begins_with_one(told.content_type, types),
            Self::Agent(agents) => begins_with_one(told.user_agent, agents),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivers(method: &str, target: &str, content_type: &str, user_agent: &str) -> bool {
        is_delivery(
            method,
            target,
            &Told {
                user_agent: user_agent.as_bytes(),
                content_type: content_type.as_bytes(),
            },
        )
    }

    #[test]
    fn deliveries_are_recognised() {
        for (target, content_type, agent) in [
            ("/v1/traces", "application/x-protobuf", ""),
            ("/otlp/v1/metrics", "application/x-protobuf", ""),
            ("/v1/logs", "application/json; charset=utf-8", ""),
            (
                "http://collector:4318/v1/traces",
                "application/x-protobuf",
                "",
            ),
            ("/anything", "", "OTel-OTLP-Exporter-Python/1.27.0"),
            ("/api/v2/spans", "application/json", ""),
            (
                "/api/traces?format=jaeger.thrift",
                "application/x-thrift",
                "",
            ),
            ("/v0.5/traces", "application/msgpack", ""),
            (
                "/telemetry/proxy/api/v2/apmtelemetry",
                "application/json",
                "",
            ),
            ("/intake/v2/events", "application/x-ndjson", ""),
            ("/v3/segments", "application/json", ""),
            (
                "/api/42/envelope/?sentry_key=x",
                "application/x-sentry-envelope",
                "",
            ),
            ("/api/42/store/", "application/json", "sentry.python/1.45.0"),
            ("/api/v1/write", "application/x-protobuf", ""),
            ("/metrics/job/batch", "text/plain; version=0.0.4", ""),
            ("/services/collector/event", "", ""),
        ] {
            assert!(delivers("POST", target, content_type, agent), "{target}");
        }
    }

    #[test]
    fn an_applications_own_interface_is_not() {
        for (method, target, content_type) in [
            ("GET", "/v1/traces", "application/json"),
            ("POST", "/shop/v1/logs", "application/json"),
            ("POST", "/api/traces", "application/json"),
            ("POST", "/v0.x/traces", "application/msgpack"),
            ("POST", "/api/shop/store/", "application/json"),
            ("POST", "/api/42/store/", "application/json"),
            ("POST", "/intake/v2/events", "application/json"),
            ("POST", "/cart?next=/v1/traces", "application/x-protobuf"),
            ("POST", "/metrics/job/x", "application/json"),
        ] {
            assert!(
                !delivers(method, target, content_type, "curl/8"),
                "{target}"
            );
        }
    }
}
