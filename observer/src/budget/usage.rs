//! What the agent itself uses.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its threads so far.
    pub cpu: Duration,
    /// Resident memory, bytes. The ring is mapped twice in a row, and counts twice.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Of now. What can't be read is 0.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Self {
            cpu: Duration::new(seconds, nanos),
            resident: resident().unwrap_or(0),
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64),
        }
    }
}

/// `VmRSS` of `/proc/self/status` counts lazily per CPU; the second field of `statm` is the same, in pages.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let before = Usage::now();
        let mut sum = 0_u64;
        while Usage::now().cpu == before.cpu {
            sum = sum.wrapping_add(1);
        }
        assert!(
            before.resident > 100_000 && before.descriptors > 2,
            "{before:?} {sum}"
        );
    }
}
