//! From a selection to processes.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use observer_core::ids::Tgid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cli::plan::Selection;
use crate::facts::{Proc, Process};
use crate::kernel::{self, Selector};

/// Why what was selected can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// No such process.
    #[error("--pid {0}: there is no such process; `ps -e` lists those there are")]
    NoProcess(u32),
    /// Processes that listen on a port can't be found.
    #[error("--port: {0}")]
    Port(#[from] kernel::SelectError),
}

/// A process that was named by its number, held so that its end is noticed even if its number is
/// given to another process.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) tgid: Tgid,
    /// Absent before Linux 5.3.
    fd: Option<OwnedFd>,
}

impl Pinned {
    /// Whether it has ended.
    pub(super) fn is_gone(&self, proc: &Proc) -> bool {
        match &self.fd {
            Some(fd) => {
                let mut fds = [PollFd::new(fd, PollFlags::IN)];
                matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1))
            }
            None => !proc.process(self.tgid.0).exists(),
        }
    }
}

/// Finds the processes that were named by number; of a thread, its process.
pub(super) fn pin(proc: &Proc, selection: &Selection) -> Result<Vec<Pinned>, SelectError> {
    let one = |pid: &u32| {
        let tgid = proc
            .process(*pid)
            .tgid()
            .ok_or(SelectError::NoProcess(*pid))?;
        let fd = i32::try_from(tgid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Pinned {
            tgid: Tgid(tgid),
            fd,
        })
    };
    selection.pids.iter().map(one).collect()
}

/// All processes that listen on one of a selection's ports now.
pub(super) fn listening(selection: &Selection) -> Result<BTreeSet<Tgid>, SelectError> {
    let mut found = BTreeSet::new();
    for port in &selection.ports {
        found.extend(kernel::processes(&Selector::Port(*port))?);
    }
    Ok(found)
}

/// Whether a process matches one of a selection's rules, ports aside.
pub(super) fn matches(process: &Process, selection: &Selection) -> bool {
    comm_matches(process, selection)
        || exe_matches(process, selection)
        || cgroup_matches(process, selection)
}

fn comm_matches(process: &Process, selection: &Selection) -> bool {
    !selection.comms.is_empty()
        && process
            .comm()
            .is_some_and(|comm| selection.comms.contains(&comm))
}

/// A path must be the executable's; a name without `/` its last part.
fn exe_matches(process: &Process, selection: &Selection) -> bool {
    if selection.exes.is_empty() {
        return false;
    }
    let Some(exe) = process.exe() else {
        return false;
    };
    selection.exes.iter().any(|wanted| {
        *wanted == exe || (!wanted.contains('/') && exe.rsplit('/').next() == Some(wanted))
    })
}

fn cgroup_matches(process: &Process, selection: &Selection) -> bool {
    !selection.cgroups.is_empty()
        && process.cgroups().iter().any(|group| {
            selection.cgroups.iter().any(|wanted| {
                group
                    .strip_prefix(wanted.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted == "/")
            })
        })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn own() -> Process {
        Proc::default().process(std::process::id())
    }

    fn selected(change: impl Fn(&mut Selection)) -> bool {
        let mut selection = Selection::default();
        change(&mut selection);
        matches(&own(), &selection)
    }

    #[test]
    fn a_process_is_found_by_each_rule() {
        let (comm, exe) = (own().comm().unwrap(), own().exe().unwrap());
        assert!(selected(|s| s.comms = vec![comm.clone()]));
        assert!(selected(|s| s.exes = vec![exe.clone()]));
        assert!(selected(
            |s| s.exes = vec![exe.rsplit('/').next().unwrap().to_owned()]
        ));
        let group = own().cgroups().pop().unwrap();
        assert!(selected(|s| s.cgroups = vec![group.clone()]));
        assert!(selected(|s| s.cgroups = vec!["/".into()]));
        assert!(!selected(|s| s.cgroups = vec![format!("{group}x")]));
        assert!(!selected(|s| s.exes = vec!["/bin/other".into()]));
        assert!(!selected(|_| ()));
    }

    #[test]
    fn the_end_of_a_pinned_process_is_noticed() {
        let proc = Proc::default();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let selection = Selection {
            pids: [child.id()].into(),
            ..Selection::default()
        };
        let pinned = pin(&proc, &selection).unwrap().pop().unwrap();
        assert!(!pinned.is_gone(&proc));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(pinned.is_gone(&proc));
        assert!(matches!(
            pin(&proc, &selection),
            Err(SelectError::NoProcess(_))
        ));
    }
}
