//! The command line of `observer agent`, its configuration file, and what both mean.
//!
//! A setting is looked for in this order: flag, variable, file, default. Each key of the file is a
//! flag and a variable as well: `metrics.listen` is `--metrics-listen` and `OBSERVER_METRICS_LISTEN`.

mod file;
mod plan;
mod rule;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
pub use file::{File, FileError};
pub use plan::{
    AgentPlan, JsonPlan, KubernetesPlan, MetricsPlan, PrivilegesPlan, ReadError, Target, load,
};
pub use rule::{Ports, Rule, RuleError};
use serde::Deserialize;

use super::export::{Protocol, Signal, WhichSpans};
use super::probes::Detail;
use super::show::{Logs, Redact};
use super::size::{Share, Size};

/// Arguments of `agent`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings (each is also a key of the file)")]
pub struct AgentArgs {
    /// The configuration, YAML; without it, defaults, variables and flags are all there is
    #[arg(
        long,
        value_name = "FILE",
        env = "OBSERVER_CONFIG",
        help_heading = "Options"
    )]
    pub config: Option<PathBuf>,
    /// Say whether the configuration is right, and what it comes to, and end
    #[arg(long, help_heading = "Options")]
    pub check_config: bool,
    /// Observe processes that match this rule, KEY=PATTERN[,KEY=PATTERN…]; several add up, none means
    /// all
    ///
    /// Keys: exe, comm, command, port, cgroup, container, namespace, pod, owner, label.NAME.
    /// Patterns have * and ?. Variables separate rules by `;`.
    #[arg(long, value_name = "RULE", env = "OBSERVER_INCLUDE", value_delimiter = ';', action = ArgAction::Append)]
    pub include: Vec<Rule>,
    /// Do not observe processes that match this rule; goes before --include
    #[arg(long, value_name = "RULE", env = "OBSERVER_EXCLUDE", value_delimiter = ';', action = ArgAction::Append)]
    pub exclude: Vec<Rule>,
    /// Observe the system's daemons too (false)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_SYSTEM", num_args = 0..=1, default_missing_value = "true")]
    pub system: Option<bool>,
    /// What to hide in request targets (query)
    #[arg(long, value_name = "WHAT", value_enum, env = "OBSERVER_REDACT")]
    pub redact: Option<Redact>,
    /// The types of this kernel, if it does not tell them itself: BTF, or a vmlinux with it (looked for)
    #[arg(long, value_name = "FILE", env = "OBSERVER_BTF")]
    pub btf: Option<PathBuf>,
    /// When turns of Node's event loop are told apart (auto)
    #[arg(long, value_name = "MODE", value_enum, env = "OBSERVER_NODE")]
    pub node: Option<Detail>,
    /// When it is followed what goroutines hand to each other through channels (auto)
    #[arg(long, value_name = "MODE", value_enum, env = "OBSERVER_GO")]
    pub go: Option<Detail>,
    /// Write JSON Lines to this file; - is standard output (not written)
    #[arg(long, value_name = "FILE", env = "OBSERVER_JSON_FILE")]
    pub json_file: Option<String>,
    /// Which log lines are in the JSON (lost)
    #[arg(long, value_name = "WHICH", value_enum, env = "OBSERVER_JSON_LOGS")]
    pub json_logs: Option<Logs>,
    /// Export over OTLP to this endpoint; empty: to where the variables OTEL_EXPORTER_OTLP_* say (not exported)
    #[arg(long, value_name = "ENDPOINT", env = "OBSERVER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// How to speak to the endpoint (by port)
    #[arg(
        long,
        value_name = "PROTOCOL",
        value_enum,
        env = "OBSERVER_OTLP_PROTOCOL"
    )]
    pub otlp_protocol: Option<Protocol>,
    /// A header to send with each export, NAME=VALUE
    #[arg(long, value_name = "HEADER", env = "OBSERVER_OTLP_HEADERS", hide_env_values = true, value_delimiter = ',', action = ArgAction::Append)]
    pub otlp_headers: Vec<String>,
    /// What to export (all)
    #[arg(long, value_name = "WHAT", value_enum, env = "OBSERVER_OTLP_SIGNALS", value_delimiter = ',', action = ArgAction::Append)]
    pub otlp_signals: Vec<Signal>,
    /// Which spans to make (bridge)
    #[arg(long, value_name = "WHICH", value_enum, env = "OBSERVER_HEAL_SPANS")]
    pub heal_spans: Option<WhichSpans>,
    /// Heal broken traces even if their caller did not sample them (false)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_HEAL_UNSAMPLED", num_args = 0..=1, default_missing_value = "true")]
    pub heal_unsampled: Option<bool>,
    /// Address of /metrics, /healthz, /readyz, /api/v1/counts and the status page; `off` for none (127.0.0.1:9466)
    #[arg(long, value_name = "ADDRESS", env = "OBSERVER_METRICS_LISTEN")]
    pub metrics_listen: Option<Listen>,
    /// Edges that have series of their own, at most; what is beyond is counted as `other` (2000)
    #[arg(long, value_name = "N", env = "OBSERVER_METRICS_EDGES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub metrics_edges: Option<u32>,
    /// Attach trace-ids to counts, where the scraper takes OpenMetrics (true)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_METRICS_EXEMPLARS", num_args = 0..=1, default_missing_value = "true")]
    pub metrics_exemplars: Option<bool>,
    /// Whether to ask the Kubernetes API for names (auto: if this is a pod, or there is a kubeconfig)
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        env = "OBSERVER_KUBERNETES_MODE"
    )]
    pub kubernetes_mode: Option<KubernetesMode>,
    /// Name of this host's node (NODE_NAME, else the host's name)
    #[arg(long, value_name = "NAME", env = "OBSERVER_KUBERNETES_NODE")]
    pub kubernetes_node: Option<String>,
    /// Name services by the labels app.kubernetes.io/instance and /name (true)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_KUBERNETES_LABELS", num_args = 0..=1, default_missing_value = "true")]
    pub kubernetes_labels: Option<bool>,
    /// Processor time of the agent beyond which it samples, as a share of one core (0.5)
    #[arg(long, value_name = "SHARE", env = "OBSERVER_BUDGET_CPU")]
    pub budget_cpu: Option<Share>,
    /// Resident memory of the agent beyond which it samples, for example 512Mi (512Mi)
    #[arg(long, value_name = "SIZE", env = "OBSERVER_BUDGET_MEMORY")]
    pub budget_memory: Option<Size>,
    /// Observe this share of connections even within the budget (1)
    #[arg(long, value_name = "SHARE", env = "OBSERVER_BUDGET_SAMPLE")]
    pub budget_sample: Option<Share>,
    /// Give up the privileges that are needed only to begin (true)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_PRIVILEGES_DROP", num_args = 0..=1, default_missing_value = "true")]
    pub privileges_drop: Option<bool>,
    /// Keep CAP_SYS_ADMIN, without which no probes are put into processes that start later: Go, Python,
    /// Node.js (true)
    #[arg(long, value_name = "BOOL", env = "OBSERVER_PRIVILEGES_ATTACH", num_args = 0..=1, default_missing_value = "true")]
    pub privileges_attach: Option<bool>,
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// Here; port 0 is any that is free.
    At(SocketAddr),
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        // `:9466` is every address, as other exporters have it.
        let whole = match text.strip_prefix(':') {
            Some(port) => format!("[::]:{port}"),
            None => text.to_owned(),
        };
        let parsed = whole.parse().map(Self::At);
        parsed.map_err(|_| {
            format!("`{text}` is no address; ADDRESS:PORT (127.0.0.1:9466), :PORT, or off")
        })
    }
}

/// When the Kubernetes API is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KubernetesMode {
    /// If this is a pod, or there is a kubeconfig.
    #[default]
    Auto,
    /// Always; that there is no cluster is an error.
    On,
    /// Never.
    Off,
}
