//! What is typed after `replay`, and what it means.

use std::path::PathBuf;

use clap::Args;

use super::error::PlanError;
use super::export::{self, HealArgs, HealPlan};
use super::show::{self, ShowArgs, ShowPlan};

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

/// What `replay` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The recording; `-` is standard input.
    pub file: PathBuf,
    /// How to show it.
    pub show: ShowPlan,
    /// What to heal, and where to export to.
    pub heal: Option<HealPlan>,
}

/// The plan of `replay`.
///
/// # Errors
///
/// See [`PlanError`].
pub fn plan(args: ReplayArgs) -> Result<ReplayPlan, PlanError> {
    Ok(ReplayPlan {
        file: args.file,
        show: show::plan(args.show)?,
        heal: export::plan(args.heal)?,
    })
}
