//! What the probes and the kernel counted.

use std::{fs, os::fd::RawFd};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
};
use observer_abi::control::CpuState;

use super::CaptureError;

/// Sums over all CPUs since the capture began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records put into the ring.
    pub sent: u64,
    /// Records for which the ring had no room.
    pub lost: u64,
    /// Bytes of payload put into the ring.
    pub captured: u64,
    /// Bytes reported without payload, by policy or because they could not be read.
    pub cut: u64,
    /// Payloads that could not be read from a process's memory.
    pub faults: u64,
    /// Calls on descriptions that are ignored by feedback.
    pub ignored: u64,
    /// Calls whose beginning was not seen: in flight when their process was selected.
    pub unpaired: u64,
    /// How often each probe ran.
    pub programs: Vec<ProgramStats>,
}

/// What the kernel counted for one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// The program.
    pub name: String,
    /// How often it ran; counted only while `sysctl kernel.bpf_stats_enabled` is 1.
    pub runs: u64,
    /// How long it ran in all, nanoseconds; counted likewise.
    pub nanos: u64,
    /// How often it did not run because it was running on that CPU already (Linux 5.12); those
    /// events are lost without a trace in the records.
    pub misses: u64,
}

impl ProgramStats {
    /// Reads what the kernel says of this process's descriptor `fd`.
    pub fn read(name: &str, fd: RawFd) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        Some(Self::parse(name, &text))
    }

    fn parse(name: &str, text: &str) -> Self {
        let field = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let value = lines.find(|(field, _)| *field == wanted);
            value.and_then(|(_, value)| value.trim().parse().ok())
        };
        Self {
            name: name.to_owned(),
            runs: field("run_cnt").unwrap_or(0),
            nanos: field("run_time_ns").unwrap_or(0),
            misses: field("recursion_misses").unwrap_or(0),
        }
    }
}

/// Fields of [`CpuState`], all 64 bits wide.
const FIELDS: usize = size_of::<CpuState>() / size_of::<u64>();

/// The per-CPU counters.
pub struct CpuCounters(PerCpuArray<MapData, [u64; FIELDS]>);

impl CpuCounters {
    /// Opens the map.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::Map {
            name: "CPUS",
            source,
        };
        let map = object.take_map("CPUS");
        let map = map.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let map = PerCpuArray::try_from(map);
        map.map(Self)
            .map_err(|error| failed(std::io::Error::other(error)))
    }

    /// Adds up all CPUs; zeros if the map can't be read, which only its removal would cause.
    pub fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        let Ok(cpus) = self.0.get(&0, 0) else {
            return sum;
        };
        for [
            _seq,
            _ids,
            sent,
            lost,
            captured,
            cut,
            faults,
            ignored,
            unpaired,
        ] in cpus.iter()
        {
            sum.sent += sent;
            sum.lost += lost;
            sum.captured += captured;
            sum.cut += cut;
            sum.faults += faults;
            sum.ignored += ignored;
            sum.unpaired += unpaired;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_program_is_read() {
        let text =
            "pos:\t0\nprog_type:\t17\nrun_time_ns:\t1200\nrun_cnt:\t10\nrecursion_misses:\t3\n";
        let stats = ProgramStats::parse("sys_enter", text);
        assert_eq!((stats.runs, stats.nanos, stats.misses), (10, 1200, 3));
        assert_eq!(ProgramStats::parse("sys_enter", "pos: 0").runs, 0);
    }
}
