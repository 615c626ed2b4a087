//! What the probes said of a run of the program, and whether it is true.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use observer::{
    facts::Proc,
    kernel::{Capture, CaptureConfig, CaptureError},
    runtimes::plan,
};
use observer_core::{
    facts::Runtime,
    ids::{FileId, Tgid},
    record::{Direction, Event, Execution, ExecutionKind, Record, TakeHow, decode},
};

const REQUIRE: &str = "OBSERVER_REQUIRE_BPF";
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Seen {
    records: Vec<Vec<u8>>,
    /// Sensors that could not be had.
    pub missing: Vec<String>,
}

impl Seen {
    /// Runs `program` under a capture; none, said aloud, where that is not possible.
    pub fn of(program: &Path) -> Option<Self> {
        let mut capture = start()?;
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let tgid = Tgid(child.id());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let reader = std::thread::spawn(move || output.read_to_end(&mut Vec::new()).unwrap());

        let process = Proc::default().process(tgid.0);
        let plan = plan(&process, Runtime::Go).unwrap().unwrap();
        capture.watch(tgid).unwrap();
        capture.set_layout(tgid, &plan.layout).unwrap();
        let attach = |probe| capture.attach_user(tgid, probe).unwrap();
        let links: Vec<_> = plan.probes.iter().map(attach).collect();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();

        let mut records = Vec::new();
        let began = Instant::now();
        loop {
            let ended = child.try_wait().unwrap();
            capture.wait(Duration::from_millis(100)).unwrap();
            capture.drain(|record| records.push(record.to_vec()));
            if let Some(status) = ended {
                assert!(status.success(), "the program failed: {status}");
                break;
            }
            assert!(began.elapsed() < DEADLINE, "the program hangs");
        }
        drop(links);
        reader.join().unwrap();
        assert_eq!(capture.counters().probes.lost, 0);
        eprintln!("{}: {:?}", program.display(), capture.counters().programs);
        Some(Self {
            records,
            missing: plan.missing,
        })
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|bytes| decode(bytes).unwrap())
    }

    /// Text written, and by which goroutine.
    fn written(&self) -> impl Iterator<Item = (FileId, &str, Option<Execution>)> {
        self.records().filter_map(|record| match record.event {
            Event::Data(data) if data.direction == Direction::Write => {
                let text = std::str::from_utf8(data.payload).ok()?;
                Some((data.file, text, data.execution))
            }
            _ => None,
        })
    }

    /// What the program says of a line or a response is what the probes say.
    pub fn writes_are_of_their_goroutine(&self) {
        let (mut lines, mut responses) = (0, 0);
        for (_, text, execution) in self.written() {
            if let Some(writer) = number(text, "writer=") {
                let execution = execution.expect(text);
                assert_eq!(execution.kind, ExecutionKind::Goroutine);
                assert_eq!(execution.id, writer, "{text}");
                let parent = number(text, "parent=").filter(|parent| *parent != 0);
                if let Some(parent) = parent
                    && self.tells_origins()
                {
                    assert_eq!(execution.origin, parent, "{text}");
                }
                lines += 1;
            }
            if let Some(writer) = number(text, "X-Writer: ") {
                assert_eq!(execution.expect(text).id, writer, "{text}");
                responses += 1;
            }
        }
        // 8 clients ask 6 times; 3 more goroutines ask for each; see the program.
        assert_eq!(lines, 8 + 1 + 8 * 6 * 3 * 2);
        assert_eq!(responses, 8 * 6 * (1 + 3));
    }

    /// A goroutine knows who began it only since Go 1.21.
    fn tells_origins(&self) -> bool {
        self.written()
            .any(|(_, _, execution)| execution.is_some_and(|e| e.origin != 0))
    }

    /// Every goroutine that speaks was told to begin, by the one that began it; and so was the one
    /// between them, which makes no system call.
    pub fn branches_are_told(&self) {
        let mut begun = HashMap::new();
        for record in self.records() {
            if let Event::Branch(branch) = record.event {
                assert_eq!(branch.kind, ExecutionKind::Goroutine);
                let again = begun.insert(branch.id, branch.origin);
                assert_eq!(again, None, "numbers are not used again");
            }
        }
        let mut told = 0;
        for (_, text, _) in self.written() {
            let writer = number(text, "writer=");
            if let Some(parent) = number(text, "parent=").filter(|parent| *parent != 0) {
                assert_eq!(begun.get(&writer.unwrap()), Some(&parent), "{text}");
                told += 1;
            }
            if let Some((parent, child)) = pair(text, "branch=") {
                assert_eq!(begun.get(&child), Some(&parent), "{text}");
                told += 1;
            }
        }
        assert_eq!(told, 8 + 8 * 6 * 3 * 2);
    }

    /// Before each request is written, the goroutine that asks has taken the connection.
    pub fn exchanges_are_taken_by_who_asks(&self) {
        let mut taken: HashMap<FileId, Execution> = HashMap::new();
        let mut writers = HashSet::new();
        let mut asked = 0;
        for record in self.records() {
            match record.event {
                Event::Take(take) => {
                    assert_eq!(take.how, TakeHow::Client);
                    taken.insert(take.file, take.execution.unwrap());
                }
                Event::Data(data) if data.direction == Direction::Write => {
                    let text = std::str::from_utf8(data.payload).unwrap_or_default();
                    if let Some(asker) = number(text, "X-Asker: ") {
                        let take = taken.remove(&data.file).expect("a take of its own");
                        assert_eq!(take.id, asker, "{text}");
                        writers.insert(data.execution.unwrap().id == asker);
                        asked += 1;
                    }
                }
                _ => {}
            }
        }
        assert_eq!(asked, 8 * 6 * (1 + 3));
        assert!(
            writers.contains(&false),
            "pooled connections have writers of their own"
        );
    }
}

/// The number that follows `key`.
fn number(text: &str, key: &str) -> Option<u64> {
    let (_, rest) = text.split_once(key)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

fn pair(text: &str, key: &str) -> Option<(u64, u64)> {
    let (_, rest) = text.split_once(key)?;
    let (one, other) = rest.trim_end().split_once('/')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

fn start() -> Option<Capture> {
    match Capture::start(CaptureConfig::default()) {
        Ok(capture) => Some(capture),
        Err(
            error @ (CaptureError::Privileges { .. }
            | CaptureError::NoBtf { .. }
            | CaptureError::Lockdown
            | CaptureError::PidNamespace
            | CaptureError::KernelTooOld { .. }),
        ) if std::env::var_os(REQUIRE).is_none() => {
            eprintln!("skipped goroutines: {error}");
            None
        }
        Err(error) => panic!("{error}: {error:?}"),
    }
}
