//! From a selection to processes.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use observer_core::ids::Tgid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cli::cgroup::Hierarchies;
use crate::cli::select::Selection;
use crate::facts::{Proc, Process};
use crate::kernel::{self, Selector};

/// Why what was selected can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// No such process.
    #[error("--pid {0}: there is no such process; `ps -e` lists those there are")]
    NoProcess(u32),
    /// No such control group.
    #[error(
        "--cgroup {0}: there is no such control group: no mounted hierarchy has it, and no process is in it; \
         `cat /proc/PID/cgroup` shows that of a process, `find /sys/fs/cgroup -type d` all"
    )]
    NoGroup(String),
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

/// Whether the control groups are there that a selection names: nothing would ever be in a mistyped one.
pub(super) fn check_groups(
    proc: &Proc,
    selection: &Selection,
    mounted: &Hierarchies,
) -> Result<(), SelectError> {
    // The observer may see processes of a hierarchy, or of a part of it, that is not mounted where it runs.
    let inhabited = |group: &str| proc.processes().any(|p| is_in(&p, group));
    let absent = |group: &&String| mounted.has(group) == Some(false) && !inhabited(group);
    match selection.cgroups.iter().find(absent) {
        Some(group) => Err(SelectError::NoGroup(group.clone())),
        None => Ok(()),
    }
}

/// Executables that are not here, of those which a selection names by their paths.
pub(super) fn absent_exes(selection: &Selection) -> impl Iterator<Item = &String> {
    let paths = selection.exes.iter().filter(|exe| exe.contains('/'));
    paths.filter(|path| !Path::new(path).exists())
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
    selection
        .cgroups
        .iter()
        .any(|wanted| is_in(process, wanted))
}

/// Whether a process is in the control group `wanted`, or in one below it.
fn is_in(process: &Process, wanted: &str) -> bool {
    process.cgroups().iter().any(|group| {
        group
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted == "/")
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
    fn a_control_group_must_be_there() {
        let mounted = Hierarchies::mounted();
        let check = |group: &str| {
            let selection = Selection {
                cgroups: vec![group.to_owned()],
                ..Selection::default()
            };
            check_groups(&Proc::default(), &selection, &mounted)
        };
        for there in own().cgroups() {
            assert!(check(&there).is_ok(), "{there}");
        }
        assert!(check("/").is_ok());
        // Where nothing is mounted it can't be known.
        let known = mounted != Hierarchies::default();
        let refused = check("/no-such-group.slice");
        assert_eq!(
            matches!(refused, Err(SelectError::NoGroup(_))),
            known,
            "{refused:?}"
        );
    }

    #[test]
    fn executables_that_are_not_here_are_noticed() {
        let own = own().exe().unwrap();
        let selection = Selection {
            exes: vec![own, "python3".into(), "/no/such/file".into()],
            ..Selection::default()
        };
        let absent: Vec<_> = absent_exes(&selection).collect();
        assert_eq!(absent, ["/no/such/file"]);
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
