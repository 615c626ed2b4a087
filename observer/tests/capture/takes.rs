//! Who takes a client connection: told for those that connect or look before they write, and for
//! nobody else.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    thread,
};

use observer_core::record::{Event, TakeHow};

use crate::support::{Seen, check, observe};

/// Takes in order: how, whether without waiting, and on which thread (counted by first appearance).
fn takes(seen: &Seen) -> Vec<(TakeHow, bool, usize)> {
    let mut threads = Vec::new();
    let mut told = Vec::new();
    for record in seen.decoded() {
        if let Event::Take(take) = record.event {
            if !threads.contains(&record.tid) {
                threads.push(record.tid);
            }
            let at = threads.iter().position(|t| *t == record.tid);
            told.push((take.how, take.nonblocking, at.expect("added")));
        }
    }
    told
}

fn elsewhere<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

fn look(stream: &mut TcpStream) {
    stream.set_nonblocking(true).expect("a socket");
    let nothing = stream.read(&mut [0; 8]).expect_err("nothing to read");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("a socket");
}

fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    client.write_all(b"question").expect("connected");
    server.read_exact(&mut [0; 8]).expect("connected");
    server.write_all(b"answer!!").expect("connected");
    client.read_exact(&mut [0; 8]).expect("connected");
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    (client, listener.accept().expect("connected").0)
}

#[test]
fn another_thread_that_looks_between_exchanges() {
    fn workload() {
        let (mut client, mut server) = pair();
        elsewhere(|| look(&mut client)); // Before the first exchange: the connection is fresh.
        exchange(&mut client, &mut server);
        look(&mut client); // It read last itself.
        elsewhere(|| look(&mut client));
        look(&mut client);
        look(&mut client); // It has it already.
        client.write_all(b"question").expect("connected");
        elsewhere(|| look(&mut client)); // Waiting for the answer.
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(
        takes(&seen),
        [
            (TakeHow::Connect, false, 0),
            (TakeHow::Probe, true, 1),
            (TakeHow::Probe, true, 0)
        ]
    );
}

#[test]
fn nobody_takes_a_served_connection() {
    fn workload() {
        let (mut client, mut server) = pair();
        for _ in 0..3 {
            exchange(&mut client, &mut server);
            elsewhere(|| look(&mut server));
            look(&mut server);
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(takes(&seen), [(TakeHow::Connect, false, 0)]);
}

#[test]
fn connecting_without_waiting_is_told_once_and_a_refusal_is_not() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let connect = |fd: i32, port: u16| {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: port.to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
                },
                sin_zero: [0; 8],
            };
            let len = size_of::<libc::sockaddr_in>() as u32;
            // SAFETY: the address lives until the call returns.
            unsafe { libc::connect(fd, (&raw const address).cast(), len) }
        };
        let socket = |flags| {
            // SAFETY: no pointers.
            let fd = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | flags, 0) });
            // SAFETY: just opened, and owned by nothing else.
            unsafe { OwnedFd::from_raw_fd(fd as i32) }
        };
        let eager = socket(libc::SOCK_NONBLOCK);
        assert_eq!(connect(eager.as_raw_fd(), port), -1);
        let _server = listener.accept().expect("connecting");
        connect(eager.as_raw_fd(), port);
        drop(listener);
        assert_eq!(connect(socket(0).as_raw_fd(), port), -1);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(takes(&seen), [(TakeHow::Connect, true, 0)]);
}
