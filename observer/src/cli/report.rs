//! What is typed after `report`, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::show::Color;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Recordings (`watch --record`), and outputs of `watch --output json`; `-` is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Ask this agent for what it has counted since it started
    #[arg(long, value_name = "HOST:PORT")]
    pub agent: Vec<String>,
    /// Ask this Prometheus-compatible server for what agents have counted
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// How far back to look in Prometheus
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "24h", requires = "prometheus")]
    pub since: Duration,
    /// Send this header to Prometheus, for example X-Scope-OrgID=team
    #[arg(long, value_name = "NAME=VALUE", requires = "prometheus")]
    pub prometheus_header: Vec<String>,
    /// Give up asking an agent or server after this time
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "30s")]
    pub timeout: Duration,
    /// Form of the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// Write the report to FILE, whole or not at all
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Link traces: a URL with `{trace_id}` in it, for example of Tempo or Jaeger
    #[arg(long, value_name = "URL")]
    pub trace_url: Option<String>,
    /// Compare with an earlier report, made with --format json
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in a terminal.
    #[default]
    Terminal,
    /// For programs, and for --baseline.
    Json,
    /// For issues and chats.
    Markdown,
    /// For spreadsheets: one row per edge.
    Csv,
    /// For people: one page that needs nothing else.
    Html,
}

/// Why arguments of `report` make no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReportPlanError {
    /// No source is named.
    #[error(
        "nothing to report on; give recordings or JSON outputs, --agent HOST:PORT, or --prometheus URL"
    )]
    NoSource,
    /// Not an address.
    #[error("--agent {0}: an agent is HOST:PORT")]
    Agent(String),
    /// Not a URL that can be asked.
    #[error("--prometheus {0}: not a URL that begins with http:// or https://")]
    Prometheus(String),
    /// Not a header.
    #[error("--prometheus-header {0}: a header is NAME=VALUE")]
    Header(String),
    /// Not a template of links.
    #[error(
        "--trace-url {0}: a URL that begins with http:// or https:// and has {{trace_id}} in it"
    )]
    TraceUrl(String),
}

/// Where counts come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Recordings and JSON outputs.
    pub files: Vec<PathBuf>,
    /// Addresses of agents.
    pub agents: Vec<String>,
    /// A Prometheus-compatible server.
    pub prometheus: Option<Prometheus>,
    /// How long to wait for agents and servers.
    pub timeout: Duration,
}

/// A Prometheus-compatible server, and what to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// Its URL, below which `/api/v1` lies.
    pub url: String,
    /// How far back to look.
    pub since: Duration,
    /// Headers to send, by name.
    pub headers: Vec<(String, String)>,
}

/// What `report` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPlan {
    /// Where counts come from.
    pub sources: Sources,
    /// Form of the report.
    pub format: Format,
    /// Where it goes; standard output if absent.
    pub output: Option<PathBuf>,
    /// Template of links to traces.
    pub trace_url: Option<String>,
    /// An earlier report.
    pub baseline: Option<PathBuf>,
    /// When to use colours.
    pub color: Color,
}

/// The plan of `report`.
///
/// # Errors
///
/// See [`ReportPlanError`].
pub fn plan(args: ReportArgs) -> Result<ReportPlan, ReportPlanError> {
    if args.files.is_empty() && args.agent.is_empty() && args.prometheus.is_none() {
        return Err(ReportPlanError::NoSource);
    }
    if let Some(agent) = args.agent.iter().find(|agent| !is_address(agent)) {
        return Err(ReportPlanError::Agent(agent.clone()));
    }
    let is_template = |url: &String| is_web(url) && url.contains("{trace_id}");
    if let Some(url) = args.trace_url.as_ref().filter(|url| !is_template(url)) {
        return Err(ReportPlanError::TraceUrl(url.clone()));
    }
    let prometheus = args.prometheus.map(|url| {
        if !is_web(&url) {
            return Err(ReportPlanError::Prometheus(url));
        }
        let headers = args.prometheus_header.iter().map(|given| {
            let header = given.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) = header.ok_or_else(|| ReportPlanError::Header(given.clone()))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        Ok(Prometheus {
            url: url.trim_end_matches('/').to_owned(),
            since: args.since,
            headers: headers.collect::<Result<_, _>>()?,
        })
    });
    Ok(ReportPlan {
        sources: Sources {
            files: args.files,
            agents: args.agent,
            prometheus: prometheus.transpose()?,
            timeout: args.timeout,
        },
        format: args.format,
        output: args.output,
        trace_url: args.trace_url,
        baseline: args.baseline,
        color: args.color,
    })
}

fn is_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Whether it is a host, or an IPv6 address in brackets, with a port.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '@', '?', '#', ' ']);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
