//! Processes and threads: followed, told, and never mixed up.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::{Command, Stdio},
    time::Duration,
};

use observer::kernel::{CaptureConfig, Spawned};
use observer_core::{
    ids::Tgid,
    record::{Class, Direction, Event, decode},
};

use crate::{
    common::start,
    support::{be_workload, command, ends, observe},
};

#[test]
fn threads_and_children_are_told_with_their_ids() {
    fn workload() {
        std::thread::spawn(|| {}).join().unwrap();
        assert!(Command::new("true").status().unwrap().success());
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let mut spawned = Vec::new();
    let (mut forked, mut executed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for record in seen.decoded() {
        match record.event {
            Event::Spawn { child, .. } => spawned.push(child),
            Event::Fork { child } => forked.push(child),
            Event::Exec => executed.push(record.tgid),
            Event::Exit => ended.push(record.tid),
            _ => {}
        }
    }
    let [child] = forked[..] else {
        panic!("one child: {forked:?}");
    };
    assert_eq!(executed, [seen.tgid, child]);
    assert!(!spawned.is_empty());
    // The harness's own threads may be ended by the end of their process, which is told too.
    for tid in spawned {
        assert!(ended.contains(&tid), "{tid} of {ended:?}");
    }
    assert_eq!(ended.iter().filter(|tid| tid.0 == child.0).count(), 1);
}

#[test]
fn a_child_that_runs_another_program_is_still_watched() {
    fn workload() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = Command::new("echo")
            .arg("hello")
            .stdout(writer)
            .spawn()
            .unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        assert_eq!(text, "hello\n");
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.bytes(Class::Pipe, Direction::Write);
    assert!(wrote.contains(&b"hello\n".to_vec()), "{wrote:?}");
}

/// A server that is already waiting inside `read` when it is selected.
#[test]
fn a_read_in_flight_when_the_process_is_selected_is_reported() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        println!("port {port}");
        let mut connection = listener.accept().unwrap().0;
        let mut request = [0; 7];
        connection.read_exact(&mut request).unwrap();
        connection.write_all(b"answer").unwrap();
    }
    be_workload(workload);
    let Some(mut capture) = start(CaptureConfig::default()) else {
        return;
    };
    let mut server = command().stdout(Stdio::piped()).spawn().unwrap();
    let port = port_of(server.stdout.take().unwrap());
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    reading(server.id());
    let tgid = Tgid(server.id());
    assert_eq!(capture.watch_tree(tgid), Ok(vec![tgid]));
    client.write_all(b"request").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(server.wait().unwrap().success());
    let mut data = Vec::new();
    capture.drain(|record| {
        if let Event::Data(d) = decode(record).unwrap().event
            && d.class == Class::Tcp
            && d.end.is_none()
        {
            data.push((d.direction, d.pos, d.payload.to_vec()));
        }
    });
    let expected = [
        (Direction::Read, 0, b"request".to_vec()),
        (Direction::Write, 0, b"answer".to_vec()),
    ];
    assert_eq!(data, expected);
    assert!(capture.counters().probes.unpaired > 0);
}

/// The port that a workload prints.
fn port_of(mut output: impl Read) -> u16 {
    let mut text = String::new();
    loop {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
        // The harness may have begun the line.
        if text.ends_with('\n')
            && let Some((_, port)) = text.rsplit_once("port ")
        {
            return port.trim().parse().unwrap();
        }
    }
}

/// Waits until one of the threads of `process` is in `recvfrom` or `read` on a socket.
fn reading(process: u32) {
    loop {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        for task in tasks.flatten() {
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            let number = call.split(' ').next().and_then(|n| n.parse().ok());
            if number == Some(libc::SYS_recvfrom) {
                return;
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn only_what_was_selected_is_reported() {
    fn workload() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"unseen").unwrap();
        reader.read_exact(&mut [0; 6]).unwrap();
    }
    be_workload(workload);
    let Some(mut capture) = start(CaptureConfig::default()) else {
        return;
    };
    assert!(command().status().unwrap().success());
    assert_eq!(capture.drain(|_| {}), 0);
    // Selected, and then not any more.
    let mut child = Spawned::start(command(), &capture).unwrap();
    capture.unwatch(child.tgid());
    assert!(child.wait().unwrap().success());
    assert!(!capture.is_watched(child.tgid()));
}

#[test]
fn everything_is_watched_but_the_observer() {
    /// Writes until standard input is closed: the others of this machine may have so much to tell that there is no room for
    /// what is written once.
    fn workload() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        while !ends(Duration::from_millis(5)) {
            writer.write_all(b"seen").unwrap();
            reader.read_exact(&mut [0; 4]).unwrap();
        }
    }
    be_workload(workload);
    let config = CaptureConfig {
        all: true,
        ..CaptureConfig::default()
    };
    let Some(mut capture) = start(config) else {
        return;
    };
    let mut child = command().stdin(Stdio::piped()).spawn().unwrap();
    let (tgid, own) = (Tgid(child.id()), Tgid(std::process::id()));
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let (mut seen, mut mine) = (false, false);
    while !seen {
        writer.write_all(b"own").unwrap();
        reader.read_exact(&mut [0; 3]).unwrap();
        capture.drain(|record| {
            let record = decode(record).unwrap();
            mine |= record.tgid == own;
            seen |= record.tgid == tgid
                && matches!(record.event, Event::Data(data) if data.payload == b"seen");
        });
        assert_eq!(child.try_wait().unwrap(), None, "it waits to be seen");
        capture.wait(Duration::from_millis(100)).unwrap();
    }
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(!mine);
}

#[test]
fn programs_of_unwatched_processes_are_told_on_request() {
    be_workload(|| {});
    let config = CaptureConfig {
        all_execs: true,
        ..CaptureConfig::default()
    };
    let Some(mut capture) = start(config) else {
        return;
    };
    let mut child = command().spawn().unwrap();
    let tgid = Tgid(child.id());
    assert!(child.wait().unwrap().success());
    capture.wait(Duration::from_millis(1)).unwrap();
    let mut told = false;
    capture.drain(|record| {
        let record = decode(record).unwrap();
        assert!(
            matches!(record.event, Event::Exec),
            "nothing else: {record:?}"
        );
        told |= record.tgid == tgid;
    });
    assert!(told);
}

#[test]
fn a_program_that_can_not_be_started_is_named() {
    let Some(capture) = start(CaptureConfig::default()) else {
        return;
    };
    let error = Spawned::start(Command::new("/no/such/program"), &capture).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/no/such/program can't be started"), "{text}");
}

/// A process id that a watched process had, given to a child of an unwatched one.
#[test]
fn a_process_id_used_again_is_not_watched() {
    be_workload(|| {});
    let Some(mut capture) = start(CaptureConfig::default()) else {
        return;
    };
    let mut child = Spawned::start(command(), &capture).unwrap();
    let tgid = child.tgid();
    assert!(child.wait().unwrap().success());
    assert!(capture.is_watched(tgid), "nobody has the id now");
    capture.drain(|_| {});
    let (mut reader, writer) = std::io::pipe().unwrap();
    let again = fork_with_id(tgid, writer.as_raw_fd());
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    // SAFETY: no status is asked for.
    let waited = unsafe { libc::waitpid(again, std::ptr::null_mut(), 0) };
    assert_eq!(waited, again);
    assert_eq!(text, "again");
    assert_eq!(capture.drain(|_| {}), 0);
    assert!(!capture.is_watched(tgid));
}

/// Forks a child with a chosen id (`set_tid` of `clone3`, Linux 5.5), which writes to `fd` and ends.
fn fork_with_id(tgid: Tgid, fd: i32) -> i32 {
    let ids = [i32::try_from(tgid.0).unwrap()];
    // SAFETY: all zeros is a valid set of arguments.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    args.set_tid = ids.as_ptr().addr() as u64;
    args.set_tid_size = 1;
    let (args, size) = (&raw mut args, size_of::<libc::clone_args>());
    // SAFETY: without a stack of its own the child continues here, in a copy of the memory; it makes
    // two system calls and no more.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args, size) };
    if pid == 0 {
        // SAFETY: the buffer is valid for its length; ends without running anything else.
        unsafe {
            libc::write(fd, b"again".as_ptr().cast(), 5);
            libc::_exit(0);
        }
    }
    assert_eq!(
        pid,
        i64::from(ids[0]),
        "{}",
        std::io::Error::last_os_error()
    );
    ids[0]
}
