//! What is the same description, and what is another one.

use std::{
    fs::OpenOptions,
    io::{IoSlice, IoSliceMut, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use observer_core::record::{Class, Direction, Event};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::support::{check, observe};

#[test]
fn duplicates_are_one_description() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        (&one).write_all(b"a").unwrap();
        let second = one.try_clone().unwrap();
        (&second).write_all(b"b").unwrap();
        // SAFETY: a number that is free here.
        check(unsafe { libc::dup2(one.as_raw_fd(), 200) });
        // SAFETY: the buffer is valid for its length.
        check(unsafe { libc::write(200, b"c".as_ptr().cast(), 1) });
        other.read_exact(&mut [0; 3]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [b"abc"]);
    let closed = seen.decoded().filter_map(|record| match record.event {
        Event::Close { file, last } => Some((file, last)),
        _ => None,
    });
    let written = seen.data(Class::Unix, Direction::Write)[0].file;
    let closed: Vec<bool> = closed.filter(|c| c.0 == written).map(|c| c.1).collect();
    assert_eq!(
        closed,
        [false, false, true],
        "descriptor 200 stays open to the end"
    );
}

#[test]
fn children_share_descriptions() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        (&one).write_all(b"a").unwrap();
        // SAFETY: the child makes two system calls and no more.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the buffer is valid for its length; ends without running anything else.
            unsafe {
                libc::write(one.as_raw_fd(), b"b".as_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        // SAFETY: no status is asked for.
        check(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) });
        (&one).write_all(b"c").unwrap();
        other.read_exact(&mut [0; 3]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [b"abc"]);
    let writers = seen.decoded().filter(
        |record| matches!(record.event, Event::Data(data) if data.direction == Direction::Write),
    );
    let writers: Vec<_> = writers.map(|record| record.tgid).collect();
    assert_eq!((writers[0], writers[2]), (seen.tgid, seen.tgid));
    assert_ne!(writers[1], seen.tgid);
}

#[test]
fn descriptors_sent_over_a_socket_are_the_same_description() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let (road, end) = UnixStream::pair().unwrap();
        (&one).write_all(b"a").unwrap();
        let fds = [one.as_raw_fd()].map(|fd| {
            // SAFETY: `one` stays open until the message is sent.
            unsafe { rustix::fd::BorrowedFd::borrow_raw(fd) }
        });
        let mut space = [std::mem::MaybeUninit::uninit(); 64];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(
            &road,
            &[IoSlice::new(b"!")],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
        drop(one);
        let mut space = [std::mem::MaybeUninit::uninit(); 64];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(
            &end,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            RecvFlags::empty(),
        )
        .unwrap();
        let received: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        UnixStream::from(received.into_iter().next().unwrap())
            .write_all(b"b")
            .unwrap();
        other.read_exact(&mut [0; 2]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(
        seen.bytes(Class::Unix, Direction::Write),
        [&b"ab"[..], b"!"]
    );
}

#[test]
fn a_number_used_again_is_another_description() {
    const ROUNDS: usize = 200;
    fn workload() {
        for round in 0..ROUNDS {
            let (one, mut other) = UnixStream::pair().unwrap();
            (&one).write_all(format!("{round}").as_bytes()).unwrap();
            drop(one);
            other.read_to_end(&mut Vec::new()).unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let expected: Vec<Vec<u8>> = (0..ROUNDS).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), expected);
    assert_eq!(seen.bytes(Class::Unix, Direction::Read), expected);
}

#[test]
fn a_number_used_again_after_an_unseen_close_is_another_description() {
    const ROUNDS: usize = 100;
    fn workload() {
        for round in 0..ROUNDS {
            let (one, mut other) = UnixStream::pair().unwrap();
            (&one).write_all(format!("{round}").as_bytes()).unwrap();
            other.read_exact(&mut [0; 1]).unwrap();
            use std::os::fd::IntoRawFd;
            let (one, other) = (one.into_raw_fd(), other.into_raw_fd());
            for fd in [one, other] {
                let fd = u32::try_from(fd).unwrap();
                // SAFETY: both descriptors are no longer owned by anyone.
                check(unsafe { libc::syscall(libc::SYS_close_range, fd, fd, 0) });
            }
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let expected: Vec<Vec<u8>> = (0..ROUNDS).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), expected);
}

#[test]
fn a_read_belongs_to_the_description_it_began_on() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let fd = one.as_raw_fd();
        std::mem::forget(one);
        let (began, begins) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            // SAFETY: no pointers.
            let tid = unsafe { libc::gettid() };
            began.send(tid).unwrap();
            let mut byte = 0u8;
            // SAFETY: room for one byte.
            check(unsafe { libc::read(fd, (&raw mut byte).cast(), 1) });
            byte
        });
        reading(begins.recv().unwrap());
        // The descriptor's number goes to another connection while the thread reads from it.
        let (two, mut partner) = UnixStream::pair().unwrap();
        // SAFETY: replaces a descriptor that nobody owns.
        check(unsafe { libc::dup2(two.as_raw_fd(), fd) });
        other.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), b'x');
        partner.write_all(b"y").unwrap();
        // SAFETY: open since `dup2`, and owned by nobody.
        let mut replaced = unsafe { UnixStream::from_raw_fd(fd) };
        replaced.read_exact(&mut [0; 1]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Read), [b"x", b"y"]);
}

/// Waits until the thread is inside `read`. That it sleeps would not do: it may do so before, for a lock of the channel.
fn reading(tid: i32) {
    let call = format!("{} ", libc::SYS_read);
    loop {
        let inside = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).unwrap();
        if inside.starts_with(&call) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_file_opened_again_for_append_becomes_a_log() {
    fn workload() {
        let path = std::env::temp_dir().join(format!("observer-again-{}", std::process::id()));
        for round in 0..20 {
            std::fs::write(&path, b"plain").unwrap();
            let mut log = OpenOptions::new().append(true).open(&path).unwrap();
            write!(log, "{round};").unwrap();
        }
        std::fs::remove_file(path).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let expected: Vec<Vec<u8>> = (0..20).map(|n| format!("{n};").into_bytes()).collect();
    let logs: Vec<Vec<u8>> = seen.bytes(Class::Log, Direction::Write);
    assert_eq!(logs.concat(), expected.concat());
}

/// Threads that open, use and close connections as fast as they can, on the same few numbers.
#[test]
fn under_load_what_is_read_is_what_was_written() {
    const THREADS: u32 = 8;
    const CONNECTIONS: u32 = 100;
    fn workload() {
        let threads = (0..THREADS).map(|thread| {
            std::thread::spawn(move || {
                for connection in 0..CONNECTIONS {
                    let (mut one, mut other) = UnixStream::pair().unwrap();
                    for message in 0..4 {
                        let text = format!("<{thread}.{connection}.{message}>");
                        one.write_all(text.as_bytes()).unwrap();
                        other.read_exact(&mut vec![0; text.len()]).unwrap();
                        let parts = [text.as_bytes(), b"!"].map(IoSlice::new);
                        assert_eq!(other.write_vectored(&parts).unwrap(), text.len() + 1);
                        one.read_exact(&mut vec![0; text.len() + 1]).unwrap();
                    }
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.counters.probes.lost, 0);
    let files = seen.files(Class::Unix);
    assert_eq!(files.len(), (THREADS * CONNECTIONS * 2) as usize);
    let wrote = seen.streams(Class::Unix, Direction::Write);
    let read = seen.streams(Class::Unix, Direction::Read);
    for file in &files {
        let peer = files.iter().find(|peer| Some(peer.ino) == file.peer_ino);
        let peer = peer.expect("both ends are seen").file;
        assert_eq!(wrote[&file.file], read[&peer]);
    }
    let mut texts: Vec<&[u8]> = wrote.values().map(Vec::as_slice).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), files.len(), "every stream says something else");
}
