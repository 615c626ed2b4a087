//! Every system call that moves bytes, over a connection of two ends in one process.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd, RawFd},
        unix::net::UnixStream,
    },
    ptr,
};

use observer_core::record::{Class, Direction, End, Event};

use crate::support::{check, observe, readable};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn iovec(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn message(parts: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is a message without name, vector or control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    message
}

fn write_byte(stream: &mut UnixStream, byte: u8) {
    stream.write_all(&[byte; 3]).unwrap();
}

/// Reads with the call number `call` of the list below.
fn receive(fd: RawFd, call: u32) {
    let (mut one, mut two) = ([0; 2], [0; 8]);
    let mut parts = [iovec(&mut one), iovec(&mut two)];
    let mut header = message(&mut parts);
    let mut headers = [libc::mmsghdr {
        msg_hdr: header,
        msg_len: 0,
    }];
    // SAFETY: all pointers are to live local variables of the lengths given.
    let result = unsafe {
        match call {
            0 => libc::read(fd, two.as_mut_ptr().cast(), 8),
            1 => libc::readv(fd, parts.as_ptr(), 2),
            2 => libc::recvfrom(
                fd,
                two.as_mut_ptr().cast(),
                8,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
            ),
            3 => libc::recvmsg(fd, &mut header, 0),
            4 => libc::preadv2(fd, parts.as_ptr(), 2, -1, 0),
            _ => libc::recvmmsg(fd, headers.as_mut_ptr(), 1, 0, ptr::null_mut()) as isize,
        }
    };
    check(result);
}

/// Writes with the call number `call` of the list below.
fn send(fd: RawFd, call: u32) {
    let (mut one, mut two) = (*b"ab", *b"cde");
    let mut parts = [iovec(&mut one), iovec(&mut two)];
    let header = message(&mut parts);
    let mut headers = [libc::mmsghdr {
        msg_hdr: header,
        msg_len: 0,
    }; 6];
    // SAFETY: all pointers are to live local variables of the lengths given.
    let result = unsafe {
        match call {
            0 => libc::write(fd, b"abcde".as_ptr().cast(), 5),
            1 => libc::writev(fd, parts.as_ptr(), 2),
            2 => libc::sendto(fd, b"abcde".as_ptr().cast(), 5, 0, ptr::null(), 0),
            3 => libc::sendmsg(fd, &header, 0),
            4 => libc::pwritev2(fd, parts.as_ptr(), 2, -1, 0),
            _ => libc::sendmmsg(fd, headers.as_mut_ptr(), 6, 0) as isize,
        }
    };
    check(result);
}

#[test]
fn every_reading_call() {
    fn workload() {
        for (call, byte) in (0..6).zip(b'0'..) {
            let (mut one, other) = pair();
            write_byte(&mut one, byte);
            receive(other.as_raw_fd(), call);
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let read = seen.bytes(Class::Unix, Direction::Read);
    assert_eq!(read, [b"000", b"111", b"222", b"333", b"444", b"555"]);
}

#[test]
fn every_writing_call() {
    fn workload() {
        for call in 0..6 {
            let (one, _other) = pair();
            send(one.as_raw_fd(), call);
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let mut wrote = seen.bytes(Class::Unix, Direction::Write);
    let many = wrote.pop().unwrap();
    assert_eq!(wrote, [b"abcde"; 5]);
    // Of `sendmmsg` the first four messages are captured, the others only counted.
    assert_eq!(many, b"abcdeabcdeabcdeabcde??????????");
    assert!(!seen.decoded().any(|r| matches!(r.event, Event::Short(_))));
}

#[test]
fn short_parts_of_a_vector_are_one_record() {
    fn workload() {
        let (one, other) = pair();
        send(one.as_raw_fd(), 1);
        receive(other.as_raw_fd(), 3);
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    for direction in [Direction::Write, Direction::Read] {
        let data = seen.data(Class::Unix, direction);
        let told: Vec<_> = data.iter().map(|d| (d.pos, d.payload, d.more)).collect();
        assert_eq!(told, [(0, &b"abcde"[..], false)]);
    }
}

#[test]
fn long_parts_of_a_vector_are_records_of_one_call() {
    fn workload() {
        let (one, mut other) = pair();
        let (mut head, mut body) = ([b'h'; 100], [b'b'; 3997]);
        for len in [3996, 3997] {
            let parts = [iovec(&mut head), iovec(&mut body[..len]), iovec(&mut [])];
            // SAFETY: the vector and its buffers live until the call returns.
            let wrote = unsafe { libc::writev(one.as_raw_fd(), parts.as_ptr(), 3) };
            other.read_exact(&mut vec![0; check(wrote)]).unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let data = seen.data(Class::Unix, Direction::Write);
    let told: Vec<_> = data
        .iter()
        .map(|d| (d.len, d.payload.len(), d.more))
        .collect();
    let expected = [(4096, 4096, false), (100, 100, true), (3997, 3997, false)];
    assert_eq!(told, expected);
    let expected = [vec![b'h'; 100], vec![b'b'; 3996]].concat();
    assert!(data[0].payload == expected);
}

#[test]
fn long_vectors_lose_payload_but_no_position() {
    fn workload() {
        for elements in [20, 64, 200] {
            let (one, mut other) = pair();
            let mut byte = *b"x";
            let parts: Vec<_> = (0..elements).map(|_| iovec(&mut byte)).collect();
            // SAFETY: the vector and its buffers live until the call returns.
            let wrote = unsafe { libc::writev(one.as_raw_fd(), parts.as_ptr(), elements) };
            assert_eq!(check(wrote), parts.len());
            let mut all = vec![0; parts.len()];
            other.read_exact(&mut all).unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.bytes(Class::Unix, Direction::Write);
    for (stream, elements) in wrote.iter().zip([20, 64, 200]) {
        let mut expected = vec![b'?'; elements];
        expected[..16].fill(b'x');
        assert_eq!(*stream, expected);
    }
    assert_eq!(wrote.len(), 3);
}

#[test]
fn bytes_moved_inside_the_kernel_are_counted() {
    fn workload() {
        let (one, other) = pair();
        let (_pipe_out, pipe_in) = std::io::pipe().unwrap();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let (fd, offset) = (one.as_raw_fd(), ptr::null_mut());
        // SAFETY: no offsets; descriptors are open.
        check(unsafe { libc::sendfile(fd, file.as_raw_fd(), offset, 1000) });
        let to = pipe_in.as_raw_fd();
        // SAFETY: as above.
        check(unsafe {
            libc::splice(
                other.as_raw_fd(),
                ptr::null_mut(),
                to,
                ptr::null_mut(),
                600,
                0,
            )
        });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let unknown = |len: usize| vec![vec![b'?'; len]];
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), unknown(1000));
    assert_eq!(seen.bytes(Class::Unix, Direction::Read), unknown(600));
    assert_eq!(seen.bytes(Class::Pipe, Direction::Write), unknown(600));
}

#[test]
fn memory_spliced_into_a_pipe_and_out_of_it_is_captured() {
    fn workload() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (mut one, mut two, mut all) = (*b"ab", *b"cde", [0; 5]);
        let parts = [iovec(&mut one), iovec(&mut two)];
        // SAFETY: the vectors and their buffers live until the pipe is empty.
        unsafe {
            check(libc::vmsplice(writer.as_raw_fd(), parts.as_ptr(), 2, 0));
            check(libc::vmsplice(reader.as_raw_fd(), &iovec(&mut all), 1, 0));
        }
        assert_eq!(&all, b"abcde");
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Pipe, Direction::Write), [b"abcde"]);
    assert_eq!(seen.bytes(Class::Pipe, Direction::Read), [b"abcde"]);
    let written = seen.data(Class::Pipe, Direction::Write);
    assert!(written[0].pipe_empty);
}

#[test]
fn a_copy_from_pipe_to_pipe_is_written_but_not_read() {
    fn workload() {
        let (from, mut fill) = std::io::pipe().unwrap();
        let (_other, to) = std::io::pipe().unwrap();
        fill.write_all(b"twice").unwrap();
        // SAFETY: no pointers.
        check(unsafe { libc::tee(from.as_raw_fd(), to.as_raw_fd(), 5, 0) });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.bytes(Class::Pipe, Direction::Write);
    assert_eq!(wrote, [b"twice", b"?????"]);
    assert!(seen.data(Class::Pipe, Direction::Read).is_empty());
}

#[test]
fn calls_that_ask_not_to_block_are_marked() {
    fn workload() {
        let (mut one, other) = pair();
        one.write_all(b"abc").unwrap();
        let mut bytes = [0; 8];
        let parts = [iovec(&mut bytes)];
        let (fd, flags) = (other.as_raw_fd(), libc::RWF_NOWAIT);
        // SAFETY: the vector and its buffer live until the call returns.
        check(unsafe { libc::preadv2(fd, parts.as_ptr(), 1, -1, flags) });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let read = seen.data(Class::Unix, Direction::Read);
    assert_eq!((read[0].payload, read[0].nonblocking), (&b"abc"[..], true));
}

#[test]
fn a_look_ahead_is_no_read() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(b"once").unwrap();
        assert_eq!(server.peek(&mut [0; 4]).unwrap(), 4);
        server.read_exact(&mut [0; 4]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Tcp, Direction::Read), [b"once"]);
}

#[test]
fn discarded_bytes_are_counted() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        client.write_all(b"gone").unwrap();
        let (fd, flags) = (server.as_raw_fd(), libc::MSG_TRUNC | libc::MSG_WAITALL);
        // SAFETY: with `MSG_TRUNC` a TCP socket writes nothing to the buffer.
        check(unsafe { libc::recv(fd, ptr::null_mut(), 4, flags) });
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Tcp, Direction::Read), [b"????"]);
}

#[test]
fn a_reset_is_the_end_of_a_stream_and_a_retry_is_not() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        client.set_nonblocking(true).unwrap();
        let again = client.read(&mut [0; 8]).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EAGAIN));
        client.write_all(b"unread").unwrap();
        client.set_nonblocking(false).unwrap();
        readable(server.as_raw_fd());
        // Closing a socket with unread bytes resets the connection.
        drop(server);
        let reset = client.read(&mut [0; 8]).unwrap_err();
        assert_eq!(reset.raw_os_error(), Some(libc::ECONNRESET));
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let reset = u16::try_from(libc::ECONNRESET).unwrap();
    assert_eq!(seen.ends(Class::Tcp), [End::Error(reset)]);
    let wrote = seen.data(Class::Tcp, Direction::Write);
    assert!(wrote[0].nonblocking);
}

#[test]
fn waiting_is_told_with_the_next_data() {
    fn workload() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(b"a").unwrap();
        let mut fds = [libc::pollfd {
            fd: server.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }; 3];
        // SAFETY: the array has as many elements as are given.
        check(unsafe { libc::poll(fds.as_mut_ptr(), 3, 1000) });
        server.read_exact(&mut [0; 1]).unwrap();
        server.write_all(b"b").unwrap();
        // SAFETY: no pointers.
        let epoll = check(unsafe { libc::epoll_create1(0) });
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        check(unsafe { libc::epoll_wait(epoll as i32, &mut event, 1, 0) });
        server.write_all(b"c").unwrap();
        for last in [0, server.as_raw_fd() + 1] {
            let mut time = libc::timeval {
                tv_sec: 0,
                tv_usec: 1,
            };
            let none = ptr::null_mut();
            // SAFETY: no sets, and a time.
            check(unsafe { libc::select(last, none, none, none, &mut time) });
            server.write_all(b"d").unwrap();
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let told: Vec<(bool, bool, bool)> = seen
        .decoded()
        .filter(|record| matches!(record.event, Event::Data(data) if data.class == Class::Tcp))
        .map(|record| record.waited)
        .map(|waited| (waited.accept(), waited.poll_many(), waited.event_loop()))
        .collect();
    let nothing = (false, false, false);
    assert_eq!(
        told,
        [
            (true, false, false),
            (false, true, false),
            nothing,
            (false, false, true),
            // Without descriptors it slept.
            nothing,
            (false, true, false),
        ]
    );
}
