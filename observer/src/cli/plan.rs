//! What the arguments mean: everything validated, nothing left to be asked of the command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use observer_core::judged::{LogVerdict, SubjectId, Verdict};
use observer_core::text::printable_bytes;

use super::args::{
    Color, DetailArgs, Logs, LogsArgs, Output, Redact, ReplayArgs, SelectArgs, ShowArgs, WatchArgs,
};
use super::budget::Budget;
use super::cgroup::Hierarchies;
use super::export::{self, HealPlan};

/// Why arguments make no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Nothing is selected.
    #[error(
        "nothing is selected to be watched; give --pid, --comm, --exe, --port, --cgroup, --all, or `-- CMD`"
    )]
    NothingSelected,
    /// `--all` with another selection.
    #[error("--all watches everything, so {0} selects nothing more; leave one of them out")]
    AllAndMore(&'static str),
    /// Not a verdict.
    #[error("--only {given}: no such verdict; calls have {calls}; log lines have {logs}")]
    UnknownVerdict {
        /// As typed.
        given: String,
        /// Verdicts of calls.
        calls: String,
        /// Verdicts of log lines.
        logs: String,
    },
    /// A pattern that can match nothing.
    #[error("{0}: an empty value matches nothing")]
    Empty(&'static str),
    /// A path that can't be one.
    #[error(
        "--exe {0}: this is a directory; give the path of an executable in it, or a file name without `/`"
    )]
    ExeIsFolder(String),
    /// A path that means nothing elsewhere.
    #[error(
        "--exe {0}: {1}; give the whole path of an executable that comes later or is in a container, or a file name without `/`"
    )]
    NoExe(String, io::ErrorKind),
    /// A pattern for paths that begins like none.
    #[error("--path {0}: a path begins with `/` or `*`")]
    Path(String),
    /// `--quiet` with filters.
    #[error(
        "{0} chooses what is shown, but --quiet shows only the summary, which counts everything"
    )]
    QuietAndFilter(&'static str),
    /// `--logs none` with a verdict that only log lines have.
    #[error("--only {0} is a verdict of log lines, which --logs none hides")]
    HiddenVerdict(&'static str),
    /// An option of the export without `--otlp`.
    #[error("{0} says how to export, but without --otlp nothing is exported")]
    NoExport(&'static str),
    /// Not a header.
    #[error("--otlp-header {0}: a header is NAME=VALUE")]
    Header(String),
}

/// What `watch` is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchPlan {
    /// What to watch.
    pub selection: Selection,
    /// Command to start.
    pub command: Option<Command>,
    /// When to stop.
    pub duration: Option<Duration>,
    /// Whether turns of Node's event loop are told apart.
    pub detail: DetailArgs,
    /// What it may take.
    pub budget: Budget,
    /// Where to record to.
    pub record: Option<PathBuf>,
    /// The file that tells the kernel's types.
    pub types: Option<PathBuf>,
    /// How to show it.
    pub show: ShowPlan,
    /// What to heal, and where to export to.
    pub heal: Option<HealPlan>,
}

/// A command to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// What to watch, except for a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Processes.
    pub pids: BTreeSet<u32>,
    /// Names of processes, cut to the 15 bytes that the kernel keeps.
    pub comms: Vec<String>,
    /// Executables: paths without symbolic links, or file names.
    pub exes: Vec<String>,
    /// TCP ports listened on.
    pub ports: Vec<u16>,
    /// Control groups, as in `/proc/PID/cgroup`.
    pub cgroups: Vec<String>,
    /// Everything.
    pub all: bool,
}

impl Selection {
    /// Whether processes that start later may belong to it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.all || self.has_rules()
    }

    /// Whether anything is selected by a property of processes.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !(self.comms.is_empty()
            && self.exes.is_empty()
            && self.ports.is_empty()
            && self.cgroups.is_empty())
    }

    /// In words, one selection each.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.all {
            words.push("every process".to_owned());
        }
        words.extend(self.pids.iter().map(|pid| format!("process {pid}")));
        words.extend(
            self.comms
                .iter()
                .map(|name| format!("processes named {name}")),
        );
        words.extend(
            self.exes
                .iter()
                .map(|path| format!("processes running {path}")),
        );
        words.extend(
            self.ports
                .iter()
                .map(|port| format!("processes listening on port {port}")),
        );
        words.extend(
            self.cgroups
                .iter()
                .map(|path| format!("processes in {path}")),
        );
        words
    }
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

/// The plan of `watch`.
///
/// # Errors
///
/// See [`PlanError`].
pub fn watch(args: WatchArgs) -> Result<WatchPlan, PlanError> {
    let command = command(args.command);
    Ok(WatchPlan {
        selection: selection(args.select, command.is_some())?,
        command,
        duration: args.duration,
        detail: args.detail,
        budget: args.budget.budget(),
        record: args.record,
        types: args.kernel.btf,
        show: show(args.show)?,
        heal: export::plan(args.heal)?,
    })
}

/// The command in what follows `--`, if anything does.
pub(super) fn command(words: Vec<OsString>) -> Option<Command> {
    let mut words = words.into_iter();
    Some(Command {
        program: words.next()?,
        args: words.collect(),
    })
}

/// The plan of `logs`: a watch that shows nothing but lines.
///
/// # Errors
///
/// See [`PlanError`].
pub fn logs(args: LogsArgs) -> Result<WatchPlan, PlanError> {
    let command = command(args.command);
    Ok(WatchPlan {
        selection: selection(args.select, command.is_some())?,
        command,
        duration: args.duration,
        detail: args.detail,
        budget: args.budget.budget(),
        record: None,
        types: args.kernel.btf,
        show: ShowPlan {
            show_query: true,
            color: Color::Never,
            lines: true,
            ..ShowPlan::default()
        },
        heal: Some(export::plan(args.heal)?.unwrap_or_default()),
    })
}

/// The plan of `replay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The recording; `-` is standard input.
    pub file: PathBuf,
    /// How to show it.
    pub show: ShowPlan,
    /// What to heal, and where to export to.
    pub heal: Option<HealPlan>,
}

/// The plan of `replay`: the file, and how to show it.
///
/// # Errors
///
/// See [`PlanError`].
pub fn replay(args: ReplayArgs) -> Result<ReplayPlan, PlanError> {
    Ok(ReplayPlan {
        file: args.file,
        show: show(args.show)?,
        heal: export::plan(args.heal)?,
    })
}

pub(super) fn selection(args: SelectArgs, command: bool) -> Result<Selection, PlanError> {
    for (values, flag) in [
        (&args.comm, "--comm"),
        (&args.exe, "--exe"),
        (&args.cgroup, "--cgroup"),
    ] {
        if values.iter().any(String::is_empty) {
            return Err(PlanError::Empty(flag));
        }
    }
    let selection = Selection {
        pids: args.pid.into_iter().collect(),
        comms: args.comm.iter().map(|name| cut_comm(name)).collect(),
        exes: args
            .exe
            .into_iter()
            .map(executable)
            .collect::<Result<_, _>>()?,
        ports: args.port,
        cgroups: groups(&args.cgroup),
        all: args.all,
    };
    if selection.all {
        if !selection.pids.is_empty() {
            return Err(PlanError::AllAndMore("--pid"));
        }
        if selection.has_rules() {
            return Err(PlanError::AllAndMore("--comm, --exe, --port or --cgroup"));
        }
    } else if selection == Selection::default() && !command {
        return Err(PlanError::NothingSelected);
    }
    Ok(selection)
}

/// A name as it is read from `/proc/PID/comm`: the kernel keeps 15 bytes (`TASK_COMM_LEN` with its NUL), and
/// cuts within a character, too.
fn cut_comm(name: &str) -> String {
    printable_bytes(&name.as_bytes()[..name.len().min(15)])
}

/// The path as `/proc/PID/exe` shows it, which knows no symbolic links: `/usr/bin/python3` is one. What does not
/// exist here is taken as it is, if it can be found elsewhere: it may come later, or be in a container.
fn executable(typed: String) -> Result<String, PlanError> {
    if !typed.contains('/') {
        return Ok(typed);
    }
    match fs::canonicalize(&typed) {
        Ok(path) if path.is_dir() => Err(PlanError::ExeIsFolder(typed)),
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(_) if Path::new(&typed).is_absolute() => Ok(typed),
        Err(error) => Err(PlanError::NoExe(typed, error.kind())),
    }
}

/// The paths as `/proc/PID/cgroup` shows them.
fn groups(typed: &[String]) -> Vec<String> {
    if typed.is_empty() {
        return Vec::new();
    }
    let mounted = Hierarchies::mounted();
    typed.iter().map(|path| mounted.group(path)).collect()
}

fn show(args: ShowArgs) -> Result<ShowPlan, PlanError> {
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
