//! What is found of the queues of the Pythons that this machine has, against what they say themselves.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::facts::Proc;

/// Tells the addresses of functions, as method descriptors have them (`PyMethodDescrObject.d_method`, `PyMethodDef.ml_meth`), and
/// then listens as it is told to, until its standard input ends.
const PROGRAM: &str = r#"
import collections, ctypes, logging.handlers, queue, sys, threading
word = lambda at: ctypes.c_uint64.from_address(at).value
def function(of, name):
    return word(word(id(of.__dict__[name]) + 40) + 8)
asked = sys.argv[1]
lines = queue.Queue() if asked == "Queue" else queue.SimpleQueue()
if asked == "plain":
    threading.Thread(target=lines.get, daemon=True).start()
else:
    logging.handlers.QueueListener(lines, logging.StreamHandler(sys.stderr)).start()
print(*(function(collections.deque, name) for name in ("popleft", "append")),
    *(function(queue.SimpleQueue, name) for name in ("get_nowait", "get", "put_nowait", "put")), flush=True)
sys.stdin.read()
"#;

struct Python {
    child: Child,
    _output: BufReader<ChildStdout>,
    /// What it told.
    functions: Vec<u64>,
}

impl Python {
    fn run(path: &PathBuf, how: &str) -> Self {
        let mut child = Command::new(path)
            .args(["-c", PROGRAM, how])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Self {
            child,
            _output: output,
            functions: line
                .split_whitespace()
                .map(|w| w.parse().unwrap())
                .collect(),
        }
    }

    fn process(&self) -> Process {
        Proc::default().process(self.child.id())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Those of Debian and of pyenv, from 3.9 on.
fn pythons() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let versions = home.and_then(|home| home.join(".pyenv/versions").read_dir().ok());
    let named = versions.into_iter().flatten().flatten();
    let path = |version: std::fs::DirEntry| {
        let name = version.file_name().into_string().ok()?;
        let minor: u8 = name.strip_prefix("3.")?.split('.').next()?.parse().ok()?;
        (minor >= 9).then(|| version.path().join("bin/python3"))
    };
    let debian = PathBuf::from("/usr/bin/python3");
    named
        .filter_map(path)
        .chain(debian.exists().then_some(debian))
        .collect()
}

fn programs(plan: &Plan) -> Vec<&'static str> {
    plan.probes.iter().map(|probe| probe.program).collect()
}

#[test]
fn functions_are_where_the_interpreter_calls_them() {
    for path in pythons() {
        let python = Python::run(&path, "plain");
        let process = python.process();
        let files = image::mapped(&process);
        let interpreter = Interpreter::find(&process, &files).unwrap();
        let memory = Memory::of(&process).unwrap();
        let found = Found {
            process: &process,
            memory: &memory,
            interpreter: &interpreter,
            files: &files,
        };
        let (_, image, _) = found
            .module("_collections.", "PyInit__collections")
            .unwrap();
        let deque = queue::deque(&image, &memory).unwrap();
        let (_, image, _) = found.module("_queue.", "PyInit__queue").unwrap();
        let simple = queue::simple(&image, &memory).unwrap();
        let all = [deque.takes, deque.gives].concat();
        let all = [all, simple.takes.to_vec(), simple.gives.to_vec()].concat();
        assert_eq!(python.functions, all, "{path:?}");
    }
}

#[test]
fn a_listener_is_seen_while_it_waits_and_stays_known() {
    for path in pythons() {
        let python = Python::run(&path, "Queue");
        let process = python.process();
        // It begins to wait when it has told that it is there, or just after.
        let until = Instant::now() + Duration::from_secs(20);
        let found = loop {
            let found = plan(&process, None).unwrap();
            if programs(&found).contains(&APPENDED) {
                break found;
            }
            assert!(Instant::now() < until, "{path:?}");
        };
        assert!(is_whole(&found) && found.missing.is_empty(), "{found:?}");
        let all = [
            "python_ended",
            "python_copied",
            TAKEN,
            TAKEN,
            GIVEN,
            GIVEN,
            POPPED,
            APPENDED,
        ];
        assert_eq!(programs(&found), all);
        assert_eq!(plan(&process, Some(&found)).unwrap(), found);
    }
}

#[test]
fn nothing_is_put_into_what_has_no_listener_of_that_kind() {
    for (path, how) in pythons()
        .iter()
        .flat_map(|p| [(p, "plain"), (p, "SimpleQueue")])
    {
        let python = Python::run(path, how);
        for _ in 0..20 {
            let found = plan(&python.process(), None).unwrap();
            assert!(!programs(&found).contains(&APPENDED), "{path:?} {how}");
        }
    }
}
