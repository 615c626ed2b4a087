//! Exit statuses. They are part of the program's interface: docs/commands.md lists them.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Ok,
    /// `decode`: a header is invalid. `doctor`: watching works in part. `replay`: the recording is
    /// cut short or damaged, and its beginning was replayed. `watch`: recording failed, and the watch
    /// went on without. `report`: a source gave nothing, or only a part.
    Partly,
    /// It could not do it: a usage error, or this host or file does not allow it.
    Cannot,
    /// `check`: traces break.
    Broken,
    /// `check`: whether traces break can't be told.
    Inconclusive,
    /// `watch -- CMD`: what the command exited with.
    Command(u8),
}

impl Exit {
    /// The status as a number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Partly | Self::Broken => 1,
            Self::Cannot => 2,
            Self::Inconclusive => 3,
            Self::Command(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
