//! `observer replay`: a recording as a source.

use std::io;
use std::path::PathBuf;

use observer_core::engine::Config;
use observer_core::recording::ReadError;

use crate::cli::exit::Exit;
use crate::cli::replay::ReplayPlan;
use crate::otlp::StartError;
use crate::session::{self, OpenError, Replay, SessionError};

/// Why a recording can't be replayed, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be opened or understood.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file could not be read on.
    #[error("{} can't be read on: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// What is found can't be exported.
    #[error(transparent)]
    Export(#[from] StartError),
    /// What is found can't be shown.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
}

/// Runs `observer replay`.
///
/// # Errors
///
/// See [`Error`]. A recording that is cut short or damaged is replayed up to there.
pub fn run(plan: &ReplayPlan) -> Result<Exit, Error> {
    let (path, show) = (&plan.file, &plan.show);
    let (startup, mut replay) = Replay::open(path)?;
    let canvas = crate::output::canvas(show.color);
    let sink = crate::sink::open(show, canvas, io::stdout());
    let sink = crate::heal::around(plan.heal.as_ref(), sink)?;
    let config = Config {
        anchor: startup.anchor,
        show_query: show.show_query,
        explain: show.explain,
        infer: show.infer,
    };
    match session::run(&mut replay, config, sink, None) {
        Ok(_) => Ok(Exit::Ok),
        Err(SessionError::Source(source)) if source.leaves_a_beginning() => {
            eprintln!("observer: {}: {source}", path.display());
            Ok(Exit::Partly)
        }
        Err(SessionError::Source(source)) => Err(Error::Read {
            path: path.clone(),
            source,
        }),
        Err(SessionError::Output(error)) if crate::output::is_unread(&error) => Ok(Exit::Ok),
        Err(SessionError::Output(error)) => Err(Error::Output(error)),
    }
}
