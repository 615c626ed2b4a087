//! Times between which system calls were not looked at.
//!
//! While the probes at system calls are detached, descriptions are closed and their addresses used again, and calls return, all
//! unseen. So what was noted in one epoch is not believed in the next one: descriptions are described anew, under identities that were
//! never used, and of threads it is not known what they were doing, as when the probes were attached first.

use crate::maps::CONTROL;

/// The present epoch.
#[inline(always)]
pub fn now() -> u32 {
    match CONTROL.get_ptr(0) {
        // SAFETY: map element; userspace writes the word as a whole, while no probe runs that notes anything.
        Some(control) => unsafe { (&raw const (*control).epoch).read_volatile() },
        None => 0,
    }
}
