//! What is typed after `check`, and what it means.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::PlanError;
use super::probes::KernelArgs;
use super::select::{self, SelectArgs, Selection};
use super::show::Color;
use super::watch::{self, Command};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Check what these recordings or JSON outputs hold, instead of watching
    #[arg(value_name = "FILE", conflicts_with_all = ["pid", "comm", "exe", "port", "cgroup", "all", "duration", "command"])]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    /// What to watch.
    pub select: SelectArgs,
    /// Stop after this time, for example 30s or 5m; plain numbers are seconds
    #[arg(long, value_name = "TIME", value_parser = super::size::duration)]
    pub duration: Option<Duration>,
    #[command(flatten)]
    /// What is asked for.
    pub limits: LimitArgs,
    /// Write the results to FILE, as JUnit has them
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    #[command(flatten)]
    /// What is said of the kernel.
    pub kernel: KernelArgs,
    /// Start this command and watch it and its children; the check is made when it ends
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What is asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Share of the judged calls of an edge that may lose context
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%")]
    pub max_drop_rate: f64,
    /// Share of the judged log events of a service that may lack their request's id
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%")]
    pub max_unlinked_logs: f64,
    /// Check this service alone (several may be named); without it, all that are seen
    #[arg(long, value_name = "SERVICE")]
    pub service: Vec<String>,
    /// Requests with a context that each service checked must serve at least, all together if none is named
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min_requests: u64,
    /// Allow what was lost in this earlier report (report --format json) already, unless it got worse
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// What `check` is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckPlan {
    /// Where counts come from.
    pub from: From,
    /// What is asked for.
    pub limits: Limits,
    /// Where results go as JUnit has them.
    pub junit: Option<PathBuf>,
    /// When to use colours.
    pub color: Color,
}

/// Where counts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Files that were made before.
    Files(Vec<PathBuf>),
    /// A watch.
    Watch {
        /// What to watch.
        selection: Selection,
        /// Command to start.
        command: Option<Command>,
        /// When to stop.
        duration: Option<Duration>,
        /// The file that tells the kernel's types.
        types: Option<PathBuf>,
    },
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Share of an edge's judged calls that may lose context, 0–1.
    pub drops: f64,
    /// Share of a service's judged log events that may lack their request's id, 0–1.
    pub unlinked: f64,
    /// Services that are checked; all if empty.
    pub services: Vec<String>,
    /// Requests with a context that must have been served.
    pub requests: u64,
    /// An earlier report.
    pub baseline: Option<PathBuf>,
}

/// The plan of `check`.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan(args: CheckArgs) -> Result<CheckPlan, PlanError> {
    let from = if args.files.is_empty() {
        let command = watch::command(args.command);
        From::Watch {
            selection: select::plan(args.select, command.is_some())?,
            command,
            duration: args.duration,
            types: args.kernel.btf,
        }
    } else {
        From::Files(args.files)
    };
    Ok(CheckPlan {
        from,
        limits: Limits {
            drops: args.limits.max_drop_rate,
            unlinked: args.limits.max_unlinked_logs,
            services: args.limits.service,
            requests: args.limits.min_requests,
            baseline: args.limits.baseline,
        },
        junit: args.junit,
        color: args.color,
    })
}

/// `1%` or `0.01`; a bare 1 would be either.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|p| p / 100.0),
        None => number(text).filter(|share| *share < 1.0),
    };
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share is written as 1%, or as 0.01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_unmistakable() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.5 %"), Ok(0.005));
        assert_eq!(share("0.01"), Ok(0.01));
        assert_eq!(share("100%"), Ok(1.0));
        assert_eq!(share("0"), Ok(0.0));
        for wrong in ["1", "-1%", "101%", "much", "NaN", "inf%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
