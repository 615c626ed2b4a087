//! `observer check`: the gate for CI. Watches a test run, or takes what was recorded, and says whether traces hold.

mod gate;
mod junit;
mod show;

use std::path::PathBuf;

use observer_core::judged::Summary;

use crate::cli::budget::Budget;
use crate::cli::check::{CheckPlan, From};
use crate::cli::exit::Exit;
use crate::cli::probes::DetailArgs;
use crate::cli::show::ShowPlan;
use crate::cli::watch::WatchPlan;
use crate::report::{self, model::Report};
use crate::sink::Keep;
use crate::stderr::say;
use crate::watch::{self, Ending};
use gate::State;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Watching failed.
    #[error(transparent)]
    Watch(#[from] watch::Error),
    /// Files can't be read, or results not written.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// A file that is to be checked is not whole.
    #[error("{0} can't be checked: {1}")]
    Source(String, String),
    /// The JUnit file can't be made.
    #[error("{}: JUnit results can't be written: {why}", path.display())]
    Junit {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Runs `observer check`.
///
/// # Errors
///
/// See [`Error`].
pub fn run(plan: &CheckPlan) -> Result<Exit, Error> {
    let baseline = plan.limits.baseline.as_deref();
    let baseline = baseline.map(report::read_baseline).transpose()?;
    if let Some(path) = &plan.junit {
        // Before the tests run, not after.
        report::writable(path)?;
    }
    let (found, status) = match &plan.from {
        From::Files(files) => (read(files)?, None),
        From::Watch { .. } => watched(plan)?,
    };
    let outcome = gate::judge(&found, baseline.as_ref(), &plan.limits);
    let canvas = crate::output::canvas_of_stderr(plan.color);
    eprint!("{}", show::text(&outcome, &plan.limits, canvas));
    if let Some(path) = &plan.junit {
        let why = |why: String| Error::Junit {
            path: path.clone(),
            why,
        };
        let xml = junit::xml(&outcome).map_err(|e| why(e.to_string()))?;
        report::write(&xml, Some(path))?;
    }
    if let Some(status) = status.filter(|status| *status != 0) {
        eprintln!(
            "observer: the command failed with status {status}, which is the status of this check"
        );
        return Ok(Exit::Command(status));
    }
    Ok(match outcome.state() {
        State::Clean => Exit::Ok,
        State::Broken => Exit::Broken,
        State::Inconclusive => Exit::Inconclusive,
    })
}

fn read(files: &[PathBuf]) -> Result<Report, Error> {
    let report = report::of_files(files)?;
    match report
        .sources
        .iter()
        .find(|s| s.state != report::model::State::Complete)
    {
        // A gate that looks at a part of what happened lets the rest through.
        Some(source) => Err(Error::Source(source.name.clone(), source.notes.join("; "))),
        None => Ok(report),
    }
}

/// Watches, and gives what was found and the command's status.
fn watched(plan: &CheckPlan) -> Result<(Report, Option<u8>), Error> {
    let From::Watch {
        selection,
        command,
        duration,
        types,
    } = &plan.from
    else {
        return Ok((report::of_files(&[])?, None));
    };
    let watch = WatchPlan {
        selection: selection.clone(),
        command: command.clone(),
        duration: *duration,
        detail: DetailArgs::default(),
        // A gate that looks at a part of what happened lets the rest through.
        budget: Budget::NONE,
        record: None,
        types: types.clone(),
        show: ShowPlan {
            quiet: true,
            color: plan.color,
            ..ShowPlan::default()
        },
        heal: None,
    };
    let mut summary: Option<Summary> = None;
    let stop = watch::stop_or_hangup_flag().map_err(watch::Error::Signals)?;
    let canvas = crate::output::canvas_of_stderr(plan.color);
    let done = watch::watch(&watch, Box::new(Keep(&mut summary)), stop, |ready| {
        watch::announce(&watch, ready, canvas);
    })?;
    let status = match done.ending {
        Some(Ending::Command(status)) => {
            let (words, code) = watch::command_status(status);
            say(format_args!("the command {words}"));
            Some(code)
        }
        _ => None,
    };
    Ok((report::of_watch(summary), status))
}
