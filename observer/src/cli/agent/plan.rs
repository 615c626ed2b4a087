//! What flags, variables and file come to.

use std::path::{Path, PathBuf};

use observer_core::healing::Settings;

use super::super::budget::{Budget, CpuBudget};
use super::super::export::{HealPlan, OtlpPlan, Protocol, Signal, WhichSpans, header};
use super::super::probes::DetailArgs;
use super::super::show::{Logs, Redact};
use super::super::size::{Share, Size};
use super::{AgentArgs, File, FileError, KubernetesMode, Listen, Rule};

/// The port of the agent's HTTP server if nobody says otherwise.
const PORT: u16 = 9466;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be read.
    #[error("the configuration {} can't be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is larger than any configuration.
    #[error("the configuration {} is larger than {} KiB", path.display(), FILE_LIMIT >> 10)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is wrong.
    #[error("{}:{source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        source: FileError,
    },
    /// A rule that would match every process.
    #[error("{list}: rule {number} says nothing about the processes that it means")]
    EmptyRule {
        /// `include` or `exclude`.
        list: &'static str,
        /// Counted from 1.
        number: usize,
    },
    /// A header that is none.
    #[error("--otlp-headers {0}: a header is NAME=VALUE")]
    Header(String),
    /// A bound that is none.
    #[error("metrics.edges: {0} is not between 1 and 100000")]
    Edges(u32),
    /// A share above the whole.
    #[error("budget.sample: {0} is more than all connections")]
    Sample(Share),
}

/// The longest file that is read, bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// What the agent is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentPlan {
    /// Processes to observe; none: all.
    pub include: Vec<Rule>,
    /// Processes not to observe.
    pub exclude: Vec<Rule>,
    /// Whether the system's daemons are observed.
    pub system: bool,
    /// Whether values of query parameters are shown.
    pub show_query: bool,
    /// The file that tells the kernel's types, if it does not itself.
    pub btf: Option<PathBuf>,
    /// How closely some runtimes are followed.
    pub detail: DetailArgs,
    /// JSON Lines, if they are written.
    pub json: Option<JsonPlan>,
    /// What is healed and exported.
    pub heal: Option<HealPlan>,
    /// Metrics and status.
    pub metrics: MetricsPlan,
    /// Names from the Kubernetes API.
    pub kubernetes: KubernetesPlan,
    /// What the agent may use.
    pub budget: Budget,
    /// What the agent may do.
    pub privileges: PrivilegesPlan,
}

/// Where JSON Lines go, and what of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPlan {
    /// Where to.
    pub target: Target,
    /// Which log lines.
    pub logs: Logs,
}

/// Where something is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

/// Metrics and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsPlan {
    /// Where to listen.
    pub listen: Listen,
    /// Edges with series of their own.
    pub edges: usize,
    /// Whether counts carry trace-ids.
    pub exemplars: bool,
}

/// Names from the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesPlan {
    /// When it is asked.
    pub mode: KubernetesMode,
    /// This host's node, if it was named.
    pub node: Option<String>,
    /// Whether well-known labels name services.
    pub labels: bool,
}

/// What the agent may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivilegesPlan {
    /// Whether privileges that are not needed are given up.
    pub drop: bool,
    /// Whether `CAP_SYS_ADMIN` is kept, to put probes into processes that start later.
    pub attach: bool,
}

/// Reads the file that `args` name, and puts flags and variables over it.
///
/// # Errors
///
/// See [`ReadError`].
pub fn load(args: &AgentArgs) -> Result<AgentPlan, ReadError> {
    let file = match &args.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    merge(args.clone(), file)
}

fn read(path: &Path) -> Result<File, ReadError> {
    let failed = |source| ReadError::File {
        path: path.to_owned(),
        source,
    };
    let len = std::fs::metadata(path).map_err(failed)?.len();
    if len > FILE_LIMIT {
        return Err(ReadError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    File::parse(&text).map_err(|source| ReadError::Text {
        path: path.to_owned(),
        source,
    })
}

fn merge(args: AgentArgs, file: File) -> Result<AgentPlan, ReadError> {
    let include = first(args.include, file.include);
    let exclude = first(args.exclude, file.exclude);
    for (list, rules) in [("include", &include), ("exclude", &exclude)] {
        if let Some(at) = rules.iter().position(Rule::is_empty) {
            return Err(ReadError::EmptyRule {
                list,
                number: at + 1,
            });
        }
    }
    let edges = args.metrics_edges.or(file.metrics.edges).unwrap_or(2_000);
    if !(1..=100_000).contains(&edges) {
        return Err(ReadError::Edges(edges));
    }
    let sample = args
        .budget_sample
        .or(file.budget.sample)
        .unwrap_or(Share::ALL);
    if sample.get() > 1.0 {
        return Err(ReadError::Sample(sample));
    }
    // The value may hold a secret, and without a name all of it may be one.
    let read = |text: &String| header(text).ok_or_else(|| ReadError::Header("…".into()));
    let headers: Result<Vec<_>, _> = args.otlp_headers.iter().map(read).collect();
    let headers = first(headers?, file.otlp.headers.into_iter().collect());
    let otlp = OtlpSettings {
        endpoint: args.otlp_endpoint.or(file.otlp.endpoint),
        protocol: args.otlp_protocol.or(file.otlp.protocol),
        headers,
        signals: first(args.otlp_signals, file.otlp.signals),
    };
    let spans = args.heal_spans.or(file.heal.spans);
    let unsampled = args.heal_unsampled.or(file.heal.unsampled);
    let logs = args.json_logs.or(file.json.logs).unwrap_or(Logs::Lost);
    Ok(AgentPlan {
        include,
        exclude,
        system: args.system.or(file.system).unwrap_or(false),
        show_query: args.redact.or(file.redact).unwrap_or_default() == Redact::Off,
        btf: args.btf.or(file.btf),
        detail: DetailArgs {
            node: args.node.or(file.node).unwrap_or_default(),
            go: args.go.or(file.go).unwrap_or_default(),
        },
        json: args.json_file.or(file.json.file).map(|file| JsonPlan {
            target: target(&file),
            logs,
        }),
        heal: heal(otlp, spans, unsampled),
        metrics: MetricsPlan {
            listen: args
                .metrics_listen
                .or(file.metrics.listen)
                .unwrap_or(Listen::At(([127, 0, 0, 1], PORT).into())),
            edges: edges as usize,
            exemplars: args
                .metrics_exemplars
                .or(file.metrics.exemplars)
                .unwrap_or(true),
        },
        kubernetes: KubernetesPlan {
            mode: args
                .kubernetes_mode
                .or(file.kubernetes.mode)
                .unwrap_or_default(),
            node: args.kubernetes_node.or(file.kubernetes.node),
            labels: args
                .kubernetes_labels
                .or(file.kubernetes.labels)
                .unwrap_or(true),
        },
        budget: Budget {
            cpu: CpuBudget::Core(
                args.budget_cpu
                    .or(file.budget.cpu)
                    .unwrap_or(Share::new(0.5)),
            ),
            memory: args
                .budget_memory
                .or(file.budget.memory)
                .unwrap_or(Size(512 << 20)),
            sample,
        },
        privileges: PrivilegesPlan {
            drop: args
                .privileges_drop
                .or(file.privileges.drop)
                .unwrap_or(true),
            attach: args
                .privileges_attach
                .or(file.privileges.attach)
                .unwrap_or(true),
        },
    })
}

/// A list that was given replaces the one that comes after it.
fn first<T>(given: Vec<T>, after: Vec<T>) -> Vec<T> {
    if given.is_empty() { after } else { given }
}

fn target(file: &str) -> Target {
    match file {
        "-" => Target::Stdout,
        file => Target::File(file.into()),
    }
}

struct OtlpSettings {
    endpoint: Option<String>,
    protocol: Option<Protocol>,
    headers: Vec<(String, String)>,
    signals: Vec<Signal>,
}

fn heal(
    otlp: OtlpSettings,
    spans: Option<WhichSpans>,
    unsampled: Option<bool>,
) -> Option<HealPlan> {
    let wanted = otlp.endpoint.is_some() || spans.is_some() || unsampled == Some(true);
    wanted.then(|| HealPlan {
        settings: Settings {
            spans: spans.unwrap_or_default().meant(),
            unsampled: unsampled.unwrap_or(false),
        },
        otlp: otlp.endpoint.map(|endpoint| OtlpPlan {
            endpoint: Some(endpoint).filter(|e| !e.is_empty()),
            protocol: otlp.protocol,
            headers: otlp.headers,
            signals: first(otlp.signals, Signal::ALL.to_vec()),
        }),
    })
}
