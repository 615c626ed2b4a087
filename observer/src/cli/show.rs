//! How to show what is found, as it is typed and as it is meant.

use std::collections::BTreeSet;

use clap::{ArgAction, Args, ValueEnum};
use observer_core::judged::{LogVerdict, SubjectId, Verdict};

use super::error::PlanError;

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

/// How to show what is found; by default everything, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShowPlan {
    /// Form of output.
    pub output: Output,
    /// What to show of it.
    pub filter: Filter,
    /// The call or line whose attribution is to be explained, and nothing else shown.
    pub explain: Option<SubjectId>,
    /// Whether the likeliest requests of what no evidence links to one are shown.
    pub infer: bool,
    /// Whether values of query parameters are shown.
    pub show_query: bool,
    /// Which log lines to show.
    pub logs: Logs,
    /// Nothing but the summary.
    pub quiet: bool,
    /// When to use colours.
    pub color: Color,
    /// Show only this many requests, then nothing but the summary.
    pub at_most: Option<usize>,
    /// Show log lines with their traces, and nothing else.
    pub lines: bool,
}

/// Which judged things are shown; what is empty lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Verdicts of calls.
    pub calls: BTreeSet<Verdict>,
    /// Verdicts of log lines.
    pub logs: BTreeSet<LogVerdict>,
    /// Patterns for paths.
    pub paths: Vec<String>,
    /// Peers.
    pub peers: Vec<String>,
}

impl Filter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the arguments mean.
///
/// # Errors
///
/// See [`PlanError`].
pub(super) fn plan(args: ShowArgs) -> Result<ShowPlan, PlanError> {
    let filter = filter(&args)?;
    if args.quiet {
        for (set, flag) in [
            (!args.only.is_empty(), "--only"),
            (!args.path.is_empty(), "--path"),
            (!args.peer.is_empty(), "--peer"),
            (args.infer, "--infer"),
        ] {
            if set {
                return Err(PlanError::QuietAndFilter(flag));
            }
        }
    }
    if args.logs == Logs::None
        && let Some(verdict) = filter
            .logs
            .iter()
            .find(|v| call_verdict(v.name()).is_none())
    {
        return Err(PlanError::HiddenVerdict(verdict.name()));
    }
    Ok(ShowPlan {
        output: args.output,
        filter,
        explain: args.explain,
        infer: args.infer,
        show_query: args.redact == Redact::Off,
        logs: args.logs,
        quiet: args.quiet,
        color: args.color,
        at_most: None,
        lines: false,
    })
}

fn filter(args: &ShowArgs) -> Result<Filter, PlanError> {
    let mut filter = Filter {
        paths: args.path.clone(),
        peers: args.peer.clone(),
        ..Filter::default()
    };
    for name in &args.only {
        let (call, log) = (call_verdict(name), log_verdict(name));
        if call.is_none() && log.is_none() {
            return Err(unknown_verdict(name));
        }
        filter.calls.extend(call);
        filter.logs.extend(log);
    }
    if let Some(path) = args.path.iter().find(|p| !p.starts_with(['/', '*', '?'])) {
        return Err(match path.as_str() {
            "" => PlanError::Empty("--path"),
            path => PlanError::Path(path.to_owned()),
        });
    }
    if args.peer.iter().any(String::is_empty) {
        return Err(PlanError::Empty("--peer"));
    }
    Ok(filter)
}

fn call_verdict(name: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|v| v.name() == name)
}

fn log_verdict(name: &str) -> Option<LogVerdict> {
    LogVerdict::ALL.into_iter().find(|v| v.name() == name)
}

fn unknown_verdict(given: &str) -> PlanError {
    PlanError::UnknownVerdict {
        given: given.to_owned(),
        calls: Verdict::ALL.map(Verdict::name).join(", "),
        logs: LogVerdict::ALL.map(LogVerdict::name).join(", "),
    }
}
