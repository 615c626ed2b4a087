//! Notices lost records by the holes in each CPU's sequence and by the kernel's own count.

use crate::ids::KernelNanos;

/// CPUs that are followed; Linux supports 8192 at most on the largest configurations.
const MAX_CPUS: usize = 8_192;

// What stands outside of the sequences is no CPU that is followed.
const _: () = assert!(observer_abi::UNSEQUENCED as usize >= MAX_CPUS);

/// What was found lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) count: u64,
    pub(super) since: KernelNanos,
    pub(super) until: KernelNanos,
}

/// How far each CPU's sequence was seen.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    /// By the number of the CPU.
    last: Vec<Option<(u32, KernelNanos)>>,
    in_holes: u64,
    counted: u64,
    tick: KernelNanos,
}

impl Sequences {
    /// A record was taken in. Returns what is missing before it.
    pub(super) fn record(&mut self, cpu: u32, seq: u32, time: KernelNanos) -> Option<Missed> {
        let cpu = cpu as usize;
        if cpu >= MAX_CPUS {
            return None;
        }
        if cpu >= self.last.len() {
            self.last.resize(cpu + 1, None);
        }
        let (before, since) = self.last[cpu].replace((seq, time))?;
        let missing = seq.wrapping_sub(before).wrapping_sub(1);
        // A record that overtook another of its CPU is no loss.
        if missing == 0 || missing > u32::MAX / 2 {
            return None;
        }
        self.in_holes += u64::from(missing);
        Some(Missed {
            count: u64::from(missing),
            since,
            until: time,
        })
    }

    /// The kernel has lost `lost` records so far. Returns those for which no hole was seen yet: they
    /// were lost since the previous tick.
    pub(super) fn tick(&mut self, now: KernelNanos, lost: u64) -> Option<Missed> {
        let since = std::mem::replace(&mut self.tick, now);
        let grown = lost.saturating_sub(self.counted);
        self.counted = self.counted.max(lost);
        let unseen = self.counted.saturating_sub(self.in_holes);
        (grown > 0).then_some(Missed {
            count: unseen,
            since,
            until: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_a_sequence_is_a_loss() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.record(0, 1, KernelNanos(1)), None);
        let missed = sequences.record(0, 3, KernelNanos(3));
        assert_eq!(missed.map(|m| m.count), Some(1));
    }

    #[test]
    fn records_outside_the_sequences_are_no_holes() {
        let mut sequences = Sequences::default();
        for seq in [0, 9, 4] {
            let none = sequences.record(observer_abi::UNSEQUENCED, seq, KernelNanos(1));
            assert_eq!(none, None);
        }
    }
}
