//! What system calls come to on connections while only a share of these is observed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
};
use observer_abi::control::{RECKONED, Reckoned};

use super::CaptureError;
use super::stats::per_cpu;

/// Words of the map's one value.
const WORDS: usize = RECKONED * size_of::<Reckoned>() / size_of::<u64>();

/// The per-CPU counts, and how much of them was told.
pub struct ReckonedCalls {
    map: PerCpuArray<MapData, [u64; WORDS]>,
    told: Vec<Reckoned>,
    /// A share was in force once: before that, nothing is counted.
    sampled: AtomicBool,
}

impl ReckonedCalls {
    /// Opens the map.
    pub fn open(object: &mut Ebpf) -> Result<Self, CaptureError> {
        Ok(Self {
            map: per_cpu(object, "RECKONED_CALLS")?,
            told: vec![Reckoned::default(); RECKONED],
            sampled: AtomicBool::new(false),
        })
    }

    /// Only a share is observed from now on.
    pub fn begin(&self) {
        self.sampled.store(true, Relaxed);
    }

    /// Calls on connections that were left out, of all processes.
    pub fn counted(&self) -> u64 {
        self.sum().iter().map(|calls| calls.counted).sum()
    }

    /// Tells what has come to be since the last time, by place.
    pub fn news(&mut self, mut tell: impl FnMut(u16, Reckoned)) {
        let sum = self.sum();
        for ((place, now), told) in (0..).zip(sum).zip(&mut self.told) {
            if now != *told {
                tell(place, since(now, *told));
                *told = now;
            }
        }
    }

    /// Adds up all CPUs; nothing if there is none yet, or the map can't be read, which only its removal would cause.
    fn sum(&self) -> Vec<Reckoned> {
        let mut sum = Vec::new();
        if self.sampled.load(Relaxed)
            && let Ok(cpus) = self.map.get(&0, 0)
        {
            sum.resize(RECKONED, Reckoned::default());
            for cpu in cpus.iter() {
                for (total, [counted, expected]) in sum.iter_mut().zip(cpu.as_chunks::<2>().0) {
                    total.counted += counted;
                    total.expected += expected;
                }
            }
        }
        sum
    }
}

fn since(now: Reckoned, before: Reckoned) -> Reckoned {
    Reckoned {
        counted: now.counted - before.counted,
        expected: now.expected - before.expected,
    }
}
