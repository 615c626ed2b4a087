//! Where each signal goes and how: what the command line says, then the standard variables.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::cli::export::{OtlpPlan, Protocol, Signal};

/// Where OTLP over HTTP goes if nobody says otherwise.
const DEFAULT_HTTP: &str = "http://localhost:4318";

/// Where OTLP over gRPC goes if nobody says otherwise.
const DEFAULT_GRPC: &str = "http://localhost:4317";

/// The port that is registered for OTLP over gRPC.
const GRPC_PORT: u16 = 4317;

/// How long one export may take if nobody says otherwise (OTLP exporter specification).
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often metrics are exported if nobody says otherwise (SDK configuration specification).
const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// Why an export can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The endpoint can't be called.
    #[error("{origin} {given}: no endpoint ({why}); an endpoint looks like http://localhost:4318")]
    Endpoint {
        /// The option or variable.
        origin: String,
        /// Its value.
        given: String,
        /// What is wrong.
        why: String,
    },
    /// A variable has a value that means nothing.
    #[error("{variable}={given}: {expected}")]
    Variable {
        /// The variable.
        variable: String,
        /// Its value.
        given: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A file can't be read.
    #[error("{variable}: {} can't be read: {source}", path.display())]
    File {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key can't be used, or the client not be built.
    #[error("the export can't be set up: {0}")]
    Client(String),
}

/// Certificates and keys, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whom to trust, instead of the system's roots.
    pub authority: Option<Vec<u8>>,
    /// Own certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where one signal goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What goes there.
    pub signal: Signal,
    /// How to speak to it.
    pub protocol: Protocol,
    /// Full address: with the signal's path if it is HTTP.
    pub url: Url,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// Whether requests are compressed (gzip).
    pub gzip: bool,
    /// Certificates and keys.
    pub tls: Tls,
}

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// One per signal that is exported.
    pub targets: Vec<Target>,
    /// How often metrics are exported.
    pub metric_interval: Duration,
}

/// Reads variables of the environment; those that are empty are as if not set.
struct Env<'a, F> {
    lookup: &'a F,
    signal: &'static str,
}

impl<F: Fn(&str) -> Option<String>> Env<'_, F> {
    /// The variable of the signal, else the one of all signals; its name and value.
    fn get(&self, name: &str) -> Option<(String, String)> {
        self.own(name).or_else(|| self.common(name))
    }

    fn own(&self, name: &str) -> Option<(String, String)> {
        self.read(format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal))
    }

    fn common(&self, name: &str) -> Option<(String, String)> {
        self.read(format!("OTEL_EXPORTER_OTLP_{name}"))
    }

    fn read(&self, variable: String) -> Option<(String, String)> {
        let value = (self.lookup)(&variable)?;
        let value = value.trim().to_owned();
        (!value.is_empty()).then_some((variable, value))
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, ConfigError> {
        let Some((variable, path)) = self.get(name) else {
            return Ok(None);
        };
        let path = PathBuf::from(path);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(ConfigError::File {
                variable,
                path,
                source,
            }),
        }
    }
}

impl Config {
    /// Where `plan` leads, with the variables that `lookup` finds.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn new(
        plan: &OtlpPlan,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut signals = plan.signals.clone();
        signals.sort_unstable();
        signals.dedup();
        let targets: Result<_, _> = signals
            .into_iter()
            .map(|signal| target(plan, signal, &lookup))
            .collect();
        let interval = lookup("OTEL_METRIC_EXPORT_INTERVAL").filter(|v| !v.trim().is_empty());
        Ok(Self {
            targets: targets?,
            metric_interval: match interval {
                Some(given) => millis("OTEL_METRIC_EXPORT_INTERVAL".into(), given)?,
                None => METRIC_INTERVAL,
            },
        })
    }
}

fn target(
    plan: &OtlpPlan,
    signal: Signal,
    lookup: &impl Fn(&str) -> Option<String>,
) -> Result<Target, ConfigError> {
    let env = Env {
        lookup,
        signal: variable_part(signal),
    };
    let (origin, given, whole) = match &plan.endpoint {
        Some(given) => ("--otlp".to_owned(), Some(given.clone()), false),
        None => match (env.own("ENDPOINT"), env.common("ENDPOINT")) {
            (Some((name, value)), _) => (name, Some(value), true),
            (None, Some((name, value))) => (name, Some(value), false),
            (None, None) => ("--otlp".to_owned(), None, false),
        },
    };
    let protocol = protocol(plan, &env)?;
    let insecure = env.get("INSECURE").is_some_and(|(_, v)| v == "true");
    let (url, protocol) = match given {
        Some(given) => endpoint(&origin, &given, protocol, insecure)?,
        None => {
            let protocol = protocol.unwrap_or(Protocol::Http);
            let default = match protocol {
                Protocol::Grpc => DEFAULT_GRPC,
                Protocol::Http => DEFAULT_HTTP,
            };
            endpoint(&origin, default, Some(protocol), true)?
        }
    };
    let url = match protocol {
        Protocol::Http if !whole => with_path(url, signal),
        _ => url,
    };
    Ok(Target {
        signal,
        protocol,
        url,
        headers: headers(plan, &env)?,
        timeout: match env.get("TIMEOUT") {
            Some((variable, given)) => millis(variable, given)?,
            None => TIMEOUT,
        },
        gzip: gzip(&env)?,
        tls: Tls {
            authority: env.file("CERTIFICATE")?,
            identity: env.file("CLIENT_CERTIFICATE")?.zip(env.file("CLIENT_KEY")?),
        },
    })
}

fn variable_part(signal: Signal) -> &'static str {
    match signal {
        Signal::Spans => "TRACES",
        Signal::Logs => "LOGS",
        Signal::Metrics => "METRICS",
    }
}

fn protocol<F: Fn(&str) -> Option<String>>(
    plan: &OtlpPlan,
    env: &Env<'_, F>,
) -> Result<Option<Protocol>, ConfigError> {
    if plan.protocol.is_some() {
        return Ok(plan.protocol);
    }
    match env.get("PROTOCOL") {
        None => Ok(None),
        Some((_, value)) if value == "grpc" => Ok(Some(Protocol::Grpc)),
        Some((_, value)) if value == "http/protobuf" => Ok(Some(Protocol::Http)),
        Some((variable, given)) => Err(ConfigError::Variable {
            variable,
            given,
            expected: "the observer speaks grpc and http/protobuf",
        }),
    }
}

fn endpoint(
    origin: &str,
    given: &str,
    protocol: Option<Protocol>,
    insecure: bool,
) -> Result<(Url, Protocol), ConfigError> {
    let wrong = |why: String| ConfigError::Endpoint {
        origin: origin.to_owned(),
        given: given.to_owned(),
        why,
    };
    // gRPC allows an endpoint without a scheme; it is encrypted unless it is said to be insecure.
    let text = match protocol {
        Some(Protocol::Grpc) if !given.contains("://") => {
            let scheme = if insecure { "http" } else { "https" };
            format!("{scheme}://{given}")
        }
        _ => given.to_owned(),
    };
    let url = Url::parse(&text).map_err(|e| wrong(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither http:// nor https://".into()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host".into()));
    }
    let by_port = if url.port() == Some(GRPC_PORT) {
        Protocol::Grpc
    } else {
        Protocol::Http
    };
    Ok((url, protocol.unwrap_or(by_port)))
}

fn with_path(mut url: Url, signal: Signal) -> Url {
    let path = match signal {
        Signal::Spans => "v1/traces",
        Signal::Logs => "v1/logs",
        Signal::Metrics => "v1/metrics",
    };
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{path}"));
    url
}

fn headers<F: Fn(&str) -> Option<String>>(
    plan: &OtlpPlan,
    env: &Env<'_, F>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut headers = plan.headers.clone();
    let Some((variable, given)) = env.get("HEADERS") else {
        return Ok(headers);
    };
    for entry in given.split(',').filter(|e| !e.trim().is_empty()) {
        let Some((name, value)) = entry.split_once('=') else {
            return Err(ConfigError::Variable {
                variable,
                // The value may hold a secret.
                given: "…".into(),
                expected: "headers are NAME=VALUE,NAME=VALUE",
            });
        };
        let name = name.trim();
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            let value = percent_decode_str(value.trim())
                .decode_utf8_lossy()
                .into_owned();
            headers.push((name.to_owned(), value));
        }
    }
    Ok(headers)
}

fn gzip<F: Fn(&str) -> Option<String>>(env: &Env<'_, F>) -> Result<bool, ConfigError> {
    match env.get("COMPRESSION") {
        None => Ok(false),
        Some((_, value)) if value == "gzip" => Ok(true),
        Some((_, value)) if value == "none" => Ok(false),
        Some((variable, given)) => Err(ConfigError::Variable {
            variable,
            given,
            expected: "gzip or none",
        }),
    }
}

fn millis(variable: String, given: String) -> Result<Duration, ConfigError> {
    match given.trim().parse() {
        Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(ConfigError::Variable {
            variable,
            given,
            expected: "a number of milliseconds above zero",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: Option<&str>, env: &[(&str, &str)]) -> Result<Vec<Target>, String> {
        let plan = OtlpPlan {
            endpoint: endpoint.map(str::to_owned),
            signals: Signal::ALL.to_vec(),
            ..OtlpPlan::default()
        };
        let lookup = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::new(&plan, lookup).map_err(|e| e.to_string())?;
        Ok(config.targets)
    }

    fn spans(endpoint: Option<&str>, env: &[(&str, &str)]) -> (String, Protocol) {
        let target = config(endpoint, env).unwrap().swap_remove(0);
        (target.url.to_string(), target.protocol)
    }

    #[test]
    fn endpoints_are_as_the_specification_says() {
        let http = |url: &str| (url.to_owned(), Protocol::Http);
        assert_eq!(spans(None, &[]), http("http://localhost:4318/v1/traces"));
        assert_eq!(
            spans(Some("https://otel.example/base/"), &[]),
            http("https://otel.example/base/v1/traces")
        );
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1")];
        assert_eq!(spans(None, &env), http("http://a:1/v1/traces"));
        assert_eq!(
            spans(Some("http://b:2"), &env),
            http("http://b:2/v1/traces")
        );
        let own = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:1/as/is")];
        assert_eq!(spans(None, &own), http("http://a:1/as/is"));
        let grpc = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
        ];
        assert_eq!(spans(None, &grpc).0, "http://collector:4317/");
        let (_, by_port) = spans(Some("http://localhost:4317"), &[]);
        assert_eq!(by_port, Protocol::Grpc);
    }

    #[test]
    fn variables_of_a_signal_go_before_those_of_all() {
        let env = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=x%20y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "20"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ];
        let targets = config(None, &env).unwrap();
        assert_eq!(targets[0].headers[1], ("b".into(), "x y".into()));
        assert_eq!(targets[0].timeout, Duration::from_millis(1500));
        assert_eq!(targets[1].timeout, Duration::from_millis(20));
        assert!(targets[2].gzip);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_origin() {
        for (endpoint, env, part) in [
            (Some("localhost:4318"), vec![], "--otlp localhost:4318"),
            (Some("ftp://x"), vec![], "neither http:// nor https://"),
            (
                None,
                vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                "speaks grpc",
            ),
            (
                None,
                vec![("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")],
                "milliseconds",
            ),
            (
                None,
                vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such")],
                "/no/such",
            ),
            (
                None,
                vec![("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
                "NAME=VALUE",
            ),
        ] {
            let error = config(endpoint, &env).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
