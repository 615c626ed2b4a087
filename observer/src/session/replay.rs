//! A recording as a source.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use observer_core::engine::{Feedback, Input};
use observer_core::recording::{ReadError, Reader, Startup};

use super::{Flow, Source};

/// Why a recording can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be opened.
    #[error("{} can't be read: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can't be understood.
    #[error("{} can't be replayed: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
}

/// A recording that is fed to the pipeline as the watch fed it.
pub struct Replay {
    reader: Reader<Box<dyn Read>>,
}

impl Replay {
    /// Opens a recording; `-` is standard input.
    ///
    /// # Errors
    ///
    /// If it can't be read, or is no recording that this program understands.
    pub fn open(path: &Path) -> Result<(Startup, Self), OpenError> {
        let from: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).map_err(|source| OpenError::Open {
                path: path.to_owned(),
                source,
            })?;
            Box::new(file)
        };
        Self::new(from).map_err(|source| OpenError::Read {
            path: path.to_owned(),
            source,
        })
    }

    /// A recording that is open already.
    ///
    /// # Errors
    ///
    /// If it is no recording that this program understands.
    pub fn new(from: Box<dyn Read>) -> Result<(Startup, Self), ReadError> {
        let (startup, reader) = Reader::new(from)?;
        Ok((startup, Self { reader }))
    }
}

impl Source for Replay {
    type Error = ReadError;

    fn pump(&mut self, mut into: impl FnMut(Input<'_>)) -> Result<Flow, ReadError> {
        while let Some(input) = self.reader.next_input()? {
            let tick = matches!(input, Input::Tick { .. });
            into(input);
            if tick {
                return Ok(Flow::More);
            }
        }
        Ok(Flow::End)
    }

    fn apply(&mut self, _: Vec<Feedback>) {}
}
