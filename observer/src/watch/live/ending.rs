//! Why a watch ends, and how its command does.

use std::io;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aya::programs::ProgramError;

use super::{Live, PATIENCE};
use crate::stderr::say;

/// How often it is looked whether processes have ended, or begun to listen.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a command has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Why watching can't go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The ring can't be waited for.
    #[error("the kernel's records can't be waited for: {0}")]
    Wait(io::Error),
    /// The probes at system calls can't be taken away, or put back.
    #[error("the probes at system calls can't be taken away for a while, or put back: {0}")]
    Pause(ProgramError),
    /// The command's end can't be learned.
    #[error("the command can't be waited for: {0}")]
    Command(io::Error),
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Ctrl-C, SIGTERM, or the end of the terminal.
    Signal,
    /// The time was over.
    Duration,
    /// The command ended by itself.
    Command(ExitStatus),
    /// All processes that were named have ended.
    Gone,
}

impl Live {
    /// Why the watch ended, once it has.
    pub(in crate::watch) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Ends the command, if it still runs.
    pub(in crate::watch) fn end_command(&mut self) {
        let Some(command) = &mut self.command else {
            return;
        };
        if !matches!(command.try_wait(), Ok(None)) || command.terminate().is_err() {
            return;
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(command.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PATIENCE);
        }
        say(format_args!(
            "the command (process {}) does not end on SIGTERM and is left running",
            command.tgid()
        ));
    }

    /// Why to end now, if there is a reason.
    pub(super) fn look(&mut self) -> Result<Option<Ending>, LiveError> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Some(Ending::Signal));
        }
        if let Some(command) = &mut self.command
            && let Some(status) = command.try_wait().map_err(LiveError::Command)?
        {
            return Ok(Some(Ending::Command(status)));
        }
        let now = Instant::now();
        let duration = self.duration;
        let deadline = *self.deadline.get_or_insert_with(|| {
            now + duration.unwrap_or(Duration::from_secs(u64::from(u32::MAX)))
        });
        if now >= deadline {
            return Ok(Some(Ending::Duration));
        }
        if now.duration_since(self.looked) < LOOK_EVERY {
            return Ok(None);
        }
        self.looked = now;
        let changes = self.chooser.look_again(&self.proc);
        self.change(changes);
        let only_pinned =
            !self.pinned.is_empty() && !self.chooser.is_open() && self.command.is_none();
        if only_pinned
            && self
                .pinned
                .iter()
                .all(|process| process.is_gone(&self.proc))
        {
            return Ok(Some(Ending::Gone));
        }
        Ok(None)
    }
}

/// Says why the watch ends, unless that is known to whoever ended it.
pub(super) fn say_why(ending: Option<Ending>) {
    match ending {
        Some(Ending::Gone) => say("all watched processes have ended"),
        Some(Ending::Duration) => say("the time is over"),
        Some(Ending::Signal | Ending::Command(_)) | None => {}
    }
}
