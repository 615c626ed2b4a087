//! What is exported, held against OpenTelemetry's semantic conventions and its registry of attributes.

use std::collections::{BTreeSet, HashSet};
use std::process::Command;

use anyhow::{Result, ensure};
use observer_e2e::app::root;
use observer_e2e::otlp::{Log, Span};

use crate::{CLIENT, SERVER};

/// The conventions for HTTP spans (stable): attributes that a span of this kind must have, and the
/// values that they may have. Written down here from their document, not taken from the program.
pub fn conventions(span: &Span) -> Result<()> {
    let required: &[&str] = match span.kind {
        SERVER => &["http.request.method", "url.path", "url.scheme"],
        CLIENT => &[
            "http.request.method",
            "server.address",
            "server.port",
            "url.full",
        ],
        other => anyhow::bail!("kind {other}"),
    };
    for name in required {
        ensure!(span.attributes.contains_key(*name), "no {name}: {span:#?}");
    }
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "_OTHER"];
    let method = span.text("http.request.method");
    ensure!(methods.contains(&method), "{method}");
    ensure!(
        span.name.starts_with(method) && !span.name.contains("r0"),
        "{}",
        span.name
    );
    ensure!(span.text("http.response.status_code") == "200", "{span:#?}");
    ensure!(!span.attributes.contains_key("error.type"));
    ensure!(span.text("network.protocol.version").starts_with("1."));
    let peer = span.text("network.peer.address");
    ensure!(peer == "127.0.0.1", "{peer}");
    ensure!(span.times.0 > 0 && span.times.1 >= span.times.0);
    for name in [
        "service.name",
        "process.pid",
        "process.executable.name",
        "host.name",
    ] {
        ensure!(
            span.resource.contains_key(name),
            "no {name}: {:?}",
            span.resource
        );
    }
    // Attributes that the conventions have renamed or dropped must not be there.
    let old = [
        "http.method",
        "http.url",
        "http.target",
        "http.status_code",
        "net.peer.name",
    ];
    let found = old.iter().find(|name| span.attributes.contains_key(**name));
    ensure!(found.is_none(), "{found:?}");
    Ok(())
}

/// The names of attributes in OpenTelemetry's registry that are not deprecated, as the package
/// generated from the registry for Python has them.
fn registry() -> Result<HashSet<String>> {
    let script = "
import importlib, pkgutil, re, inspect
import opentelemetry.semconv._incubating.attributes as attributes
for module in pkgutil.iter_modules(attributes.__path__):
    source = inspect.getsource(importlib.import_module(attributes.__name__ + '.' + module.name))
    for name, text in re.findall(r'Final = \"([^\"]+)\"\\n\"\"\"\\s*(\\S*)', source):
        if text != 'Deprecated:':
            print(name)
";
    let python = root().join("target/e2e/venv/bin/python");
    let out = Command::new(python).args(["-c", script]).output()?;
    ensure!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let names: HashSet<String> = String::from_utf8(out.stdout)?
        .lines()
        .map(str::to_owned)
        .collect();
    let known = ["http.request.method", "url.path", "service.name"];
    ensure!(
        known.iter().all(|n| names.contains(*n)) && !names.contains("http.method"),
        "this is not the registry: {} names",
        names.len()
    );
    Ok(names)
}

/// Every attribute is the project's own, or one of the registry.
pub fn registered(spans: &[Span], logs: &[Log]) -> Result<()> {
    let registry = registry()?;
    let synthetic = spans.iter().filter(|s| s.synthetic());
    let of_spans = synthetic.flat_map(|s| s.attributes.keys().chain(s.resource.keys()));
    let of_logs = logs.iter().flat_map(|log| log.attributes.keys());
    let used: BTreeSet<&String> = of_spans.chain(of_logs).collect();
    let unknown: Vec<_> = used
        .iter()
        .filter(|name| !name.starts_with("observer.") && !registry.contains(**name))
        .collect();
    ensure!(unknown.is_empty(), "not in the registry: {unknown:?}");
    Ok(())
}
