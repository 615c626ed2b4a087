//! The OpenTelemetry Collector, built by `tests/setup.sh`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::app::root;
use crate::ports::free_port;
use crate::process::{Process, Stream};

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// A running collector.
pub struct Collector {
    /// Its process.
    pub process: Process,
    /// Port for OTLP over HTTP.
    pub http: u16,
    /// Port for OTLP over gRPC.
    pub grpc: u16,
    folder: PathBuf,
}

/// A span as the collector wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace, span and parent in hexadecimal; a parent may be empty.
    pub trace: String,
    /// Own id.
    pub id: String,
    /// The parent's id.
    pub parent: String,
    /// `SpanKind` of OTLP: 2 is server, 3 client.
    pub kind: u64,
    /// Name.
    pub name: String,
    /// Attributes.
    pub attributes: HashMap<String, Value>,
    /// Attributes of the resource.
    pub resource: HashMap<String, Value>,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
    /// Start and end, nanoseconds since 1970.
    pub times: (u64, u64),
}

impl Span {
    /// Whether the observer made it.
    #[must_use]
    pub fn synthetic(&self) -> bool {
        self.attributes.get("observer.synthetic") == Some(&Value::Bool(true))
    }

    /// A text attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.attributes
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Name of the service.
    #[must_use]
    pub fn service(&self) -> &str {
        let name = self.resource.get("service.name");
        name.and_then(Value::as_str).unwrap_or_default()
    }
}

/// A log record as the collector wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its span.
    pub span: String,
    /// The text.
    pub body: String,
    /// Attributes.
    pub attributes: HashMap<String, Value>,
}

impl Collector {
    /// What is missing to run it.
    #[must_use]
    pub fn missing() -> Option<String> {
        let program = program();
        (!program.exists())
            .then(|| format!("{} is missing (run tests/setup.sh)", program.display()))
    }

    /// Starts one, with nothing written yet.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &str) -> Result<Self> {
        Self::on(name, free_port()?)
    }

    /// The same, on a port for HTTP that is known before.
    ///
    /// # Errors
    /// When it does not start.
    pub fn on(name: &str, http: u16) -> Result<Self> {
        Self::configured(name, http, None)
    }

    /// One that speaks TLS, with this certificate and this private key (paths of PEM files).
    ///
    /// # Errors
    /// When it does not start.
    pub fn secured(name: &str, certificate: &Path, key: &Path) -> Result<Self> {
        Self::configured(name, free_port()?, Some((certificate, key)))
    }

    fn configured(name: &str, http: u16, tls: Option<(&Path, &Path)>) -> Result<Self> {
        let folder = root().join("target/e2e/otlp").join(name);
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let grpc = free_port()?;
        let config = folder.join("config.json");
        std::fs::write(
            &config,
            configuration(http, grpc, &folder.to_string_lossy(), tls),
        )?;
        let mut command = Command::new(program());
        command
            .arg("--config")
            .arg(format!("file:{}", config.display()));
        let process = Process::start("collector", command)?;
        process.wait_for(Stream::Err, STARTING, |line| {
            line.contains("Everything is ready").then_some(())
        })?;
        Ok(Self {
            process,
            http,
            grpc,
            folder,
        })
    }

    /// Address for OTLP over HTTP.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// All spans written so far.
    ///
    /// # Errors
    /// When what is written can't be read.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let mut spans = Vec::new();
        for batch in self.written("traces")? {
            for of_resource in list(&batch, "resourceSpans") {
                let resource = attributes(&of_resource["resource"]);
                for scope in list(of_resource, "scopeSpans") {
                    spans.extend(list(scope, "spans").iter().map(|s| span(s, &resource)));
                }
            }
        }
        Ok(spans)
    }

    /// All log records written so far.
    ///
    /// # Errors
    /// When what is written can't be read.
    pub fn logs(&self) -> Result<Vec<Log>> {
        let mut logs = Vec::new();
        for batch in self.written("logs")? {
            for of_resource in list(&batch, "resourceLogs") {
                for scope in list(of_resource, "scopeLogs") {
                    logs.extend(list(scope, "logRecords").iter().map(log));
                }
            }
        }
        Ok(logs)
    }

    /// All metrics written so far: each data point with its metric's name.
    ///
    /// # Errors
    /// When what is written can't be read.
    pub fn points(&self) -> Result<Vec<(String, Value)>> {
        let mut points = Vec::new();
        for batch in self.written("metrics")? {
            for of_resource in list(&batch, "resourceMetrics") {
                for scope in list(of_resource, "scopeMetrics") {
                    for metric in list(scope, "metrics") {
                        let name = text(metric, "name");
                        let data = [&metric["sum"], &metric["histogram"]];
                        let all = data.into_iter().flat_map(|d| list(d, "dataPoints"));
                        points.extend(all.map(|p| (name.clone(), p.clone())));
                    }
                }
            }
        }
        Ok(points)
    }

    /// Waits until as many spans as `enough` wants are written.
    ///
    /// # Errors
    /// When they are not within `limit`.
    pub fn wait(&self, limit: Duration, enough: impl Fn(&[Span]) -> bool) -> Result<Vec<Span>> {
        let deadline = Instant::now() + limit;
        loop {
            let spans = self.spans()?;
            if enough(&spans) {
                return Ok(spans);
            }
            ensure!(Instant::now() < deadline, "only {} spans came", spans.len());
            // The file is written by another process, and nothing tells when.
            std::thread::yield_now();
        }
    }

    fn written(&self, what: &str) -> Result<Vec<Value>> {
        let path = self.folder.join(format!("{what}.json"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context(path.display().to_string()),
        };
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).context("not JSON"))
            .collect()
    }
}

fn program() -> PathBuf {
    root().join("target/e2e/collector")
}

fn configuration(http: u16, grpc: u16, folder: &str, tls: Option<(&Path, &Path)>) -> String {
    let listen = |port: u16| {
        let tls = tls.map(
            |(certificate, key)| serde_json::json!({ "cert_file": certificate, "key_file": key }),
        );
        serde_json::json!({ "endpoint": format!("127.0.0.1:{port}"), "tls": tls })
    };
    let file = |what: &str| {
        serde_json::json!({
            "path": format!("{folder}/{what}.json"),
            "flush_interval": "100ms",
        })
    };
    let pipeline = |what: &str| serde_json::json!({ "receivers": ["otlp"], "exporters": [format!("file/{what}")] });
    serde_json::json!({
        "receivers": { "otlp": { "protocols": {
            "http": listen(http),
            "grpc": listen(grpc),
        } } },
        "exporters": {
            "file/traces": file("traces"),
            "file/logs": file("logs"),
            "file/metrics": file("metrics"),
        },
        "service": {
            "telemetry": { "metrics": { "level": "none" } },
            "pipelines": {
                "traces": pipeline("traces"),
                "logs": pipeline("logs"),
                "metrics": pipeline("metrics"),
            },
        },
    })
    .to_string()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn nanos(value: &Value, name: &str) -> u64 {
    text(value, name).parse().unwrap_or(0)
}

/// Attributes by name; 64-bit numbers are text in OTLP's JSON.
fn attributes(value: &Value) -> HashMap<String, Value> {
    list(value, "attributes")
        .iter()
        .filter_map(|attribute| {
            let inner = attribute["value"].as_object()?.values().next()?;
            Some((text(attribute, "key"), inner.clone()))
        })
        .collect()
}

fn span(value: &Value, resource: &HashMap<String, Value>) -> Span {
    let links = list(value, "links").iter();
    Span {
        trace: text(value, "traceId"),
        id: text(value, "spanId"),
        parent: text(value, "parentSpanId"),
        kind: value["kind"].as_u64().unwrap_or(0),
        name: text(value, "name"),
        attributes: attributes(value),
        resource: resource.clone(),
        links: links
            .map(|link| (text(link, "traceId"), text(link, "spanId")))
            .collect(),
        times: (
            nanos(value, "startTimeUnixNano"),
            nanos(value, "endTimeUnixNano"),
        ),
    }
}

fn log(value: &Value) -> Log {
    Log {
        trace: text(value, "traceId"),
        span: text(value, "spanId"),
        body: text(&value["body"], "stringValue"),
        attributes: attributes(value),
    }
}
