//! What the probes and the kernel counted.

use std::{
    fs::{self, File},
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::fs::FileExt,
    },
};

use aya::{
    Ebpf, Pod,
    maps::{MapData, PerCpuArray},
    programs::Program,
};
use observer_abi::control::{COUNTERS, CpuState};

use super::CaptureError;

/// What was counted since the capture began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What the probes counted, added up over all CPUs.
    pub probes: CpuState,
    /// How often each probe ran.
    pub programs: Vec<ProgramStats>,
    /// The kernel counts all runs, and for how long they last, and not only now and then (`budget::toll`).
    pub measured: bool,
    /// Size of the ring, bytes.
    pub ring: u64,
    /// The most that waited in it at one look since this was last asked for, bytes.
    pub waited: u64,
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

/// How much the probes ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// For how long, nanoseconds.
    pub nanos: u64,
    /// How often those at system calls did.
    pub at_calls: u64,
}

/// Whether `sysctl kernel.bpf_stats_enabled` is 1.
pub fn is_measured() -> bool {
    let set = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled");
    set.is_ok_and(|set| set.trim() == "1")
}

impl ProgramStats {
    /// Reads what the kernel says of this process's descriptor `fd`.
    pub fn read(name: &str, fd: RawFd) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        Some(Self::parse(name, &text))
    }

    fn parse(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            runs: field(text, "run_cnt"),
            nanos: field(text, "run_time_ns"),
            misses: field(text, MISSES),
        }
    }
}

/// The field of `fdinfo` that counts [`ProgramStats::misses`].
const MISSES: &str = "recursion_misses";

/// A number in `fdinfo`; 0 where the kernel does not have it.
fn field(text: &str, wanted: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(field, _)| *field == wanted);
    value
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Runs of all programs that the kernel left out. What the kernel says of each is kept open, since
/// it is asked for many times a second.
pub struct Misses(Vec<File>);

impl Misses {
    /// Opens what the kernel says of each loaded program of `object`.
    pub fn open(object: &Ebpf) -> Self {
        let of = |program: &Program| {
            let fd = program.fd().ok()?.as_fd().as_raw_fd();
            File::open(format!("/proc/self/fdinfo/{fd}")).ok()
        };
        Self(object.programs().filter_map(|(_, p)| of(p)).collect())
    }

    /// How many there were so far.
    pub fn sum(&self) -> u64 {
        let mut text = [0; 1024];
        let read = |file: &File| {
            let len = file.read_at(&mut text, 0).unwrap_or(0);
            field(std::str::from_utf8(&text[..len]).unwrap_or(""), MISSES)
        };
        self.0.iter().map(read).sum()
    }
}

/// The per-CPU array `name` of the object.
pub(super) fn per_cpu<V: Pod>(
    object: &mut Ebpf,
    name: &'static str,
) -> Result<PerCpuArray<MapData, V>, CaptureError> {
    let failed = |source| CaptureError::Map { name, source };
    let map = object.take_map(name);
    let map = map.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    PerCpuArray::try_from(map).map_err(|error| failed(std::io::Error::other(error)))
}

/// The per-CPU counters.
pub struct CpuCounters(PerCpuArray<MapData, [u64; COUNTERS]>);

impl CpuCounters {
    /// Opens the map.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        per_cpu(object, "CPUS").map(Self)
    }

    /// Adds up all CPUs; zeros if the map can't be read, which only its removal would cause.
    pub fn sum(&self) -> CpuState {
        let mut sum = [0; COUNTERS];
        if let Ok(cpus) = self.0.get(&0, 0) {
            for cpu in cpus.iter() {
                for (total, counter) in sum.iter_mut().zip(cpu) {
                    *total += counter;
                }
            }
        }
        CpuState::from_words(sum)
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
