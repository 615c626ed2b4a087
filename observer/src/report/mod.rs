//! `observer report`: where the traces of a fleet break, worst first, and what mends it.
//!
//! Counts come from [`source`]s and add up; a [`model::Report`] is derived from the sum, and each form of output
//! is a view of that. Nothing here knows of the kernel.

mod build;
mod compare;
mod index;
pub mod model;
mod newcombe;
mod peers;
mod render;
mod rules;
mod source;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod schema;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use observer_core::judged::Summary;

use crate::cli::report::{Format, ReportPlan, Sources};
use crate::stderr::say;
pub(crate) use compare::Worse;
use model::{Report, State};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No source gave anything.
    #[error("no source gave any counts, so there is nothing to report")]
    Nothing,
    /// The earlier report can't be compared with.
    #[error("{} can't be compared with: {why}", path.display())]
    Baseline {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The report can't be written.
    #[error("{} can't be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Sources can't be asked at all.
    #[error(transparent)]
    Sources(anyhow::Error),
    /// The report can't be put into its form.
    #[error("the report can't be put together: {0}")]
    Render(anyhow::Error),
    /// Standard output is gone.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
}

/// Runs `observer report`.
///
/// # Errors
///
/// See [`Error`]. Sources that give nothing, or a part, are told in the report and in the exit status.
pub fn run(plan: &ReportPlan) -> Result<Exit, Error> {
    let baseline = plan.baseline.as_deref().map(read_baseline).transpose()?;
    let gathered = source::gather(&plan.sources).map_err(Error::Sources)?;
    for line in gathered
        .sources
        .iter()
        .filter(|s| s.state != State::Complete)
    {
        for note in &line.notes {
            say(format_args!("{}: {note}", line.name));
        }
    }
    for warning in &gathered.warnings {
        say(warning);
    }
    let states = || gathered.sources.iter().map(|s| s.state);
    if states().all(|state| state == State::Unreachable) {
        return Err(Error::Nothing);
    }
    let whole = states().all(|state| state == State::Complete);
    let mut report = build::report(gathered, source::now(), plan.trace_url.as_deref());
    report.comparison = baseline.map(|before| compare::compare(&before, &report));
    let text = text(&report, plan).map_err(Error::Render)?;
    write(&text, plan.output.as_deref())?;
    Ok(if whole { Exit::Ok } else { Exit::Partly })
}

/// The report of files alone; what is wrong with one is told in its line.
pub(crate) fn of_files(files: &[PathBuf]) -> Result<Report, Error> {
    let sources = Sources {
        files: files.to_vec(),
        ..Sources::default()
    };
    let gathered = source::gather(&sources).map_err(Error::Sources)?;
    Ok(build::report(gathered, source::now(), None))
}

/// The report of a watch, which may have seen nothing.
pub(crate) fn of_watch(summary: Option<Summary>) -> Report {
    build::report(source::watched(summary), source::now(), None)
}

/// What got worse, or is new and loses context.
pub(crate) fn changed_for_worse(before: &Report, now: &Report) -> Worse {
    Worse::new(compare::compare(before, now))
}

fn text(report: &Report, plan: &ReportPlan) -> anyhow::Result<String> {
    Ok(match plan.format {
        Format::Terminal => {
            let canvas = crate::output::canvas(plan.color);
            let to_file = plan.output.is_some();
            render::terminal(report, if to_file { Default::default() } else { canvas })
        }
        Format::Json => serde_json::to_string_pretty(report)? + "\n",
        Format::Markdown => render::markdown(report)?,
        Format::Csv => render::csv(report)?,
        Format::Html => render::html(report)?,
    })
}

/// Reads a report that was made with `--format json`.
pub(crate) fn read_baseline(path: &Path) -> Result<Report, Error> {
    let wrong = |why: String| Error::Baseline {
        path: path.to_owned(),
        why,
    };
    let json = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let report: Report = serde_json::from_slice(&json)
        .map_err(|error| wrong(format!("it is no report made with --format json: {error}")))?;
    if report.kind != "observer-report" || report.version != model::VERSION {
        return Err(wrong(format!(
            "it is of version {}, of which this observer knows only {}",
            report.version,
            model::VERSION
        )));
    }
    Ok(report)
}

/// Fails if a file can't be written there.
pub(crate) fn writable(path: &Path) -> Result<(), Error> {
    beside(path).map(drop).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// A file that takes the place of `path` when it is whole.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
}

/// Writes to standard output, or to a file: whole or not at all.
pub(crate) fn write(text: &str, path: Option<&Path>) -> Result<(), Error> {
    let Some(path) = path else {
        return match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done.map_err(Error::Output),
        };
    };
    let written = || -> io::Result<()> {
        let mut file = beside(path)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
