//! What is typed after `watch` and `logs`, and what it means.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::budget::{Budget, BudgetArgs};
use super::error::PlanError;
use super::export::{self, HealArgs, HealPlan};
use super::probes::{DetailArgs, KernelArgs};
use super::select::{self, SelectArgs, Selection};
use super::show::{self, Color, ShowArgs, ShowPlan};
use super::size::duration;

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

/// The plan of `watch`.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan(args: WatchArgs) -> Result<WatchPlan, PlanError> {
    let command = command(args.command);
    Ok(WatchPlan {
        selection: select::plan(args.select, command.is_some())?,
        command,
        duration: args.duration,
        detail: args.detail,
        budget: args.budget.budget(),
        record: args.record,
        types: args.kernel.btf,
        show: show::plan(args.show)?,
        heal: export::plan(args.heal)?,
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
        selection: select::plan(args.select, command.is_some())?,
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

/// The command in what follows `--`, if anything does.
pub(super) fn command(words: Vec<OsString>) -> Option<Command> {
    let mut words = words.into_iter();
    Some(Command {
        program: words.next()?,
        args: words.collect(),
    })
}
