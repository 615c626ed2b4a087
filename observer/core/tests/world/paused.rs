//! What the probes would have told of a world in which they were taken away for some time.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::ops::Range;

use observer_abi as abi;

use super::sampled::{file_of, long};
use super::{Fed, STEP, resequence};

/// Descriptions that come again are numbered from here.
const AGAIN: u64 = 1 << 41;

/// The same inputs without those of system calls in some ranges of them, after each of which every description is another one, which is
/// told before its first bytes and counted from 0. What is watched stands for `every` times the time.
pub fn with_pauses(inputs: &[Fed], pauses: &[Range<usize>], every: u32) -> Vec<Fed> {
    let mut probes = Probes {
        described: BTreeMap::new(),
        told: BTreeSet::new(),
        moved: BTreeMap::new(),
        epoch: 0,
        out: Vec::new(),
    };
    let mut last = 0;
    for (at, input) in inputs.iter().enumerate() {
        for pause in pauses.iter().filter(|pause| !pause.is_empty()) {
            if pause.start == at {
                probes.out.push(Fed::Pause(last + STEP / 2));
            }
            if pause.end == at {
                probes.resume(last + STEP / 2, every);
            }
        }
        last = time_of(input).unwrap_or(last);
        match input {
            Fed::Record(raw) => {
                let seen = !pauses.iter().any(|pause| pause.contains(&at));
                probes.record(raw, seen);
            }
            other => probes.out.push(other.clone()),
        }
    }
    resequence(&probes.out)
}

struct Probes {
    /// Records of descriptions, by the numbers that the world gave them.
    described: BTreeMap<u64, Vec<u8>>,
    /// Those that were told in this epoch.
    told: BTreeSet<u64>,
    /// Bytes that had moved before they were told, read and written.
    moved: BTreeMap<u64, [u64; 2]>,
    epoch: u64,
    out: Vec<Fed>,
}

impl Probes {
    fn resume(&mut self, until: u64, every: u32) {
        self.epoch += 1;
        self.told.clear();
        self.moved.clear();
        self.out.push(Fed::Resume(until, every));
    }

    /// The number of a description in this epoch.
    fn renumbered(&self, file: u64) -> u64 {
        match self.epoch {
            0 => file,
            epoch => AGAIN + (epoch << 20) + file,
        }
    }

    fn record(&mut self, raw: &[u8], seen: bool) {
        let Some(file) = file_of(raw) else {
            // What no system call tells comes in pauses, too.
            if seen || !is_of_call(raw) {
                self.out.push(Fed::Record(raw.to_vec()));
            }
            return;
        };
        if raw[0] == abi::kind::FILE {
            self.described.insert(file, raw.to_vec());
        }
        if !seen || raw[0] == abi::kind::CLOSE && !self.told.contains(&file) {
            return;
        }
        if self.told.insert(file)
            && raw[0] != abi::kind::FILE
            && let Some(description) = self.described.get(&file)
        {
            let mut description = description.clone();
            let time = offset_of!(abi::Header, time);
            description[time..][..8].copy_from_slice(&raw[time..][..8]);
            self.push(description, file);
        }
        let mut raw = raw.to_vec();
        let at = match raw[0] {
            abi::kind::DATA => offset_of!(abi::Data, pos),
            abi::kind::SHORT => offset_of!(abi::Short, pos),
            _ => return self.push(raw, file),
        };
        let written = raw[0] == abi::kind::SHORT
            || raw[offset_of!(abi::Header, flags)] & abi::data_flag::WRITE != 0;
        let position = long(&raw, at);
        let first = &mut self.moved.entry(file).or_insert([u64::MAX; 2])[usize::from(written)];
        if *first == u64::MAX {
            // A correction of what began unseen is not told.
            if raw[0] == abi::kind::SHORT && self.epoch > 0 {
                return;
            }
            *first = if self.epoch == 0 { 0 } else { position };
        }
        let from_there = position - (*first).min(position);
        raw[at..][..8].copy_from_slice(&from_there.to_ne_bytes());
        self.push(raw, file);
    }

    fn push(&mut self, mut raw: Vec<u8>, file: u64) {
        let id = self.renumbered(file);
        raw[size_of::<abi::Header>()..][..8].copy_from_slice(&id.to_ne_bytes());
        self.out.push(Fed::Record(raw));
    }
}

/// Whether a record comes from the probes at system calls, and not from those on the life of tasks or inside programs.
fn is_of_call(raw: &[u8]) -> bool {
    use abi::kind::{EXEC, EXIT, FORK, SPAWN};
    let sequenced = raw[offset_of!(abi::Header, cpu)..][..4] != abi::UNSEQUENCED.to_ne_bytes()[..];
    sequenced && !matches!(raw[0], FORK | SPAWN | EXEC | EXIT)
}

fn time_of(input: &Fed) -> Option<u64> {
    match input {
        Fed::Record(raw) => Some(long(raw, offset_of!(abi::Header, time))),
        Fed::Tick(now) => Some(*now),
        _ => None,
    }
}
