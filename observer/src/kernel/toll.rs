//! What it takes on this machine to run into a probe inside a program.
//!
//! It differs by more than ten times between machines: an instruction that the kernel can't carry out by itself is stepped over
//! with a debug trap, which on a virtual machine may leave it. So it is measured, on this program itself.

use std::arch::naked_asm;
use std::fs;
use std::time::{Duration, Instant};

use aya::Ebpf;
use observer_core::ids::Tgid;

use super::trial::offset_in_file;
use super::user::{UserProbe, attach};

/// Calls that are timed; the median counts, whatever else runs meanwhile.
const CALLS: usize = 65;

/// What `program` of `object` takes at an instruction that is `stepped` over, or at a jump, where the process is
/// not watched; `None` if it can't be tried.
pub fn toll(object: &mut Ebpf, program: &'static str, stepped: bool) -> Option<Duration> {
    let probed: extern "C" fn() -> u64 = if stepped { loads } else { jumps };
    let probed = std::hint::black_box(probed);
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let probe = UserProbe {
        program,
        file: "/proc/self/exe".into(),
        offset: offset_in_file(&maps, probed as usize as u64)?,
    };
    let without = median(probed);
    let link = attach(object, Tgid(std::process::id()), &probe).ok()?;
    let with = median(probed);
    drop(link);
    Some(with.saturating_sub(without))
}

fn median(probed: extern "C" fn() -> u64) -> Duration {
    let mut took = [Duration::ZERO; CALLS];
    for took in &mut took {
        let before = Instant::now();
        std::hint::black_box(probed());
        *took = before.elapsed();
    }
    took.sort_unstable();
    took[CALLS / 2]
}

/// Begins with an instruction that is stepped over.
#[unsafe(naked)]
extern "C" fn loads() -> u64 {
    naked_asm!("mov rax, qword ptr [rsp]", "ret")
}

/// Begins with a jump, which the kernel carries out by itself.
#[unsafe(naked)]
extern "C" fn jumps() -> u64 {
    naked_asm!("je 2f", "2:", "mov rax, qword ptr [rsp]", "ret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_returns() {
        for probed in [loads, jumps] as [extern "C" fn() -> u64; 2] {
            assert_ne!(probed(), 0);
            assert!(median(probed) < Duration::from_secs(1));
        }
    }
}
