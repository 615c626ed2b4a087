//! Writing a recording while watching.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use observer_core::engine::Input;
use observer_core::ids::KernelNanos;
use observer_core::recording::{Startup, Writer};

use crate::stderr::say;

/// Why a recording could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file can't be made.
    #[error("{} can't be recorded to: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed on the way: a full disk, mostly.
    #[error("the recording {} is cut short ({source}); what it holds can be replayed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How much recorded time may be missing after a kill, nanoseconds.
const FLUSH_EVERY: u64 = 1_000_000_000;

/// Writes inputs to a file. If writing fails, what was written is kept as a recording that is
/// cut short, and the watch goes on without.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    state: State,
    flushed: KernelNanos,
}

#[derive(Debug)]
enum State {
    Writing(Writer<Whole>),
    Failed(io::Error),
}

/// A file that ends with whole writes: of one that fails half-way, nothing stays.
#[derive(Debug)]
struct Whole {
    file: File,
    len: u64,
    /// What a write that failed left behind can't be cut off, as of a pipe: nothing may follow it.
    torn: bool,
}

impl Whole {
    fn new(file: File) -> Self {
        let (len, torn) = (0, false);
        Self { file, len, torn }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.seek(SeekFrom::Start(self.len))?;
        Ok(())
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.torn {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(error) => {
                self.torn = self.cut().is_err();
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Recorder {
    /// Makes the file, for its owner alone: it holds message heads and log lines as they were.
    ///
    /// # Errors
    ///
    /// If the file can't be made or written to.
    pub fn create(path: &Path, startup: &Startup) -> Result<Self, RecordError> {
        let failed = |source| RecordError::Create {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let writer = Writer::new(Whole::new(file), startup).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            state: State::Writing(writer),
            flushed: startup.anchor.monotonic,
        })
    }

    /// Adds an input, unless writing has failed before.
    pub fn input(&mut self, input: &Input<'_>) {
        let State::Writing(writer) = &mut self.state else {
            return;
        };
        let mut result = writer.input(input);
        if let Input::Tick { now, .. } = input
            && now.since(self.flushed) >= FLUSH_EVERY
        {
            self.flushed = *now;
            result = result.and_then(|()| writer.flush());
        }
        // Where the disk is full, what has come together may find room in parts.
        if let Err(error) = result.or_else(|error| writer.salvage().map_err(|_| error)) {
            let path = self.path.display();
            say(format_args!(
                "recording to {path} stopped: {error}; watching goes on without"
            ));
            self.state = State::Failed(error);
        }
    }

    /// Ends the recording.
    ///
    /// # Errors
    ///
    /// If writing fails, or failed before.
    pub fn finish(self) -> Result<(), RecordError> {
        let result = match self.state {
            State::Writing(mut writer) => writer
                .end()
                .or_else(|error| writer.salvage().map_err(|_| error)),
            State::Failed(error) => Err(error),
        };
        result.map_err(|source| RecordError::Write {
            path: self.path,
            source,
        })
    }
}
