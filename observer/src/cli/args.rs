//! What is typed: the definition that parsing, help, man page and completions come from.

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::agent::AgentArgs;
use super::check::CheckArgs;
use super::probes::KernelArgs;
use super::replay::ReplayArgs;
use super::report::ReportArgs;
use super::show::{Color, Output};
use super::watch::{LogsArgs, WatchArgs};

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
