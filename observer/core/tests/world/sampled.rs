//! What the probes would have told of a world if only a share of connections had been observed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

use observer_abi as abi;

use super::{Fed, resequence};

/// The same inputs where connections are left out by their lots when their first bytes move, as the shares say
/// that are among the inputs ([`Fed::Sampling`]).
pub fn by_the_probes(inputs: &[Fed]) -> Vec<Fed> {
    let mut described: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut silent: BTreeSet<u64> = BTreeSet::new();
    let mut told = Vec::new();
    let mut keep = 1 << 16;
    for input in inputs {
        let raw = match input {
            Fed::Record(raw) => raw,
            Fed::Sampling(share) => {
                keep = (*share).clamp(1, 1 << 16);
                told.push(Fed::Sampling(keep));
                continue;
            }
            other => {
                told.push(other.clone());
                continue;
            }
        };
        let Some(file) = file_of(raw) else {
            told.push(input.clone());
            continue;
        };
        if raw[0] == abi::kind::FILE {
            described.insert(file, raw.clone());
            continue;
        }
        if raw[0] == abi::kind::DATA
            && let Some(record) = described.remove(&file)
        {
            let read = raw[offset_of!(abi::Header, flags)] & abi::data_flag::WRITE == 0;
            let (record, left_out) = drawn(record, keep, read);
            told.push(Fed::Record(record));
            if left_out {
                silent.insert(file);
            }
        }
        if !silent.contains(&file) {
            told.push(input.clone());
        }
    }
    resequence(&told)
}

/// The description that a record is about.
fn file_of(raw: &[u8]) -> Option<u64> {
    use abi::kind::{CLOSE, DATA, FILE, SHORT, TAKE};
    // All of these have it behind the header.
    matches!(raw[0], FILE | DATA | SHORT | CLOSE | TAKE)
        .then(|| u64::from_ne_bytes(raw[size_of::<abi::Header>()..][..8].try_into().unwrap()))
}

/// The description's record with what was decided by its lot.
fn drawn(mut record: Vec<u8>, keep: u32, read: bool) -> (Vec<u8>, bool) {
    let at = offset_of!(abi::File, lot);
    let lot = u16::from_ne_bytes([record[at], record[at + 1]]);
    let share = u16::try_from((1 << 16) - keep).unwrap();
    record[offset_of!(abi::File, left_out)..][..2].copy_from_slice(&share.to_ne_bytes());
    let left_out = u32::from(lot) >= keep;
    if left_out {
        let first = if read { abi::file_flag::READ } else { 0 };
        record[offset_of!(abi::Header, flags)] = abi::file_flag::LEFT_OUT | first;
    }
    (record, left_out)
}
