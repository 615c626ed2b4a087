//! Descriptors that are closed other than one by one: by `close_range`, by executing a program, by
//! the end of a process.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd, IntoRawFd, RawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::Command,
};

use observer_core::{
    engine::{Config, Engine, Input},
    ids::KernelNanos,
    judged::{ClockAnchor, Judged, Role, Unfinished},
    record::{Class, Direction, Event},
};

use crate::support::{Seen, check, observe};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/// A connection whose server end has read a request.
fn asked() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = listener.accept().unwrap().0;
    client.write_all(REQUEST).unwrap();
    server.read_exact(&mut [0; REQUEST.len()]).unwrap();
    (client, server)
}

fn close_range(first: RawFd, last: RawFd, flags: u32) {
    // SAFETY: whoever owned the descriptors has forgotten them.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) });
}

/// Puts a duplicate of `of` at the number `to`.
fn duplicate(of: &impl AsRawFd, to: RawFd) {
    // SAFETY: numbers that are free here.
    check(unsafe { libc::dup2(of.as_raw_fd(), to) });
}

/// The other end of a pair whose end that was written to has no descriptors but 300, 301 and 420.
fn duplicated() -> UnixStream {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.write_all(b"x").unwrap();
    other.read_exact(&mut [0]).unwrap();
    for number in [300, 301, 420] {
        duplicate(&one, number);
    }
    other
}

/// What is said of the exchanges: the side, and why there is no response.
fn ends(seen: &Seen) -> Vec<(Role, Option<Unfinished>)> {
    let mut engine = Engine::new(Config {
        anchor: ClockAnchor {
            monotonic: KernelNanos(0),
            wall: 0,
        },
        show_query: false,
        ..Config::default()
    });
    let mut told = Vec::new();
    for record in &seen.records {
        engine.input(Input::Record(record), &mut told);
    }
    engine.finish(&mut told);
    let ends = told.iter().filter_map(|judged| match judged {
        Judged::Exchange(exchange) => Some((exchange.role, exchange.unfinished)),
        _ => None,
    });
    ends.collect()
}

/// Closes of the descriptors of the description that was written to, and which one ended it.
fn closes(seen: &Seen, class: Class) -> Vec<bool> {
    let written = seen.data(class, Direction::Write)[0].file;
    let closes = seen.decoded().filter_map(|record| match record.event {
        Event::Close { file, last } if file == written => Some(last),
        _ => None,
    });
    closes.collect()
}

#[test]
fn a_range_that_is_closed_ends_what_has_no_descriptor_elsewhere() {
    fn workload() {
        let mut other = duplicated();
        // Nothing is closed by marking, nor by a call that fails.
        close_range(300, 420, 4);
        // SAFETY: fails before anything is done.
        let refused = unsafe { libc::syscall(libc::SYS_close_range, 420, 300, 0) };
        assert_eq!(refused, -1);
        close_range(299, 301, 0);
        close_range(400, i32::MAX, 0);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let last = [false, false, false, true];
    assert_eq!(closes(&seen, Class::Unix), last);
}

#[test]
fn duplicates_that_are_closed_together_end_with_the_last_one() {
    fn workload() {
        let mut other = duplicated();
        close_range(300, 500, 0);
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let last = [false, false, false, true];
    assert_eq!(closes(&seen, Class::Unix), last);
}

#[test]
fn a_range_that_is_closed_ends_an_exchange() {
    fn workload() {
        let (mut client, server) = asked();
        duplicate(&server.into_raw_fd(), 300);
        // The other descriptor of it lies below.
        duplicate(&client, 200);
        close_range(client.as_raw_fd() + 1, 199, 0);
        close_range(300, 300, 0);
        // Reset or ended.
        let _ = client.read(&mut [0]);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let server = (Role::Server, Some(Unfinished::Closed));
    assert!(ends(&seen).contains(&server), "{:?}", ends(&seen));
}

#[test]
fn executing_a_program_ends_an_exchange() {
    fn workload() {
        let _open = asked();
        panic!("{}", Command::new("true").exec());
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let exited = Some(Unfinished::Exited);
    let mut ends = ends(&seen);
    ends.sort_by_key(|(role, _)| *role == Role::Client);
    assert_eq!(ends, [(Role::Server, exited), (Role::Client, exited)]);
}

/// As when a request is handed to a child that fails: nobody has used the connection there.
#[test]
fn the_end_of_the_last_process_that_holds_a_connection_ends_its_exchange() {
    fn workload() {
        let (mut client, server) = asked();
        let (mut wait, go) = std::io::pipe().unwrap();
        // SAFETY: the child makes two system calls and no more.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the buffer is valid for its length; ends without running anything else.
            unsafe {
                libc::close(go.as_raw_fd());
                libc::close(client.as_raw_fd());
                libc::read(wait.as_raw_fd(), [0u8; 1].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        drop(server);
        drop(go);
        // Ends when the child does.
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        // SAFETY: no status is asked for.
        check(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) });
        assert_eq!(wait.read(&mut [0]).unwrap(), 0);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let closed = Some(Unfinished::Closed);
    let mut ends = ends(&seen);
    ends.sort_by_key(|(role, _)| *role == Role::Client);
    assert_eq!(ends, [(Role::Server, closed), (Role::Client, closed)]);
}
