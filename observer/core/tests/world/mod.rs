//! A small world whose threads make the records that the probes would make.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part; a test may panic"
)]

mod both;
mod files;
mod lossy;
mod owners;
pub mod paused;
mod processes;
pub mod sampled;
mod threads;
mod told;

use observer_abi as abi;
use observer_core::engine::Input;
use observer_core::facts::{FileFacts, ProcessFacts};
use observer_core::ids::KernelNanos;
use observer_core::judged::{Exchange, Role};

#[allow(unused_imports, reason = "each test binary uses a part")]
pub use told::{Told, tell, tell_explaining, tell_inferring};

pub const STEP: u64 = 10_000;

/// Records in the order in which they happened, and the state that the kernel would keep.
pub struct World {
    pub inputs: Vec<Fed>,
    now: u64,
    seq: u32,
    next_file: u64,
    positions: std::collections::BTreeMap<(u64, bool), u64>,
    waited: std::collections::BTreeMap<u32, u8>,
    running: std::collections::BTreeMap<u32, (u8, u64)>,
}

/// One input, owned.
#[derive(Clone)]
pub enum Fed {
    Record(Vec<u8>),
    Process(ProcessFacts),
    File(FileFacts),
    Tick(u64),
    /// The share of connections that is observed from now on.
    Sampling(u32),
    /// System calls are not observed from then on.
    Pause(u64),
    /// They are again, and stand for so many times the time.
    Resume(u64, u32),
    /// What system calls came to where only a share of connections is observed: place, counted, expected.
    Reckoned(u16, u64, u64),
}

impl Fed {
    /// What the pipeline is given, when `lost` records were lost.
    pub fn input(&self, lost: u64) -> Input<'_> {
        match self {
            Self::Record(raw) => Input::Record(raw),
            Self::Process(facts) => Input::Process(facts.clone()),
            Self::File(facts) => Input::File(facts.clone()),
            Self::Sampling(keep) => Input::Sampling { keep: *keep },
            Self::Pause(since) => Input::Pause {
                since: KernelNanos(*since),
            },
            Self::Resume(until, every) => Input::Resume {
                until: KernelNanos(*until),
                every: *every,
            },
            Self::Reckoned(place, counted, expected) => Input::Reckoned {
                place: *place,
                counted: *counted,
                expected: *expected,
            },
            Self::Tick(now) => Input::Tick {
                now: KernelNanos(*now),
                lost,
            },
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy)]
pub struct Socket {
    pub file: u64,
    pub tgid: u32,
    pub nonblocking: bool,
    class: u8,
}

impl Socket {
    /// The same, which another process has, too.
    pub fn of(self, tgid: u32) -> Self {
        Self { tgid, ..self }
    }
}

fn bytes_of<T>(value: &T) -> &[u8] {
    // SAFETY: the structures of the ABI are `repr(C)` without padding (its size asserts prove it),
    // so every byte is initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

impl World {
    pub fn new() -> Self {
        Self::with_files(100)
    }

    /// A world in which watching begins now.
    pub fn just_attached() -> Self {
        Self {
            now: 1_000_000_000,
            ..Self::new()
        }
    }

    /// A world that numbers its descriptions from here, so that it can be mixed with another.
    pub fn with_files(next_file: u64) -> Self {
        Self {
            inputs: Vec::new(),
            // What was in flight before the watch is over.
            now: 7_000_000_000,
            seq: 0,
            next_file,
            positions: std::collections::BTreeMap::new(),
            waited: std::collections::BTreeMap::new(),
            running: std::collections::BTreeMap::new(),
        }
    }

    fn header(&mut self, kind: u8, flags: u8, tgid: u32, tid: u32, len: usize) -> abi::Header {
        self.now += STEP;
        let header = abi::Header {
            kind,
            flags,
            waited: self.waited.remove(&tid).unwrap_or(0),
            abi: abi::ABI_VERSION,
            len: u32::try_from(len).unwrap(),
            time: self.now,
            tgid,
            tid,
            cpu: 0,
            seq: self.seq,
        };
        self.seq = self.seq.wrapping_add(1);
        header
    }

    fn push<T>(&mut self, record: &T) {
        self.inputs.push(Fed::Record(bytes_of(record).to_vec()));
    }

    /// The next record has the time of the last one.
    fn rewind(&mut self) {
        self.now -= STEP;
    }

    /// Time passes.
    pub fn sleep(&mut self, nanos: u64) {
        self.now += nanos;
    }

    pub fn tick(&mut self) {
        self.now += STEP;
        self.inputs.push(Fed::Tick(self.now));
    }

    fn data(&mut self, tid: u32, socket: Socket, flags: u8, bytes: &[u8]) {
        let len = size_of::<abi::Data>() + bytes.len();
        let write = flags & abi::data_flag::WRITE != 0;
        let nonblock = if socket.nonblocking {
            abi::data_flag::NONBLOCK
        } else {
            0
        };
        let header = self.header(abi::kind::DATA, flags | nonblock, socket.tgid, tid, len);
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        // The world's trace-ids fit the lower half.
        let (execution, origin) = match runtime {
            abi::runtime::PUBLISHED | abi::runtime::PINNED => (0, execution),
            _ => (execution, 0),
        };
        let pos = self.positions.entry((socket.file, write)).or_default();
        let moved = u32::try_from(bytes.len()).unwrap();
        let record = abi::Data {
            header,
            file: socket.file,
            pos: *pos,
            len: moved,
            captured: moved,
            fd: if socket.class == abi::class::LOG {
                1
            } else {
                7
            },
            errno: 0,
            class: socket.class,
            runtime,
            execution,
            origin,
        };
        *pos += u64::from(moved);
        let mut raw = bytes_of(&record).to_vec();
        raw.extend_from_slice(bytes);
        self.inputs.push(Fed::Record(raw));
    }

    pub fn read(&mut self, tid: u32, socket: Socket, bytes: impl AsRef<[u8]>) {
        self.data(tid, socket, 0, bytes.as_ref());
    }

    pub fn eof(&mut self, tid: u32, socket: Socket) {
        self.data(tid, socket, abi::data_flag::EOF, b"");
    }

    pub fn write(&mut self, tid: u32, socket: Socket, bytes: impl AsRef<[u8]>) {
        self.data(tid, socket, abi::data_flag::WRITE, bytes.as_ref());
    }

    /// The last write moved only all but `missing` bytes.
    pub fn shorten(&mut self, tid: u32, socket: Socket, missing: u32) {
        let len = size_of::<abi::Short>();
        let header = self.header(abi::kind::SHORT, 0, socket.tgid, tid, len);
        let pos = self.positions.entry((socket.file, true)).or_default();
        *pos -= u64::from(missing);
        let record = abi::Short {
            header,
            file: socket.file,
            pos: *pos,
            offered: missing,
            ret: 0,
        };
        self.push(&record);
    }

    /// A write to a pipe that was empty.
    pub fn write_first(&mut self, tid: u32, pipe: Socket, bytes: impl AsRef<[u8]>) {
        self.data(
            tid,
            pipe,
            abi::data_flag::WRITE | abi::data_flag::PIPE_EMPTY,
            bytes.as_ref(),
        );
    }

    /// The description is closed for good.
    pub fn close(&mut self, tid: u32, socket: Socket) {
        self.closes(tid, socket, 1);
    }

    /// A descriptor of several is closed.
    pub fn close_one(&mut self, tid: u32, socket: Socket) {
        self.closes(tid, socket, 0);
    }

    fn closes(&mut self, tid: u32, socket: Socket, last: u32) {
        let len = size_of::<abi::Close>();
        let record = abi::Close {
            header: self.header(abi::kind::CLOSE, 0, socket.tgid, tid, len),
            file: socket.file,
            fd: 7,
            last,
        };
        self.push(&record);
    }

    /// The time of the last record.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Everything that the pipeline tells about this world.
    pub fn told(&self) -> Told {
        tell(&self.inputs, 0)
    }
}

/// The same records, numbered by their new order as one CPU would number them.
pub fn resequence(inputs: &[Fed]) -> Vec<Fed> {
    let at = std::mem::offset_of!(abi::Header, seq);
    let mut seq = 0_u32;
    let renumber = |input: &Fed| match input {
        Fed::Record(raw) => {
            let mut raw = raw.clone();
            raw[at..at + 4].copy_from_slice(&seq.to_ne_bytes());
            seq += 1;
            Fed::Record(raw)
        }
        other => other.clone(),
    };
    inputs.iter().map(renumber).collect()
}

/// A request's bytes; `headers` end with line breaks.
pub fn request(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: shop\r\n{headers}\r\n")
}

pub fn response() -> &'static str {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
}

/// A `traceparent` header of trace `t` and parent `p`.
pub fn traceparent(t: u64, p: u64) -> String {
    format!("traceparent: 00-{t:032x}-{p:016x}-01\r\n")
}
