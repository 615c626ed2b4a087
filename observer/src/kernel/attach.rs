//! Loading and attaching single probes, and what became of each.

use std::os::fd::{AsFd, AsRawFd};

use aya::{
    Ebpf,
    programs::{ProgramError, RawTracePoint},
};

use super::{CaptureError, error::os_error, host, stats::ProgramStats};

/// A program of the object, and the raw tracepoint that it is for.
pub struct Probe {
    /// Its name in the object.
    pub name: &'static str,
    /// What it is attached to.
    pub tracepoint: &'static str,
    /// Nothing works without it.
    essential: bool,
}

/// The programs that every capture attaches, in this order.
pub const PROBES: [Probe; 5] = [
    probe("task_fork", "sched_process_fork", false),
    probe("task_exec", "sched_process_exec", false),
    probe("task_exit", "sched_process_exit", false),
    probe("sys_exit", "sys_exit", true),
    // Last: what begins is reported only once its return can be.
    probe("sys_enter", "sys_enter", true),
];

const fn probe(name: &'static str, tracepoint: &'static str, essential: bool) -> Probe {
    Probe {
        name,
        tracepoint,
        essential,
    }
}

/// What became of a probe. What is not measured never reads as zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// Attached.
    Ok,
    /// This kernel lacks what the probe attaches to.
    Unsupported(String),
    /// The kernel refused the probe.
    Broken(String),
}

/// A probe and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStatus {
    /// The program.
    pub name: &'static str,
    /// The raw tracepoint that it is for.
    pub tracepoint: &'static str,
    /// What became of it.
    pub state: ProbeState,
}

/// Loads and attaches all probes. They are detached when `object` is dropped.
///
/// # Errors
///
/// If one of the probes on system calls can't be attached; the others only lose their part.
pub fn attach(object: &mut Ebpf) -> Result<Vec<ProbeStatus>, CaptureError> {
    PROBES
        .iter()
        .map(|probe| {
            let state = match attach_one(object, probe) {
                Ok(()) => ProbeState::Ok,
                Err(error) if probe.essential => return Err(essential(probe.name, error)),
                Err(error) => state(&error),
            };
            Ok(ProbeStatus {
                name: probe.name,
                tracepoint: probe.tracepoint,
                state,
            })
        })
        .collect()
}

fn attach_one(object: &mut Ebpf, probe: &Probe) -> Result<(), ProgramError> {
    let program = object
        .program_mut(probe.name)
        .ok_or(ProgramError::NotLoaded)?;
    let program: &mut RawTracePoint = program.try_into()?;
    load(|| program.load())?;
    program.attach(probe.tracepoint)?;
    Ok(())
}

/// How often the kernel is asked to load a program.
const LOADS: usize = 16;

/// Loads a program. The verifier gives up with `EAGAIN` when a signal comes meanwhile (`do_check` in
/// `kernel/bpf/verifier.c`), and means just that.
pub fn load(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    for _ in 1..LOADS {
        match load() {
            Err(error) if os_error(&error) == Some(libc::EAGAIN) => {}
            done => return done,
        }
    }
    load()
}

fn essential(name: &'static str, error: ProgramError) -> CaptureError {
    match &error {
        // The verifier says only that a helper is not to be used.
        _ if host::confidentiality_lockdown() => CaptureError::Lockdown,
        ProgramError::LoadError { verifier_log, .. } if !verifier_log.to_string().is_empty() => {
            CaptureError::Probe {
                name,
                reason: error.to_string(),
            }
        }
        _ => match CaptureError::classify("load BPF programs", error) {
            CaptureError::Load(error) => CaptureError::Probe {
                name,
                reason: chain(error.as_ref()),
            },
            other => other,
        },
    }
}

/// What an error says of a probe.
pub fn state(error: &ProgramError) -> ProbeState {
    match os_error(error) {
        Some(libc::ENOENT) => ProbeState::Unsupported(chain(error)),
        _ => ProbeState::Broken(chain(error)),
    }
}

/// An error with all that lies below it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// How often each attached probe ran, as the kernel counts.
pub fn run_stats(object: &Ebpf) -> Vec<ProgramStats> {
    let of = |probe: &Probe| {
        let fd = object.program(probe.name)?.fd().ok()?;
        ProgramStats::read(probe.name, fd.as_fd().as_raw_fd())
    };
    PROBES.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya::sys::SyscallError;

    use super::*;

    fn failing(code: i32, times: usize) -> (Option<i32>, usize) {
        let mut asked = 0;
        let result = load(|| {
            asked += 1;
            if asked > times {
                return Ok(());
            }
            Err(ProgramError::SyscallError(SyscallError {
                call: "bpf_prog_load",
                io_error: io::Error::from_raw_os_error(code),
            }))
        });
        (result.err().and_then(|error| os_error(&error)), asked)
    }

    #[test]
    fn what_a_signal_interrupted_is_asked_for_again() {
        assert_eq!(failing(libc::EAGAIN, 3), (None, 4));
        assert_eq!(failing(libc::EAGAIN, 99), (Some(libc::EAGAIN), LOADS));
        assert_eq!(failing(libc::EPERM, 3), (Some(libc::EPERM), 1));
    }
}
