//! A server under load, watched: whose contexts did what.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use observer::{
    facts::{self, Proc},
    kernel::CaptureConfig,
    runtimes::Follower,
};
use observer_core::{
    facts::Executions,
    ids::{Tgid, Tid},
    record::{Class, Direction, Event, ItemHow, decode},
};

use crate::common::start;

/// Connections that requests come on at once.
const CONNECTIONS: usize = 16;
/// Requests on each, one after the other.
const REQUESTS: usize = 12;

/// How long a client waits for an answer before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen, by number of request. An execution of 0 is none.
#[derive(Debug, Default)]
pub struct Seen {
    /// The executions that wrote the request's three calls and three lines.
    pub work: BTreeMap<usize, Vec<u64>>,
    /// The execution that wrote its response.
    pub answered: BTreeMap<usize, u64>,
    /// The executions that gave that work to an executor; 0 for work that was not given to one.
    pub given: BTreeMap<usize, Vec<u64>>,
    /// What was said of the process.
    pub executions: Option<Executions>,
    /// For each piece of work, the executions from its own to the first.
    lineage: HashMap<u64, u64>,
    /// By item of an executor, the execution that gave it; by thread, that of the item that it took last.
    items: HashMap<u64, u64>,
    taken: HashMap<Tid, u64>,
    /// How many executions began.
    pub branches: usize,
}

impl Seen {
    /// `execution`, and those that it descends from, the nearest first.
    pub fn line(&self, execution: u64) -> Vec<u64> {
        let parent = |of: &u64| self.lineage.get(of).copied().filter(|parent| *parent != 0);
        std::iter::successors(Some(execution), parent)
            .take(64)
            .collect()
    }
}

/// Runs a server, which says "ready PORT", sends it requests for `mode`, and looks at what it does.
pub fn observe(mut server: Command, mode: &'static str) -> Option<Seen> {
    let mut capture = start(CaptureConfig::default())?;
    let downstream = downstream();
    server
        .env("DOWNSTREAM", downstream.to_string())
        .stdout(Stdio::piped());
    let mut server = Server(server.spawn().unwrap());
    let mut output = BufReader::new(server.0.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("ready ").unwrap().parse().unwrap();
    std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    let (proc, mut follower) = (Proc::default(), Follower::default());
    let tgid = Tgid(server.0.id());
    capture.watch(tgid).unwrap();
    let executions = follower.follow(&mut capture, &proc, &facts::process(&proc, tgid));
    let mut seen = Seen {
        executions,
        ..Seen::default()
    };
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|connection| std::thread::spawn(move || client(port, mode, connection)))
        .collect();
    while !clients.iter().all(|client| client.is_finished()) {
        capture.wait(Duration::from_millis(5)).unwrap();
        capture.drain(|record| seen.look(tgid, record));
    }
    for client in clients {
        client.join().unwrap();
    }
    capture.drain(|record| seen.look(tgid, record));
    assert_eq!(capture.lost(), 0);
    Some(seen)
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Seen {
    fn look(&mut self, tgid: Tgid, record: &[u8]) {
        let record = decode(record).unwrap();
        if record.tgid != tgid {
            return;
        }
        match record.event {
            Event::Branch(child) => {
                self.branches += 1;
                self.lineage.insert(child.id, child.origin);
            }
            Event::Item(item) if item.how == ItemHow::Given => {
                let by = item.execution.map_or(0, |execution| execution.id);
                assert_eq!(self.items.insert(item.id, by), None, "given twice");
            }
            Event::Item(item) => {
                let by = self.items.remove(&item.id).expect("given before");
                self.taken.insert(record.tid, by);
            }
            Event::Data(data) if data.direction == Direction::Write => {
                let text = String::from_utf8_lossy(data.payload).into_owned();
                let execution = data.execution.map_or(0, |execution| execution.id);
                let given = self.taken.get(&record.tid).copied().unwrap_or(0);
                self.told(&text, data.class, execution, given);
            }
            _ => {}
        }
    }

    fn told(&mut self, text: &str, class: Class, execution: u64, given: u64) {
        let number = |text: &str| -> usize {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().unwrap()
        };
        if let Some(rest) = text.strip_prefix("GET /") {
            self.did(number(rest), execution, given);
        } else if let Some((_, rest)) = text.split_once("X-Number: ") {
            let before = self.answered.insert(number(rest), execution);
            assert_eq!(before, None, "answered twice");
        } else if class == Class::Pipe
            && let Some(rest) = text.strip_prefix("line ")
        {
            self.did(number(rest), execution, given);
        }
    }

    fn did(&mut self, number: usize, execution: u64, given: u64) {
        self.work.entry(number).or_default().push(execution);
        self.given.entry(number).or_default().push(given);
    }
}

/// Sends requests on one connection.
fn client(port: u16, mode: &str, connection: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for n in 0..REQUESTS {
        let number = 1000 + connection * REQUESTS + n;
        let head = format!("GET /{mode}/{number} HTTP/1.1\r\nHost: server\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_head(&mut stream).expect("an answer");
        assert!(answer.contains(&format!("X-Number: {number}")), "{answer}");
    }
}

fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A server that answers every call; its port.
fn downstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection));
        }
    });
    port
}

fn answer(mut connection: TcpStream) {
    while read_head(&mut connection).is_some() {
        // Long enough that requests overlap.
        std::thread::sleep(Duration::from_millis(2));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if connection.write_all(answer).is_err() {
            return;
        }
    }
}
