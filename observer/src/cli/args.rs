//! What is typed: the definition that parsing, help, man page and completions come from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use observer_core::judged::SubjectId;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::agent::AgentArgs;
use super::budget::BudgetArgs;
use super::check::CheckArgs;
use super::export::HealArgs;
use super::report::ReportArgs;

/// Shows which service drops trace context, on which call, how often and why.
///
/// Watches running services from outside, with eBPF: no code is changed, nothing is restarted or
/// injected, no traffic is altered.
#[derive(Debug, Parser)]
#[command(
    name = "observer",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Start here: `observer demo`, then `observer watch --pid PID`.")]
#[command(after_long_help = EXIT_STATUSES)]
pub struct Cli {
    #[command(subcommand)]
    /// What to do.
    pub command: Command,
}

const EXIT_STATUSES: &str = "\
Start here: `observer demo`, then `observer watch --pid PID`.

Exit status:
  0  done
  1  done in part: decode: a header is invalid; doctor: some of it works; replay: the recording is
     cut short; watch: recording failed on the way; report: a source gave nothing or a part;
     check: traces break
  2  not done: wrong usage, missing privileges, unreadable file
  3  check: whether traces break can't be told
  N  watch -- CMD: what the command exited with (128 + signal number if a signal ended it)";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch services live: each request, call and log line with its verdict
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArgs),
    /// Print the log lines of services, each with the trace that it belongs to
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(LogsArgs),
    /// Observe the services of this host for good: metrics, export, names from Kubernetes
    #[command(after_help = AGENT_EXAMPLES)]
    Agent(Box<AgentArgs>),
    /// Show a recording as the live watch showed it
    Replay(ReplayArgs),
    /// Report where the traces of a fleet break, worst first, from recordings, agents or Prometheus
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Fail where traces break, in a CI run or a recording: 0 clean, 1 broken, 2 not done, 3 inconclusive
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Say what a propagation header carries, or which rule it breaks
    #[command(after_help = DECODE_EXAMPLES)]
    Decode(DecodeArgs),
    /// Say what this host can do, and what to do about what it cannot
    Doctor(DoctorArgs),
    /// Start a small shop that loses context, watch it, and explain what is found
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the man page
    Man,
    /// A service of the demo's shop.
    #[command(name = "__shop", hide = true)]
    Shop(ShopArgs),
}

const WATCH_EXAMPLES: &str = "\
Examples:
  observer watch --pid 4242                     a process, its threads and children
  observer watch --comm nginx --only dropped    requests of nginx on which context was lost
  observer watch --duration 30s -- python3 app.py
  observer watch --all --output json --record session.observer";

const LOGS_EXAMPLES: &str = "\
Examples:
  observer logs --pid 4242                      lines of a process, with trace_id and span_id
  observer logs --comm python3 --otlp           the same, exported as well";

const AGENT_EXAMPLES: &str = "\
Examples:
  observer agent                                everything but the system's daemons
  observer agent --config /etc/observer/agent.yaml
  observer agent --include port=8000-8099 --metrics-listen :9466
  observer agent --config agent.yaml --check-config

A setting is looked for in this order: flag, variable, file, default. SIGHUP reads the file again.";

const REPORT_EXAMPLES: &str = "\
Examples:
  observer report monday.observer tuesday.json
  observer report --agent node-1:9466 --agent node-2:9466 --format html -o report.html
  observer report --prometheus http://prometheus:9090 --since 7d --baseline last-week.json";

const CHECK_EXAMPLES: &str = "\
Examples:
  observer check --max-drop-rate 1% -- ./run-integration-tests.sh
  observer check --service cart --min-requests 50 --junit traces.xml --pid 4242 --duration 60s
  observer check --baseline main.json session.observer";

const DECODE_EXAMPLES: &str = "\
Examples:
  observer decode 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
  observer decode 'b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1'
  curl -sv http://localhost/ 2>&1 | sed -n 's/^> //p' | observer decode -";

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    /// What to watch.
    pub select: SelectArgs,
    /// Stop after this time, for example 30s or 5m; plain numbers are seconds
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Write everything that is captured to FILE, for `observer replay`
    ///
    /// The file holds message heads and log lines as they were: treat it like the traffic itself.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    /// How to show it.
    pub show: ShowArgs,
    #[command(flatten)]
    /// What to heal, and where to export to.
    pub heal: HealArgs,
    #[command(flatten)]
    /// How closely some runtimes are followed.
    pub detail: DetailArgs,
    #[command(flatten)]
    /// What it may take.
    pub budget: BudgetArgs,
    #[command(flatten)]
    /// What is said of the kernel.
    pub kernel: KernelArgs,
    /// Start this command and watch it from its first instruction; ends when it ends
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    /// What to watch.
    pub select: SelectArgs,
    /// Stop after this time, for example 30s or 5m; plain numbers are seconds
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    /// What to heal, and where to export to.
    pub heal: HealArgs,
    #[command(flatten)]
    /// How closely some runtimes are followed.
    pub detail: DetailArgs,
    #[command(flatten)]
    /// What it may take.
    pub budget: BudgetArgs,
    #[command(flatten)]
    /// What is said of the kernel.
    pub kernel: KernelArgs,
    /// Start this command and watch it from its first instruction; ends when it ends
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What is said of the kernel; the same for all that put probes into it.
#[derive(Clone, Debug, Default, Args)]
pub struct KernelArgs {
    /// The types of this kernel, if it does not tell them itself: BTF, or a vmlinux with it
    #[arg(long, value_name = "FILE", env = "OBSERVER_BTF")]
    pub btf: Option<PathBuf>,
}

/// What to watch. Several selections add up.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selection (several add up)")]
pub struct SelectArgs {
    /// This process, its threads and children
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
    /// Processes of this name (as in `ps -o comm`), those that start later as well
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Processes that run this executable: a path, or a file name
    #[arg(long, value_name = "PATH")]
    pub exe: Vec<String>,
    /// Processes that listen on this TCP port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Processes in this control group and those below it: a path as in /proc/PID/cgroup, or under /sys/fs/cgroup
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Every process on this host
    #[arg(long)]
    pub all: bool,
}

/// How to show what is found; the same for `watch` and `replay`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct ShowArgs {
    /// For people, or JSON Lines for programs
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Only what has one of these verdicts, of calls or log lines (separate several by commas)
    ///
    /// Text shows the whole request that something like this happened in; JSON only the objects
    /// themselves. The summary always counts everything.
    #[arg(long, value_name = "VERDICT", value_delimiter = ',', action = ArgAction::Append)]
    pub only: Vec<String>,
    /// Only requests and calls with this path: a prefix, or a pattern with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub path: Vec<String>,
    /// Only requests from and calls to this peer: a service, HOST, HOST:PORT or :PORT
    #[arg(long, value_name = "PEER")]
    pub peer: Vec<String>,
    /// What to hide in request targets: the values of query parameters, or nothing
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub redact: Redact,
    /// Which log lines to show; they are judged and counted in any case
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    pub logs: Logs,
    /// Tell nothing but how this call or log line was attributed: an id as in the JSON output, x17 or l42
    ///
    /// Shows which requests were in flight, what each kind of evidence says, and why one was
    /// chosen or none. A replay gives the same ids as the watch that made the recording.
    #[arg(long, value_name = "ID")]
    pub explain: Option<SubjectId>,
    /// Show the likeliest request of what no evidence links to one, marked as inferred
    ///
    /// By timing, and by what is usually done for such requests; only where that could be checked and was
    /// right. It changes no verdict and no count, and nothing is exported of it.
    #[arg(long)]
    pub infer: bool,
    /// Show only the summary
    #[arg(long, short)]
    pub quiet: bool,
    /// When to use colours; `auto` heeds NO_COLOR and leaves pipes and files plain
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
}

/// How closely runtimes are followed in which that takes probes which run often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct DetailArgs {
    /// When turns of Node's event loop are told apart
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub node: Detail,
    /// When it is followed what goroutines hand to each other through channels
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub go: Detail,
}

/// When probes inside of programs are in place that run often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// For as large a share of the time as takes at most a tenth of the service's CPU time; always where they are cheap.
    #[default]
    Auto,
    /// Always, wherever it is possible.
    Precise,
    /// Nowhere.
    Off,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// JSON Lines.
    Json,
}

/// What to hide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Redact {
    /// Values of query parameters.
    #[default]
    Query,
    /// Nothing.
    Off,
}

/// Which log lines to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Logs {
    /// All of them.
    #[default]
    All,
    /// Those that lost their request's id.
    Lost,
    /// None.
    None,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A file that `observer watch --record` wrote; `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    /// How to show it.
    pub show: ShowArgs,
    #[command(flatten)]
    /// What to heal, and where to export to.
    pub heal: HealArgs,
}

/// Arguments of `decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Header values, or `Name: value`; `-` reads one per line from standard input
    #[arg(value_name = "HEADER", required = true)]
    pub headers: Vec<String>,
    /// For people, or one JSON object
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// For people, or one JSON object
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    #[command(flatten)]
    /// What is said of the kernel.
    pub kernel: KernelArgs,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many requests to make
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub requests: u32,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    #[command(flatten)]
    /// What is said of the kernel.
    pub kernel: KernelArgs,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `__shop`.
#[derive(Debug, Args)]
pub struct ShopArgs {
    /// Which service to be.
    #[arg(value_enum)]
    pub service: ShopService,
    /// Port of the service that is called; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub next: u16,
}

/// Services of the demo's shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShopService {
    /// Takes the customers' requests.
    Gateway,
    /// Keeps what they want to buy.
    Cart,
    /// Takes their money.
    Payments,
}

/// `30s`, `5m`, `1h 30m`; a plain number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|e| e.to_string()),
    }?;
    if parsed.is_zero() {
        return Err("must be longer than nothing".into());
    }
    Ok(parsed)
}
