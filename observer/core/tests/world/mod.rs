//! A small world whose threads make the records that the probes would make.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part; a test may panic"
)]

pub mod sampled;

use observer_abi as abi;
use observer_core::engine::{Config, Engine, Input};
use observer_core::facts::{FileFacts, ProcessFacts, Runtime};
use observer_core::ids::{FileId, KernelNanos, Tgid};
use observer_core::judged::{ClockAnchor, Exchange, Judged, Log, Role, SubjectId};

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
}

/// One end of a connection.
#[derive(Clone, Copy)]
pub struct Socket {
    pub file: u64,
    pub tgid: u32,
    pub nonblocking: bool,
    class: u8,
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

    /// A world that numbers its descriptions from here, so that it can be mixed with another.
    pub fn with_files(next_file: u64) -> Self {
        Self {
            inputs: Vec::new(),
            now: 1_000_000_000,
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

    pub fn process(&mut self, tgid: u32, service: &str) {
        self.inputs.push(Fed::Process(ProcessFacts {
            tgid: Tgid(tgid),
            service: service.to_owned(),
            runtime: None,
            resource: std::collections::BTreeMap::new(),
            executions: None,
            ring: false,
        }));
    }

    /// A process is found to have a ring and sockets.
    pub fn has_ring(&mut self, tgid: u32) {
        self.inputs.push(Fed::Process(ProcessFacts {
            tgid: Tgid(tgid),
            service: "shop".to_owned(),
            resource: std::collections::BTreeMap::new(),
            runtime: None,
            executions: None,
            ring: true,
        }));
    }

    /// What a process runs on.
    pub fn runs_on(&mut self, tgid: u32, runtime: Runtime) {
        self.inputs.push(Fed::Process(ProcessFacts {
            tgid: Tgid(tgid),
            service: "shop".to_owned(),
            resource: std::collections::BTreeMap::new(),
            runtime: Some(runtime),
            executions: None,
            ring: false,
        }));
    }

    /// A pipe is a standard stream of the process that writes to it.
    pub fn stream(&mut self, pipe: Socket, stream: u8) {
        self.inputs.push(Fed::File(FileFacts {
            file: FileId(pipe.file),
            path: format!("pipe:[{}]", pipe.file),
            stream: Some(stream),
        }));
    }

    /// Time passes.
    pub fn sleep(&mut self, nanos: u64) {
        self.now += nanos;
    }

    pub fn tick(&mut self) {
        self.now += STEP;
        self.inputs.push(Fed::Tick(self.now));
    }

    /// A thread waits for something (`abi::waited`), to be told with its next record.
    pub fn wait(&mut self, tid: u32, waited: u8) {
        *self.waited.entry(tid).or_default() |= waited;
    }

    /// What runs on a thread from now on: kind (`abi::runtime`) and identity.
    pub fn run(&mut self, tid: u32, runtime: u8, execution: u64) {
        self.running.insert(tid, (runtime, execution));
    }

    /// An execution has another one run again.
    pub fn nudge(&mut self, tgid: u32, tid: u32, runtime: u8, waker: u64, woken: u64) {
        let len = size_of::<abi::Nudge>();
        let header = self.header(abi::kind::NUDGE, 0, tgid, tid, len);
        let record = abi::Nudge {
            header,
            woken,
            waker,
            runtime,
            again: 0,
            reserved: [0; 6],
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    /// A thread, and what runs on it, gives an executor work, or takes work from it (`abi::item`).
    pub fn item(&mut self, tgid: u32, tid: u32, how: u8, item: u64) {
        let header = self.header(abi::kind::ITEM, 0, tgid, tid, size_of::<abi::Item>());
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Item {
            header,
            item,
            execution,
            origin: 0,
            runtime,
            how,
            reserved: [0; 6],
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    /// An execution begins another one.
    pub fn branch(&mut self, tgid: u32, tid: u32, runtime: u8, parent: u64, child: u64) {
        let len = size_of::<abi::Branch>();
        let header = self.header(abi::kind::BRANCH, 0, tgid, tid, len);
        let record = abi::Branch {
            header,
            child,
            parent,
            runtime,
            reserved: [0; 7],
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    /// What runs on a thread takes a connection for its next exchange.
    pub fn take(&mut self, tid: u32, socket: Socket) {
        let len = size_of::<abi::Take>();
        let header = self.header(abi::kind::TAKE, 0, socket.tgid, tid, len);
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Take {
            header,
            file: socket.file,
            execution,
            origin: 0,
            fd: 7,
            runtime,
            how: abi::take::CLIENT,
            reserved: 0,
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    fn describe(
        &mut self,
        tgid: u32,
        class: u8,
        fd: i32,
        fill: impl FnOnce(&mut abi::File),
    ) -> u64 {
        self.next_file += 1;
        let file = self.next_file;
        let header = self.header(abi::kind::FILE, 0, tgid, tgid, size_of::<abi::File>());
        let mut record = abi::File {
            header,
            file,
            ino: file,
            peer_ino: 0,
            fd,
            open_flags: 0,
            local_addr: [0; 16],
            remote_addr: [0; 16],
            local_port: 0,
            remote_port: 0,
            class,
            reserved: 0,
            path_len: 0,
            path: [0; abi::UNIX_PATH],
            lot: 0,
            left_out: 0,
        };
        fill(&mut record);
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
        file
    }

    /// One end of a TCP connection between two ports of the loopback address.
    pub fn tcp(&mut self, tgid: u32, local: u16, remote: u16, nonblocking: bool) -> Socket {
        let class = abi::class::TCP4;
        let file = self.describe(tgid, class, 7, |f| {
            f.local_addr[..4].copy_from_slice(&[127, 0, 0, 1]);
            f.remote_addr[..4].copy_from_slice(&[127, 0, 0, 1]);
            (f.local_port, f.remote_port) = (local, remote);
            let end = |port| abi::lot::end(0, abi::lot::mapped(0x0100_007f), port);
            f.lot = abi::lot::between(end(local), end(remote));
        });
        Socket {
            file,
            tgid,
            nonblocking,
            class,
        }
    }

    /// Both ends of a Unix connection: the client's, described before the server has accepted it, and the
    /// server's.
    pub fn unix(&mut self, path: &str, client: u32, server: u32) -> (Socket, Socket) {
        let class = abi::class::UNIX;
        let named = |f: &mut abi::File| {
            // As the kernel keeps it, with a zero behind it.
            f.path[..path.len()].copy_from_slice(path.as_bytes());
            f.path_len = u8::try_from(path.len() + 1).unwrap().into();
        };
        let lot = abi::lot::between(abi::lot::inner_end(self.next_file), 0);
        let asking = self.describe(client, class, 7, |f| {
            named(f);
            f.lot = lot;
        });
        let serving = self.describe(server, class, 7, |f| {
            named(f);
            (f.peer_ino, f.lot) = (asking, lot);
        });
        let end = |file, tgid| Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        };
        (end(asking, client), end(serving, server))
    }

    /// Standard output of a process.
    pub fn stdout(&mut self, tgid: u32) -> Socket {
        let class = abi::class::LOG;
        let file = self.describe(tgid, class, 1, |_| {});
        Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        }
    }

    /// Both ends of a pipe: to read from, and to write to.
    pub fn pipe(&mut self, tgid: u32) -> (Socket, Socket) {
        let class = abi::class::PIPE;
        let reader = self.describe(tgid, class, 9, |_| {});
        let writer = self.describe(tgid, class, 10, |f| f.ino = reader);
        let end = |file| Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        };
        (end(reader), end(writer))
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
            abi::runtime::PUBLISHED => (0, execution),
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
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
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

    pub fn close(&mut self, tid: u32, socket: Socket) {
        let header = self.header(
            abi::kind::CLOSE,
            0,
            socket.tgid,
            tid,
            size_of::<abi::Close>(),
        );
        let record = abi::Close {
            header,
            file: socket.file,
            fd: 7,
            last: 1,
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    /// A thread, or what runs on it, takes a connection (`abi::take`).
    pub fn touch(&mut self, tid: u32, socket: Socket, how: u8) {
        let flags = if socket.nonblocking {
            abi::data_flag::NONBLOCK
        } else {
            0
        };
        let len = size_of::<abi::Take>();
        let header = self.header(abi::kind::TAKE, flags, socket.tgid, tid, len);
        let (runtime, execution) = self.running.get(&tid).copied().unwrap_or_default();
        let record = abi::Take {
            header,
            file: socket.file,
            execution,
            fd: 7,
            runtime,
            how,
            ..abi::Take::default()
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    fn task(&mut self, kind: u8, tgid: u32, tid: u32, subject: u32) {
        let header = self.header(kind, 0, tgid, tid, size_of::<abi::Task>());
        let record = abi::Task {
            header,
            tgid,
            tid: subject,
            comm: [0; 16],
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
    }

    /// A thread starts another.
    pub fn spawn(&mut self, tgid: u32, parent: u32, child: u32) {
        self.task(abi::kind::SPAWN, tgid, parent, child);
    }

    /// A thread ends.
    pub fn exit(&mut self, tgid: u32, tid: u32) {
        self.task(abi::kind::EXIT, tgid, tid, tid);
    }

    /// A thread that has waited at `word` since `since` is woken by another one, now.
    pub fn woke(&mut self, tgid: u32, tid: u32, waker: u32, word: u64, since: u64) {
        let woken = self.now + STEP;
        self.now = woken;
        let header = self.header(abi::kind::WOKE, 0, tgid, tid, size_of::<abi::Woke>());
        let record = abi::Woke {
            header,
            word,
            since,
            woken,
            waker,
            reserved: 0,
        };
        self.inputs.push(Fed::Record(bytes_of(&record).to_vec()));
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

/// What the pipeline tells about these inputs, when `lost` records were lost.
pub fn tell(inputs: &[Fed], lost: u64) -> Told {
    tell_explaining(inputs, lost, None)
}

/// The same, with the explanation of one attribution.
pub fn tell_explaining(inputs: &[Fed], lost: u64, explain: Option<SubjectId>) -> Told {
    let anchor = ClockAnchor {
        monotonic: KernelNanos(1_000_000_000),
        wall: 1_700_000_000_000_000_000,
    };
    let mut engine = Engine::new(Config {
        anchor,
        explain,
        show_query: true,
    });
    let mut out = Vec::new();
    for input in inputs {
        let input = match input {
            Fed::Record(raw) => Input::Record(raw),
            Fed::Process(facts) => Input::Process(facts.clone()),
            Fed::File(facts) => Input::File(facts.clone()),
            Fed::Sampling(keep) => Input::Sampling { keep: *keep },
            Fed::Tick(now) => Input::Tick {
                now: KernelNanos(*now),
                lost,
            },
        };
        engine.input(input, &mut out);
    }
    engine.finish(&mut out);
    Told(out)
}

/// What was told.
pub struct Told(pub Vec<Judged>);

impl Told {
    pub fn json(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|j| serde_json::to_string(j).unwrap())
            .collect()
    }

    pub fn exchanges<'a>(&'a self, role: Role) -> Vec<&'a Exchange> {
        let exchange = |j: &'a Judged| match j {
            Judged::Exchange(x) if x.role == role => Some(x.as_ref()),
            _ => None,
        };
        self.0.iter().filter_map(exchange).collect()
    }

    pub fn call(&self, target: &str) -> &Exchange {
        let found = self
            .exchanges(Role::Client)
            .into_iter()
            .find(|x| x.target == target);
        found.unwrap_or_else(|| panic!("no call of {target} in {:#?}", self.json()))
    }

    pub fn served(&self, target: &str) -> &Exchange {
        let found = self
            .exchanges(Role::Server)
            .into_iter()
            .find(|x| x.target == target);
        found.unwrap_or_else(|| panic!("no request {target} in {:#?}", self.json()))
    }

    pub fn lines<'a>(&'a self) -> Vec<&'a Log> {
        let log = |j: &'a Judged| match j {
            Judged::Log(l) => Some(l.as_ref()),
            _ => None,
        };
        self.0.iter().filter_map(log).collect()
    }

    pub fn line(&self, text: &str) -> &Log {
        let found = self.lines().into_iter().find(|l| l.line.contains(text));
        found.unwrap_or_else(|| panic!("no line {text} in {:#?}", self.json()))
    }
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
