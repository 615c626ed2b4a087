//! Loading and attaching single probes, and what became of each.

use std::{
    fmt, fs, io,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use aya::{
    Ebpf,
    programs::{Program, ProgramError, RawTracePoint, TracePoint},
};

use super::{
    CaptureError,
    error::os_error,
    host,
    patch::Features,
    pause::{Calls, Link},
    refused,
    stats::ProgramStats,
};

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The program's name in the object.
    pub program: &'static str,
    /// The group of the tracepoint, by which perf names it; nothing for a raw tracepoint.
    pub group: Option<&'static str>,
    /// The tracepoint.
    pub tracepoint: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            None => write!(f, "the raw tracepoint {}", self.tracepoint),
            Some(group) => write!(f, "{group}:{}, through perf", self.tracepoint),
        }
    }
}

/// A program that every capture attaches, in one of two ways.
pub struct Probe {
    /// Its name.
    pub name: &'static str,
    /// Directly: costs less.
    raw: Place,
    /// Through perf, whose callbacks are not preempted.
    perf: Place,
    /// It is asked at system calls: nothing works without it, and it may be [taken away](Calls) for a while.
    pub at_calls: bool,
}

/// The programs that every capture attaches, in this order.
pub const PROBES: [Probe; 5] = [
    probe(
        ["task_fork", "sched_process_fork"],
        ["task_fork_perf", "task", "task_newtask"],
        false,
    ),
    probe(
        ["task_exec", "sched_process_exec"],
        ["task_exec_perf", "sched", "sched_process_exec"],
        false,
    ),
    probe(
        ["task_exit", "sched_process_exit"],
        ["task_exit_perf", "sched", "sched_process_exit"],
        false,
    ),
    probe(
        ["sys_exit", "sys_exit"],
        ["sys_exit_perf", "raw_syscalls", "sys_exit"],
        true,
    ),
    // Last: what begins is reported only once its return can be.
    probe(
        ["sys_enter", "sys_enter"],
        ["sys_enter_perf", "raw_syscalls", "sys_enter"],
        true,
    ),
];

const fn probe(
    [name, tracepoint]: [&'static str; 2],
    [perf, group, event]: [&'static str; 3],
    at_calls: bool,
) -> Probe {
    Probe {
        name,
        raw: Place {
            program: name,
            group: None,
            tracepoint,
        },
        perf: Place {
            program: perf,
            group: Some(group),
            tracepoint: event,
        },
        at_calls,
    }
}

/// Where the program called `name` belongs, and its rank among those that every capture may attach; nothing for
/// those that are put into observed programs.
pub fn place(name: &str) -> Option<(usize, Place)> {
    let places = PROBES.iter().flat_map(|probe| [probe.raw, probe.perf]);
    places.enumerate().find(|(_, place)| place.program == name)
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
    /// The probe, whichever of its programs was taken.
    pub name: &'static str,
    /// Which program was attached last, and to what.
    pub place: Place,
    /// Why its runs may be missed while another waits for a CPU, where that is so: perf was asked first, and refused.
    pub missed: Option<String>,
    /// What became of it.
    pub state: ProbeState,
}

/// Loads and attaches all probes, the way that suits the kernel best. They are detached when `object` is dropped.
///
/// # Errors
///
/// If one of the probes on system calls can't be attached, while the others only lose their part; or if probes would
/// disturb each other.
pub fn attach(
    object: &mut Ebpf,
    features: &Features,
) -> Result<(Vec<ProbeStatus>, Calls), CaptureError> {
    let mut calls = Calls::default();
    let status = PROBES.iter().map(|probe| {
        let (place, missed, result) = first_fit(object, features, probe)?;
        let state = match result {
            Ok(link) => {
                if probe.at_calls {
                    calls.add(place, link);
                }
                ProbeState::Ok
            }
            Err(error) if probe.at_calls => return Err(essential(probe.name, error)),
            Err(error) => state(&error),
        };
        Ok(ProbeStatus {
            name: probe.name,
            place,
            missed,
            state,
        })
    });
    let status = status.collect::<Result<_, CaptureError>>()?;
    Ok((status, calls))
}

/// A place, why perf could not be asked if that was to be, and what came of attaching there.
type Fitted = (Place, Option<String>, Result<Link, ProgramError>);

fn first_fit(
    object: &mut Ebpf,
    features: &Features,
    probe: &Probe,
) -> Result<Fitted, CaptureError> {
    let mut missed = None;
    if features.preempted {
        match try_place(object, probe.perf) {
            Ok(link) => return Ok((probe.perf, None, Ok(link))),
            Err(error) => missed = Some(told(&error)),
        }
    }
    if let Some(why) = missed.as_ref().filter(|_| !features.undisturbed()) {
        return Err(CaptureError::Disturbed { why: why.clone() });
    }
    Ok((probe.raw, missed, try_place(object, probe.raw)))
}

fn try_place(object: &mut Ebpf, place: Place) -> Result<Link, ProgramError> {
    let program = object.program_mut(place.program);
    put(program.ok_or(ProgramError::NotLoaded)?, place)
}

/// Loads `program` and attaches it at `place`.
///
/// # Errors
///
/// What the kernel says.
pub fn put(program: &mut Program, place: Place) -> Result<Link, ProgramError> {
    match place.group {
        None => {
            let program: &mut RawTracePoint = program.try_into()?;
            load(|| program.load())?;
        }
        Some(_) => {
            // To verify a program takes long: not in vain.
            if let Some(why) = no_tracefs() {
                return Err(ProgramError::IOError(io::Error::other(why)));
            }
            let program: &mut TracePoint = program.try_into()?;
            load(|| program.load())?;
        }
    }
    put_again(program, place)
}

/// Attaches `program`, which is loaded, at `place`.
///
/// # Errors
///
/// What the kernel says.
pub fn put_again(program: &mut Program, place: Place) -> Result<Link, ProgramError> {
    match place.group {
        None => {
            let program: &mut RawTracePoint = program.try_into()?;
            program.attach(place.tracepoint).map(Link::Raw)
        }
        Some(group) => {
            let program: &mut TracePoint = program.try_into()?;
            program.attach(group, place.tracepoint).map(Link::Perf)
        }
    }
}

/// Why tracefs can't be used, if so.
fn no_tracefs() -> Option<String> {
    let looked = TRACEFS.map(|at| fs::metadata(Path::new(at).join("events")));
    if looked.iter().any(Result::is_ok) {
        return None;
    }
    let hidden = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let hidden = looked.iter().any(|at| at.as_ref().is_err_and(hidden));
    let why = if hidden {
        "may not be looked at: CAP_DAC_READ_SEARCH or root is needed for"
    } else {
        "is not mounted at"
    };
    Some(format!("tracefs {why} {}", TRACEFS[0]))
}

/// Where perf's numbers of tracepoints are read; the second one is of old. It is not mounted here where it is missing:
/// under lockdown, Linux 7.2 crashes when such a mount ends (`tracefs_destroy_inode`).
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

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
                reason: told(&error),
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
        Some(libc::ENOENT) => ProbeState::Unsupported(told(error)),
        _ => ProbeState::Broken(told(error)),
    }
}

/// What an error of a program says, to people.
#[must_use]
pub fn told(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => match verifier_log.to_string() {
            log if log.trim().is_empty() => chain(io_error),
            log => refused::words(&io_error.to_string(), &log),
        },
        error => chain(error),
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
        let places = [probe.raw.program, probe.perf.program].into_iter();
        let mut loaded = places.filter_map(|name| object.program(name)?.fd().ok());
        ProgramStats::read(probe.name, loaded.next()?.as_fd().as_raw_fd())
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
    fn every_place_has_its_program_in_the_object() {
        use object::{Object, ObjectSymbol};
        let file = object::File::parse(super::super::object::OBJECT).expect("an object");
        let names: Vec<&str> = file.symbols().filter_map(|s| s.name().ok()).collect();
        let places = PROBES.iter().flat_map(|probe| [probe.raw, probe.perf]);
        for (rank, at) in places.enumerate() {
            assert!(names.contains(&at.program), "{}", at.program);
            assert_eq!(place(at.program), Some((rank, at)));
        }
        assert_eq!(place("go_take"), None);
    }

    #[test]
    fn what_a_signal_interrupted_is_asked_for_again() {
        assert_eq!(failing(libc::EAGAIN, 3), (None, 4));
        assert_eq!(failing(libc::EAGAIN, 99), (Some(libc::EAGAIN), LOADS));
        assert_eq!(failing(libc::EPERM, 3), (Some(libc::EPERM), 1));
    }
}
