//! The machine's clocks.

use observer_core::ids::KernelNanos;
use observer_core::judged::ClockAnchor;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The clock that the probes use.
pub(super) fn now() -> KernelNanos {
    KernelNanos(nanos(clock_gettime(ClockId::Monotonic)))
}

/// Ties that clock to the wall clock; the wall clock is read between two readings of the other,
/// so the error is below half their distance, some ten nanoseconds.
pub(super) fn anchor() -> ClockAnchor {
    let before = now();
    let wall = nanos(clock_gettime(ClockId::Realtime));
    let after = now();
    ClockAnchor {
        monotonic: before.plus(after.since(before) / 2),
        wall,
    }
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
