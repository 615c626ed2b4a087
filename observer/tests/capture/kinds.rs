//! Every kind of description: what it is called, its addresses, its bytes.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream},
    },
};

use observer_core::record::{Class, Direction, End};

use crate::support::{check, observe};

const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A request and its response over a connection that `connect` makes to `accept`.
fn exchange<S: Read + Write>(mut client: S, mut server: S) {
    let mut buffer = [0; 100];
    client.write_all(ASK).unwrap();
    assert_eq!(server.read(&mut buffer).unwrap(), ASK.len());
    server.write_all(ANSWER).unwrap();
    assert_eq!(client.read(&mut buffer).unwrap(), ANSWER.len());
    drop(server);
    assert_eq!(client.read(&mut buffer).unwrap(), 0);
}

fn tcp(address: SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    exchange(client, listener.accept().unwrap().0);
}

/// Both ends are seen, each byte twice, and the addresses fit.
fn expect_tcp(workload: fn(), address: &str) {
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Tcp, Direction::Write), [ASK, ANSWER]);
    assert_eq!(seen.bytes(Class::Tcp, Direction::Read), [ASK, ANSWER]);
    assert_eq!(seen.ends(Class::Tcp), [End::Eof]);
    let files = seen.files(Class::Tcp);
    let [client, server] = &files[..] else {
        panic!("two ends: {files:?}");
    };
    let (client, server) = (client.tcp.unwrap(), server.tcp.unwrap());
    assert_eq!(client.swapped(), server);
    assert_eq!(client.remote.ip().to_string(), address);
    assert_ne!(client.remote.port(), client.local.port());
}

#[test]
fn tcp4_connections() {
    expect_tcp(|| tcp(([127, 0, 0, 1], 0).into()), "127.0.0.1");
}

#[test]
fn tcp6_connections() {
    expect_tcp(|| tcp((Ipv6Addr::LOCALHOST, 0).into()), "::1");
}

#[test]
fn ipv4_over_a_tcp6_socket_is_mapped() {
    fn workload() {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        exchange(client, listener.accept().unwrap().0);
    }
    expect_tcp(workload, "127.0.0.1");
}

#[test]
fn unix_connections_have_a_path_and_know_their_peer() {
    fn workload() {
        let name = format!("observer-test-{}", std::process::id());
        let address = UnixAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        let server = listener.accept().unwrap().0;
        exchange(client, server);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [ASK, ANSWER]);
    assert_eq!(seen.bytes(Class::Unix, Direction::Read), [ASK, ANSWER]);
    let files = seen.files(Class::Unix);
    let path = format!("\0observer-test-{}", seen.tgid);
    for (one, other) in [(0, 1), (1, 0)] {
        assert_eq!(files[one].peer_ino, Some(files[other].ino));
        assert_eq!(files[one].path, path.as_bytes());
    }
}

#[test]
fn socket_pairs_know_their_peer() {
    fn workload() {
        let (one, other) = UnixStream::pair().unwrap();
        exchange(one, other);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [ASK, ANSWER]);
    let files = seen.files(Class::Unix);
    assert_eq!(files[0].peer_ino, Some(files[1].ino));
    assert_eq!(files[0].path, b"");
}

#[test]
fn pipes_have_one_inode_and_tell_when_they_were_empty() {
    fn workload() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let mut buffer = [0; 1000];
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(reader.read(&mut buffer).unwrap(), 6);
        writer.write_all(&[b'x'; 600]).unwrap();
        assert_eq!(reader.read(&mut buffer).unwrap(), 600);
        drop(writer);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let files = seen.files(Class::Pipe);
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].ino, files[1].ino);
    let writes = seen.data(Class::Pipe, Direction::Write);
    let empty: Vec<bool> = writes.iter().map(|data| data.pipe_empty).collect();
    assert_eq!(empty, [true, false, true]);
    assert_eq!(writes[2].payload.len(), 600, "writes are captured whole");
    let reads = seen.data(Class::Pipe, Direction::Read);
    assert_eq!((reads[1].len, reads[1].payload.len()), (600, 256));
    assert_eq!(seen.ends(Class::Pipe), [End::Eof]);
}

#[test]
fn logs_are_files_opened_for_append_and_standard_output() {
    fn workload() {
        let path = std::env::temp_dir().join(format!("observer-log-{}", std::process::id()));
        let mut plain = File::create(&path).unwrap();
        plain.write_all(b"not a log\n").unwrap();
        let other = File::create(path.with_extension("other")).unwrap();
        std::fs::remove_file(path.with_extension("other")).unwrap();
        // SAFETY: a number that is free here.
        check(unsafe { libc::dup2(other.as_raw_fd(), 200) });
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"appended\n").unwrap();
        let read = std::fs::read(&path).unwrap();
        assert_eq!(read, b"not a log\nappended\n");
        use std::os::fd::AsRawFd;
        // SAFETY: replaces standard output, which nothing else uses here.
        check(unsafe { libc::dup2(plain.as_raw_fd(), 1) });
        // SAFETY: the buffer is valid for its length.
        check(unsafe { libc::write(1, b"printed\n".as_ptr().cast(), 8) });
        // SAFETY: as above.
        check(unsafe { libc::pwrite(log.as_raw_fd(), b"placed\n".as_ptr().cast(), 7, 0) });
        let line = libc::iovec {
            iov_base: b"vector\n".as_ptr().cast_mut().cast(),
            iov_len: 7,
        };
        // SAFETY: as above; the second call appends like `write`.
        unsafe {
            check(libc::pwritev(log.as_raw_fd(), &line, 1, 0));
            check(libc::pwritev2(log.as_raw_fd(), &line, 1, -1, 0));
            // Neither a log nor opened as one.
            check(libc::pwritev(200, &line, 1, 0));
        }
        std::fs::remove_file(path).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let logs = seen.bytes(Class::Log, Direction::Write);
    assert_eq!(
        logs,
        [&b"appended\nplaced\nvector\nvector\n"[..], b"printed\n"]
    );
    assert!(seen.data(Class::Log, Direction::Read).is_empty());
    assert_eq!(seen.files(Class::Log)[1].fd, 1);
}

#[test]
fn terminals_are_written() {
    fn workload() {
        let (mut main, mut side) = (0, 0);
        let none = std::ptr::null_mut();
        // SAFETY: two valid integers; no name, settings or size.
        check(unsafe { libc::openpty(&mut main, &mut side, none, none.cast(), none.cast()) });
        // SAFETY: the buffer is valid for its length.
        check(unsafe { libc::write(side, b"typed\n".as_ptr().cast(), 6) });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Tty, Direction::Write), [b"typed\n"]);
}

#[test]
fn everything_else_is_left_alone() {
    fn workload() {
        let mut null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        null.write_all(b"nothing").unwrap();
        let mut zero = File::open("/dev/zero").unwrap();
        zero.read_exact(&mut [0; 16]).unwrap();
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"datagram").unwrap();
        other.recv(&mut [0; 16]).unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"datagram", udp.local_addr().unwrap()).unwrap();
        // SAFETY: no pointers.
        let event = check(unsafe { libc::eventfd(0, 0) });
        // SAFETY: the buffer is valid for its length.
        check(unsafe { libc::write(event as i32, 1u64.to_ne_bytes().as_ptr().cast(), 8) });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    for class in [Class::Tcp, Class::Unix, Class::Log, Class::Tty] {
        assert!(seen.files(class).is_empty(), "{:?}", seen.files(class));
    }
}
