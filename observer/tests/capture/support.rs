//! Running a workload under a capture.
//!
//! A test runs twice: once as the test, and once, in a process of its own, as the workload that the
//! test watches. Environment variables tell the two apart.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::fd::RawFd,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use observer::kernel::{Capture, CaptureConfig, Counters, Spawned};
use observer_core::{
    ids::{FileId, Tgid},
    record::{Class, Data, Direction, End, Event, File, Record, decode},
};

use observer_abi::control::Reckoned;

use crate::common::start;

const ROLE: &str = "OBSERVER_TEST_WORKLOAD";
/// What no workload takes, not even where all else goes first.
const DEADLINE: Duration = Duration::from_secs(300);

/// What the probes said of a workload, and what they counted.
pub struct Seen {
    pub records: Vec<Vec<u8>>,
    pub counters: Counters,
    /// What system calls came to where only a share of connections was observed, by place.
    pub reckoned: BTreeMap<u16, Reckoned>,
    pub tgid: Tgid,
}

/// Runs `workload` in a process that is watched from its first instruction to its end.
pub fn observe(workload: fn()) -> Option<Seen> {
    observe_with(CaptureConfig::default(), workload, |_| {})
}

/// As [`observe`], with a configuration, and with a look at the capture before the workload begins, and at each batch of
/// records.
pub fn observe_with(
    config: CaptureConfig,
    workload: fn(),
    mut look: impl FnMut(&Capture),
) -> Option<Seen> {
    watched(config, workload, Stdio::null(), |capture, _, _| {
        look(capture);
    })
}

/// A workload in turns, which it takes with [`next_turn`]; `look` as above. The next turn is given once the one before was seen
/// to begin: what two of them have to tell is the most that is ever in the ring, however slow its reader.
pub fn in_turns(turns: usize, workload: fn(), mut look: impl FnMut(&Capture)) -> Option<Seen> {
    let (mut given, mut begun) = (0, 0);
    let mut input = None;
    let config = CaptureConfig::default();
    watched(config, workload, Stdio::piped(), |capture, child, batch| {
        look(capture);
        let Some(child) = child else { return };
        let records = batch.iter().map(|record| decode(record).expect("whole"));
        let begin = |event| matches!(event, Event::Data(data) if data.class == Class::Pipe && data.payload == TURN);
        begun += records.filter(|record| begin(record.event)).count();
        if given == begun && given < turns {
            let input = input.get_or_insert_with(|| child.take_stdin().expect("piped"));
            input.write_all(TURN).expect("the workload reads");
            given += 1;
        } else if begun == turns {
            drop(input.take());
        }
    })
}

/// What a turn begins with.
const TURN: &[u8] = b"t";

/// In the workload: waits for the next turn; whether there is one.
pub fn next_turn() -> bool {
    let mut turn = [0];
    std::io::stdin().read(&mut turn).expect("a pipe") == TURN.len()
}

/// Runs `workload` with this standard input. `look` is called before it begins, without it, and with each batch of records.
fn watched(
    config: CaptureConfig,
    workload: fn(),
    input: Stdio,
    mut look: impl FnMut(&Capture, Option<&mut Spawned>, &[Vec<u8>]),
) -> Option<Seen> {
    be_workload(workload);
    let mut capture = start(config)?;
    look(&capture, None, &[]);
    let mut command = command();
    command.stdin(input);
    let mut child = Spawned::start(command, &capture).expect("the test can be executed");
    let tgid = child.tgid();
    let mut records = Vec::new();
    let began = Instant::now();
    loop {
        let ended = child.try_wait().expect("a child");
        capture.wait(Duration::from_millis(100)).expect("a ring");
        let before = records.len();
        capture.drain(|record| records.push(record.to_vec()));
        look(&capture, Some(&mut child), &records[before..]);
        if let Some(status) = ended {
            assert!(status.success(), "the workload failed: {status}");
            break;
        }
        assert!(began.elapsed() < DEADLINE, "the workload hangs");
    }
    Some(Seen {
        records,
        counters: capture.counters(),
        reckoned: reckoned(&mut capture),
        tgid,
    })
}

fn reckoned(capture: &mut Capture) -> BTreeMap<u16, Reckoned> {
    let mut reckoned = BTreeMap::new();
    capture.reckoned(|place, calls| {
        reckoned.insert(place, calls);
    });
    reckoned
}

/// A workload in two steps: on the first data of `class` the probes are told what `tell` tells them of that process and
/// description. The workload waits for it with [`wait_for_feedback`].
pub fn in_steps(
    workload: fn(),
    class: Class,
    tell: impl Fn(&Capture, Tgid, FileId),
) -> Option<Seen> {
    be_workload(workload);
    let mut capture = start(CaptureConfig::default())?;
    let mut command = command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Spawned::start(command, &capture).expect("the test can be executed");
    let tgid = child.tgid();
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut told = false;
    let status = loop {
        let status = child.try_wait().expect("a child");
        capture.wait(Duration::from_millis(50)).expect("a ring");
        capture.drain(|record| records.push(record.to_vec()));
        let mut decoded = records.iter().map(|record| decode(record).expect("whole"));
        let first = decoded.find_map(|record| match record.event {
            Event::Data(data) if data.class == class => Some((record.tgid, data.file)),
            _ => None,
        });
        if let Some((tgid, file)) = first.filter(|_| !told) {
            tell(&capture, tgid, file);
            drop(child.take_stdin());
            told = true;
        }
        if let Some(status) = status {
            break status;
        }
    };
    assert!(status.success(), "{status}");
    Some(Seen {
        records,
        counters: capture.counters(),
        reckoned: reckoned(&mut capture),
        tgid,
    })
}

/// In the workload: waits until the feedback is given, which closes standard input.
pub fn wait_for_feedback() {
    readable(0);
}

/// Waits until there is something to be read, or the end.
pub fn readable(fd: RawFd) {
    assert!(readable_within(fd, DEADLINE));
}

/// In the workload: whether standard input is closed within `limit`.
pub fn ends(limit: Duration) -> bool {
    readable_within(0, limit)
}

fn readable_within(fd: RawFd, limit: Duration) -> bool {
    let mut fds = [libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }];
    let limit = i32::try_from(limit.as_millis()).expect("some minutes at most");
    // SAFETY: one element. Polled, not read: that would be a record.
    check(unsafe { libc::poll(fds.as_mut_ptr(), 1, limit) }) == 1
}

/// Becomes the workload, if this process was started to be one.
pub fn be_workload(workload: fn()) {
    if std::env::var_os(ROLE).is_some() {
        workload();
        std::process::exit(0);
    }
}

/// This test as a workload.
pub fn command() -> Command {
    let thread = std::thread::current();
    let name = thread.name().expect("a test").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("known"));
    command
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

impl Seen {
    /// All records, decoded; none may be malformed.
    pub fn decoded(&self) -> impl Iterator<Item = Record<'_>> {
        self.records
            .iter()
            .map(|bytes| decode(bytes).expect("the probes' own records"))
    }

    /// Descriptions that were announced, in that order, by identity.
    pub fn files(&self, class: Class) -> Vec<File<'_>> {
        let mut files: Vec<File<'_>> = Vec::new();
        for record in self.decoded() {
            if let Event::File(file) = record.event
                && file.class == class
                && files.iter().all(|known| known.file != file.file)
            {
                files.push(file);
            }
        }
        files
    }

    /// Data records of `class` and `direction`, in order.
    pub fn data(&self, class: Class, direction: Direction) -> Vec<Data<'_>> {
        self.decoded()
            .filter_map(|record| match record.event {
                Event::Data(data) if data.class == class && data.direction == direction => {
                    Some(data)
                }
                _ => None,
            })
            .collect()
    }

    /// The bytes of each description of `class` in one direction; what was not captured is `?`, and
    /// what was never reported is `!`.
    pub fn streams(&self, class: Class, direction: Direction) -> BTreeMap<FileId, Vec<u8>> {
        let mut streams: BTreeMap<FileId, Vec<u8>> = BTreeMap::new();
        for data in self.data(class, direction) {
            let stream = streams.entry(data.file).or_default();
            let start = usize::try_from(data.pos).expect("short");
            let end = start + data.len as usize;
            if stream.len() < end {
                stream.resize(end, b'!');
            }
            stream[start..end].fill(b'?');
            stream[start..start + data.payload.len()].copy_from_slice(data.payload);
        }
        streams
    }

    /// The bytes of all descriptions of `class` in one direction, in the order of their first data.
    pub fn bytes(&self, class: Class, direction: Direction) -> Vec<Vec<u8>> {
        let mut order: Vec<FileId> = Vec::new();
        for data in self.data(class, direction) {
            if !order.contains(&data.file) {
                order.push(data.file);
            }
        }
        let mut streams = self.streams(class, direction);
        order
            .iter()
            .filter_map(|file| streams.remove(file))
            .collect()
    }

    /// How reading of descriptions of `class` ended, where it did.
    pub fn ends(&self, class: Class) -> Vec<End> {
        let data = self.data(class, Direction::Read);
        data.iter().filter_map(|data| data.end).collect()
    }
}

/// Fails the test with the message of `errno` unless a system call succeeded; returns its result.
pub fn check(result: impl TryInto<i64>) -> usize {
    let result = result.try_into().unwrap_or(-1);
    assert!(result >= 0, "{}", std::io::Error::last_os_error());
    usize::try_from(result).expect("not negative")
}
