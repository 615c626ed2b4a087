//! Finding the processes to watch, in `/proc`.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use observer_core::ids::Tgid;
use procfs::{
    ProcError, ProcResult,
    net::{TcpState, tcp, tcp6},
    process::{FDTarget, Process, all_processes},
};

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One process.
    Pid(Tgid),
    /// Processes whose main thread has this name (at most 15 bytes of it are kept by the kernel).
    Comm(String),
    /// Processes that run the program at this path.
    Exe(PathBuf),
    /// Processes that listen on this TCP port.
    Port(u16),
    /// Processes in this control group or below, as a path from the root of the hierarchy.
    Cgroup(PathBuf),
}

/// Why processes could not be found.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// There is no such process.
    #[error("there is no process {0}")]
    Gone(Tgid),
    /// `/proc` can't be read.
    #[error("the processes of this host can't be listed in /proc: {0}")]
    Proc(#[from] ProcError),
}

/// The processes that `selector` means now. Those that end while they are looked at are left out,
/// and so are those that may not be looked at.
///
/// # Errors
///
/// If the one process that is meant is gone, or `/proc` can't be read.
pub fn processes(selector: &Selector) -> Result<Vec<Tgid>, SelectError> {
    let matches: Box<dyn Fn(&Process) -> bool> = match selector {
        Selector::Pid(tgid) => return pid(*tgid),
        Selector::Comm(comm) => Box::new(move |process| comm_is(process, comm)),
        Selector::Exe(path) => Box::new(move |process| exe_is(process, path)),
        Selector::Port(port) => {
            let sockets = listeners(*port)?;
            Box::new(move |process| holds(process, &sockets))
        }
        Selector::Cgroup(path) => Box::new(move |process| in_cgroup(process, path)),
    };
    let found = all_processes()?
        .filter_map(Result::ok)
        .filter(|process| matches(process))
        .filter_map(|process| tgid(&process))
        .collect();
    Ok(found)
}

/// Children of `process`, their children, and so on.
pub fn descendants(process: Tgid) -> Vec<Tgid> {
    let Ok(all) = all_processes() else {
        return Vec::new();
    };
    let mut children: HashMap<Tgid, Vec<Tgid>> = HashMap::new();
    for stat in all.filter_map(Result::ok).filter_map(|p| p.stat().ok()) {
        if let (Ok(parent), Ok(child)) = (u32::try_from(stat.ppid), u32::try_from(stat.pid)) {
            children.entry(Tgid(parent)).or_default().push(Tgid(child));
        }
    }
    let mut found = Vec::new();
    let mut next = vec![process];
    while let Some(parent) = next.pop() {
        let born = children.remove(&parent).unwrap_or_default();
        found.extend(&born);
        next.extend(born);
    }
    found
}

fn pid(wanted: Tgid) -> Result<Vec<Tgid>, SelectError> {
    let gone = |_| SelectError::Gone(wanted);
    let pid = i32::try_from(wanted.0).map_err(|_| SelectError::Gone(wanted))?;
    let process = Process::new(pid).map_err(gone)?;
    // A thread's id opens a directory here too: what is meant is its process.
    let status = process.status().map_err(gone)?;
    let tgid = u32::try_from(status.tgid).map_err(|_| SelectError::Gone(wanted))?;
    Ok(vec![Tgid(tgid)])
}

fn tgid(process: &Process) -> Option<Tgid> {
    u32::try_from(process.pid()).ok().map(Tgid)
}

fn comm_is(process: &Process, comm: &str) -> bool {
    /// `TASK_COMM_LEN` less the final zero.
    const KEPT: usize = 15;
    let kept = &comm.as_bytes()[..comm.len().min(KEPT)];
    process
        .stat()
        .is_ok_and(|stat| stat.comm.as_bytes() == kept)
}

fn exe_is(process: &Process, path: &Path) -> bool {
    process.exe().is_ok_and(|exe| exe == path)
}

/// Inodes of the sockets that listen on `port`, in this network namespace.
fn listeners(port: u16) -> ProcResult<HashSet<u64>> {
    // There is no tcp6 where IPv6 is switched off.
    let entries = tcp()?.into_iter().chain(tcp6().unwrap_or_default());
    Ok(entries
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
        .map(|entry| entry.inode)
        .collect())
}

fn holds(process: &Process, sockets: &HashSet<u64>) -> bool {
    let Ok(fds) = process.fd() else {
        return false;
    };
    fds.filter_map(Result::ok)
        .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
}

fn in_cgroup(process: &Process, path: &Path) -> bool {
    let wanted = Path::new("/").join(path);
    process.cgroups().is_ok_and(|groups| {
        let mut paths = groups
            .into_iter()
            .map(|group| PathBuf::from(group.pathname));
        paths.any(|path| path.starts_with(&wanted))
    })
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command};

    use super::*;

    fn own() -> Tgid {
        Tgid(std::process::id())
    }

    #[test]
    fn this_process_is_found_in_every_way() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let exe = std::env::current_exe().expect("known");
        let me = Process::myself().expect("readable");
        let comm = me.stat().expect("readable").comm;
        for selector in [
            Selector::Pid(own()),
            Selector::Comm(comm),
            Selector::Exe(exe),
            Selector::Port(port),
            Selector::Cgroup("/".into()),
        ] {
            let found = processes(&selector).expect("readable");
            assert!(found.contains(&own()), "{selector:?}: {found:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(matches!(
            processes(&Selector::Pid(Tgid(u32::MAX))),
            Err(SelectError::Gone(_))
        ));
        let found = processes(&Selector::Comm("no such name".into())).expect("readable");
        assert_eq!(found, []);
    }

    #[test]
    fn children_are_descendants() {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cat");
        let found = descendants(own());
        assert!(found.contains(&Tgid(child.id())));
        drop(child.stdin.take());
        child.wait().expect("ends with its input");
    }
}
