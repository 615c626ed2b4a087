//! What the probes would have told of a world if only a share of connections had been observed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

use observer_abi as abi;

use super::{Fed, resequence};

/// Descriptions that were taken up again are numbered from here.
const TAKEN_UP: u64 = 1 << 40;

/// The same inputs where connections are left out by their lots, as the shares say that are among the inputs
/// ([`Fed::Sampling`]): decided when their first bytes move, and anew where a request begins after the share has changed. With a
/// share that rises a new window begins.
pub fn by_the_probes(inputs: &[Fed]) -> Vec<Fed> {
    let mut probes = Probes {
        keep: 1 << 16,
        window: 0,
        connections: BTreeMap::new(),
        next: TAKEN_UP,
        serve_left_out: BTreeSet::new(),
        told: Vec::new(),
    };
    for input in inputs {
        match input {
            Fed::Record(raw) => probes.record(raw),
            Fed::Sampling(keep) => probes.sample((*keep).clamp(1, 1 << 16)),
            other => probes.told.push(other.clone()),
        }
    }
    resequence(&probes.told)
}

struct Probes {
    keep: u32,
    window: u16,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Threads whose last served connection is left out.
    serve_left_out: BTreeSet<u32>,
    told: Vec<Fed>,
}

/// What the probes know of a description.
struct Connection {
    /// Its record, with its first number and its first lot.
    record: Vec<u8>,
    /// The number that it is told by.
    file: u64,
    /// What was decided by: share and window; nothing before its first bytes.
    decided: Option<(u32, u16)>,
    left_out: bool,
    /// The last bytes, and the first ones, were written.
    written: Option<bool>,
    client: bool,
    /// Bytes that moved unseen, read and written.
    unseen: [u64; 2],
}

impl Probes {
    fn sample(&mut self, keep: u32) {
        self.window += u16::from(keep > self.keep);
        self.keep = keep;
        self.told.push(Fed::Sampling(keep));
    }

    fn record(&mut self, raw: &[u8]) {
        let Some(file) = file_of(raw) else {
            return self.told.push(Fed::Record(raw.to_vec()));
        };
        if is_log(raw) {
            return self.told.push(Fed::Record(self.logged(raw)));
        }
        if raw[0] == abi::kind::FILE {
            let connection = Connection {
                record: raw.to_vec(),
                file,
                decided: None,
                left_out: false,
                written: None,
                client: false,
                unseen: [0; 2],
            };
            self.connections.insert(file, connection);
            return;
        }
        let Some(connection) = self.connections.get_mut(&file) else {
            return self.told.push(Fed::Record(raw.to_vec()));
        };
        let mut raw = raw.to_vec();
        if raw[0] == abi::kind::DATA {
            let flags = raw[offset_of!(abi::Header, flags)];
            let written = flags & abi::data_flag::WRITE != 0;
            let time = &raw[offset_of!(abi::Header, time)..][..8];
            let told = connection.decide(written, (self.keep, self.window), &mut self.next, time);
            self.told.extend(told.map(Fed::Record));
            let thread = thread_of(&raw);
            match (connection.client, connection.left_out) {
                (true, _) => {}
                (false, true) => drop(self.serve_left_out.insert(thread)),
                (false, false) => drop(self.serve_left_out.remove(&thread)),
            }
            if connection.left_out {
                connection.unseen[usize::from(written)] =
                    long(&raw, offset_of!(abi::Data, pos)) + u64::from(moved(&raw));
            } else {
                shift(
                    &mut raw,
                    offset_of!(abi::Data, pos),
                    connection.unseen[usize::from(written)],
                );
            }
        }
        if raw[0] == abi::kind::SHORT {
            shift(&mut raw, offset_of!(abi::Short, pos), connection.unseen[1]);
        }
        if !connection.left_out {
            raw[size_of::<abi::Header>()..][..8].copy_from_slice(&connection.file.to_ne_bytes());
            self.told.push(Fed::Record(raw));
        }
    }
}

impl Probes {
    /// A write to a log: what it says is left out with the connection that its thread served last.
    fn logged(&self, raw: &[u8]) -> Vec<u8> {
        if !self.serve_left_out.contains(&thread_of(raw)) {
            return raw.to_vec();
        }
        let mut raw = raw[..size_of::<abi::Data>()].to_vec();
        let len = u32::try_from(raw.len()).unwrap();
        raw[offset_of!(abi::Header, len)..][..4].copy_from_slice(&len.to_ne_bytes());
        raw[offset_of!(abi::Header, flags)] |= abi::data_flag::LEFT_OUT;
        raw[offset_of!(abi::Data, captured)..][..4].fill(0);
        raw
    }
}

impl Connection {
    /// What is told before bytes move, if anything is.
    fn decide(
        &mut self,
        written: bool,
        now: (u32, u16),
        next: &mut u64,
        time: &[u8],
    ) -> Option<Vec<u8>> {
        let before = self.written.replace(written);
        if before.is_none() {
            self.client = written;
        }
        let asks = written == self.client && before != Some(written);
        if self.decided.is_some() && (self.decided == Some(now) || !asks) {
            return None;
        }
        let (keep, window) = now;
        let mut record = self.record.clone();
        record[offset_of!(abi::Header, time)..][..8].copy_from_slice(time);
        let at = offset_of!(abi::File, lot);
        let first = u16::from_ne_bytes([record[at], record[at + 1]]);
        // Lot 0 is what cannot be left out.
        let lot = match first {
            0 => 0,
            first => abi::lot::drawn(first.into(), window),
        };
        let was_left_out = std::mem::replace(&mut self.left_out, u32::from(lot) >= keep);
        self.decided = Some(now);
        if was_left_out && self.left_out {
            return None;
        }
        if was_left_out {
            *next += 1;
            self.file = *next;
        }
        record[at..][..2].copy_from_slice(&lot.to_ne_bytes());
        record[offset_of!(abi::File, file)..][..8].copy_from_slice(&self.file.to_ne_bytes());
        let share = u16::try_from((1 << 16) - keep).unwrap();
        record[offset_of!(abi::File, left_out)..][..2].copy_from_slice(&share.to_ne_bytes());
        if self.left_out {
            let read = if written { 0 } else { abi::file_flag::READ };
            record[offset_of!(abi::Header, flags)] = abi::file_flag::LEFT_OUT | read;
        }
        Some(record)
    }
}

/// The description that a record is about.
pub(super) fn file_of(raw: &[u8]) -> Option<u64> {
    use abi::kind::{CLOSE, DATA, FILE, SHORT, TAKE};
    // All of these have it behind the header.
    matches!(raw[0], FILE | DATA | SHORT | CLOSE | TAKE)
        .then(|| long(raw, size_of::<abi::Header>()))
}

fn is_log(raw: &[u8]) -> bool {
    raw[0] == abi::kind::DATA && raw[offset_of!(abi::Data, class)] == abi::class::LOG
}

fn thread_of(raw: &[u8]) -> u32 {
    let at = offset_of!(abi::Header, tid);
    u32::from_ne_bytes(raw[at..][..4].try_into().unwrap())
}

pub(super) fn long(raw: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(raw[at..][..8].try_into().unwrap())
}

fn moved(raw: &[u8]) -> u32 {
    let at = offset_of!(abi::Data, len);
    u32::from_ne_bytes(raw[at..][..4].try_into().unwrap())
}

/// Positions of what is taken up again count from there.
fn shift(raw: &mut [u8], at: usize, by: u64) {
    let position = long(raw, at) - by;
    raw[at..][..8].copy_from_slice(&position.to_ne_bytes());
}
