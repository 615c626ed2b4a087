//! Why what was typed can't be meant.

use std::io;

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
