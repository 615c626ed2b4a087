//! Probes at single instructions of observed programs, each for one process.

use std::{num::NonZeroU32, path::PathBuf};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeLink, UProbeScope},
    },
};
use observer_core::ids::Tgid;

use super::{attach::load, stats::ProgramStats};

/// Where a probe is to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserProbe {
    /// The program of the object: it says what to do there, and whether at the return.
    pub program: &'static str,
    /// The file that the process has mapped, openable from here: below `/proc/PID/root` or
    /// `/proc/PID/map_files`, or `/proc/PID/exe`.
    pub file: PathBuf,
    /// Offset of the instruction in that file.
    pub offset: u64,
}

/// Programs that tell who takes whose value through a channel of Go's.
const CHANNELS: [&str; 4] = ["go_cleared", "go_received", "go_queued", "go_sent"];

impl UserProbe {
    /// The programs without which, wherever they are planned, this one would mislead: work that is seen to be given
    /// has to be seen to be taken, and whoever is seen to take some work has to be seen to take the next.
    #[must_use]
    pub fn needs(&self) -> &'static [&'static str] {
        match self.program {
            "greenlet_begun" => &["greenlet_ended"],
            "python_given" => &["python_taken"],
            "node_given" => &["node_taken"],
            "node_taken" => &["node_given"],
            "python_appended" => &["python_popped"],
            program if CHANNELS.contains(&program) => &CHANNELS,
            _ => &[],
        }
    }

    /// Whether it tells of channels, which some programs use all the time.
    #[must_use]
    pub fn is_of_channels(&self) -> bool {
        CHANNELS.contains(&self.program)
    }
}

/// A probe in place; it is taken out when this is dropped.
#[derive(Debug)]
pub struct UserLink(#[expect(dead_code, reason = "held for its destructor")] UProbeLink);

/// Puts a probe into `process` alone, all of its threads.
///
/// # Errors
///
/// If the kernel refuses the program or the place.
pub fn attach(
    object: &mut Ebpf,
    process: Tgid,
    probe: &UserProbe,
) -> Result<UserLink, ProgramError> {
    let program = object
        .program_mut(probe.program)
        .ok_or(ProgramError::NotLoaded)?;
    let program: &mut UProbe = program.try_into()?;
    if program.fd().is_err() {
        load(|| program.load())?;
    }
    let scope =
        NonZeroU32::new(process.0).map_or(UProbeScope::CallingProcess, UProbeScope::OneProcess);
    let at = UProbeAttachLocation::AbsoluteOffset(probe.offset);
    let id = program.attach(at, &probe.file, scope)?;
    program.take_link(id).map(UserLink)
}

/// How often each program that was put into some process ran.
pub fn run_stats(object: &Ebpf) -> Vec<ProgramStats> {
    use std::os::fd::{AsFd, AsRawFd};
    object
        .programs()
        .filter_map(|(name, program)| {
            let program: &UProbe = program.try_into().ok()?;
            let fd = program.fd().ok()?.as_fd().as_raw_fd();
            ProgramStats::read(name, fd)
        })
        .collect()
}
