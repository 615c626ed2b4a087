//! The traces that another observer of the host pins for readers (`traces_ctx_v1`) are read with what threads write.
//!
//! A map of the test's own stands in for that observer's; it is pinned in a mount namespace of the test's thread.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/written.rs"]
mod written;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use aya::{Ebpf, EbpfLoader, include_bytes_aligned, maps::HashMap};
use observer::{
    facts::{self, Proc},
    kernel::{Capture, CaptureConfig, pinned},
    runtimes::Follower,
};
use observer_core::{
    facts::{ExecutionKind, Executions},
    ids::Tgid,
};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

static OBJECT: &[u8] = include_bytes_aligned!("../src/kernel/observer-ebpf.bpf.o");

/// A context as it is in the map: trace-id, span-id.
type Context = [u8; 24];

struct Cat(Child);

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cat {
    fn start() -> Self {
        let child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// Has it write a byte.
    fn says(&mut self, byte: u8) {
        self.0.stdin.as_mut().unwrap().write_all(&[byte]).unwrap();
        let mut said = [0];
        self.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        assert_eq!(said, [byte]);
    }
}

/// A file system for pinned maps that this thread alone sees, and what it starts.
fn own_file_system() {
    // SAFETY: this thread's file descriptors and memory stay shared; it has its own root and working directory from now on,
    // and nothing else runs on it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).unwrap();
    mount("bpf", "/sys/fs/bpf", "bpf", MountFlags::empty(), None).unwrap();
    fs::create_dir(Path::new(pinned::PATH).parent().unwrap()).unwrap();
}

/// A map as the other observer would make it, pinned.
fn other_observer() -> Ebpf {
    let mut object = EbpfLoader::new()
        .btf(None)
        .map_max_entries("TRACES_CTX", 64)
        .load(OBJECT)
        .unwrap();
    let map = object.map_mut("TRACES_CTX").unwrap();
    map.pin(pinned::PATH).unwrap();
    object
}

#[test]
fn what_another_observer_pins_is_read() {
    let Some(without) = common::start(CaptureConfig::default()) else {
        return;
    };
    drop(without);
    own_file_system();
    let without = Capture::start(CaptureConfig::default()).unwrap();
    assert!(!without.has_pinned_contexts());
    assert!(!Path::new(pinned::PATH).exists(), "nothing is left there");
    drop(without);

    let mut other = other_observer();
    let mut capture = Capture::start(CaptureConfig::default()).unwrap();
    assert!(capture.has_pinned_contexts());
    let mut cat = Cat::start();
    let pid = cat.0.id();
    let tgid = Tgid(pid);
    capture.watch(tgid).unwrap();
    let (proc, mut follower) = (Proc::default(), Follower::default());
    let executions = follower.follow(&mut capture, &proc, &facts::process(&proc, tgid));
    let known = Executions::Known {
        kind: ExecutionKind::Pinned,
        missing: Vec::new(),
        paused: false,
    };
    assert_eq!(executions, Some(known));

    let thread = u64::from(pid) << 32 | u64::from(pid);
    let map = other.map_mut("TRACES_CTX").unwrap();
    let mut map: HashMap<_, u64, Context> = HashMap::try_from(map).unwrap();
    cat.says(b'0');
    map.insert(thread, [0x41; 24], 0).unwrap();
    cat.says(b'A');
    map.insert(thread, [0x42; 24], 0).unwrap();
    // Another thread's.
    map.insert(thread + 1, [0x43; 24], 0).unwrap();
    cat.says(b'B');
    map.insert(thread, [0; 24], 0).unwrap();
    cat.says(b'1');
    map.remove(&thread).unwrap();
    cat.says(b'.');
    let all = |byte: u8| Some(u128::from_be_bytes([byte; 16]));
    let expected = [
        ('0', None),
        ('A', all(0x41)),
        ('B', all(0x42)),
        ('1', None),
        ('.', None),
    ];
    let told = written::with_traces(&mut capture, tgid, ExecutionKind::Pinned);
    assert_eq!(told, expected);

    drop(capture);
    assert!(
        Path::new(pinned::PATH).exists(),
        "it is the other observer's"
    );
}
