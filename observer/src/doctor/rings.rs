//! Which processes may drive sockets through an `io_uring`, where nothing of them is seen.

use observer_core::ids::Tgid;

use super::Check;
use super::executions::who;
use crate::facts::{Proc, process};

const NAME: &str = "io_uring";

/// Names them.
pub(super) fn check(proc: &Proc) -> Check {
    let found = proc.processes().map(|found| found.pid);
    let rings: Vec<u32> = found.filter(|pid| process(proc, Tgid(*pid)).ring).collect();
    if rings.is_empty() {
        return Check::ok(
            NAME,
            "no process was seen that may drive sockets through it",
        );
    }
    Check::note(
        NAME,
        format!("what goes through a ring is not seen ({})", who(&rings)),
        "what these processes do is judged by the ids that it carries alone; where a service can do without io_uring, turn it off there to have it observed",
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::doctor::State;

    #[test]
    fn processes_with_a_ring_are_named() {
        let root = tempfile::tempdir().unwrap();
        let proc = Proc::at(root.path());
        assert_eq!(check(&proc).state, State::Ok);
        let descriptors = root.path().join("31/fd");
        fs::create_dir_all(&descriptors).unwrap();
        symlink("anon_inode:[io_uring]", descriptors.join("4")).unwrap();
        let check = check(&proc);
        // A property of the process: the host is as it should be.
        assert_eq!(check.state, State::Note);
        assert!(check.found.contains("process 31"), "{}", check.found);
    }
}
