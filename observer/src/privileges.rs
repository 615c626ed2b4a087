//! Gives up the privileges that are not needed.
//!
//! Capabilities belong to threads, and new threads inherit them: the first one gives up what nobody needs
//! before it starts others, and those that need none give up the rest.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

/// What observing needs for as long as it lasts: maps are written to and programs loaded (`CAP_BPF`,
/// `CAP_PERFMON`), and what `/proc` tells of other users' processes is read (`CAP_SYS_PTRACE`,
/// `CAP_DAC_READ_SEARCH`).
pub const NEEDED: [Capability; 4] = [
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// What the kernel asks for, beside the others, to put probes into processes (`perf_uprobe_event_init`).
pub const ATTACHING: Capability = Capability::CAP_SYS_ADMIN;

/// Why privileges can't be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The kernel refused to take them.
    #[error("privileges can't be given up: {0}; privileges.drop: false keeps them")]
    Caps(#[from] CapsError),
    /// They could be had again by executing a program.
    #[error("new privileges can't be refused: {0}; privileges.drop: false does without")]
    NoNew(std::io::Error),
}

/// Keeps, of what this thread has, what is [`NEEDED`], and [`ATTACHING`] as well if `attaching`. Gains nothing by
/// executing programs any more.
///
/// # Errors
///
/// See [`PrivilegeError`].
pub fn keep_needed(attaching: bool) -> Result<(), PrivilegeError> {
    let attaching = attaching.then_some(ATTACHING);
    let needed: CapsHashSet = NEEDED.into_iter().chain(attaching).collect();
    // Taking from the bounding set is a privilege itself; without it there is nothing to be gained anyhow.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for cap in caps::read(None, CapSet::Bounding)?.difference(&needed) {
            caps::drop(None, CapSet::Bounding, *cap)?;
        }
    }
    let kept = &caps::read(None, CapSet::Permitted)? & &needed;
    keep(&kept)?;
    rustix::thread::set_no_new_privs(true).map_err(|errno| PrivilegeError::NoNew(errno.into()))
}

/// Gives up all capabilities of this thread. What can't be given up is none that was not there before.
pub fn keep_none() {
    // Nothing depends on it: it bounds the harm of a mistake elsewhere.
    let _ = keep(&CapsHashSet::new());
}

fn keep(kept: &CapsHashSet) -> Result<(), CapsError> {
    // Before Linux 4.3 there is no ambient set; then there is nothing in it.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Permitted, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_what_is_needed_or_nothing() {
        // Of a thread of its own: other tests keep what they have.
        let after = std::thread::spawn(|| {
            keep_needed(true).unwrap();
            keep_needed(false).unwrap();
            let some = caps::read(None, CapSet::Effective).unwrap();
            keep_none();
            (some, caps::read(None, CapSet::Permitted).unwrap())
        });
        let (some, none) = after.join().unwrap();
        assert!(some.iter().all(|cap| NEEDED.contains(cap)), "{some:?}");
        assert!(none.is_empty(), "{none:?}");
    }
}
