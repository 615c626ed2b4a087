//! Writes that move less than they offer, and payloads that are not in memory.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    ptr,
};

use observer_core::record::{Class, Direction, Event};

use crate::support::{Seen, check, observe};

/// Positions of the corrections, and how much each took back.
fn shorts(seen: &Seen) -> Vec<(u64, u32)> {
    let short = |record: observer_core::record::Record<'_>| match record.event {
        Event::Short(short) => Some((short.pos, short.missing)),
        _ => None,
    };
    seen.decoded().filter_map(short).collect()
}

#[test]
fn a_full_socket_takes_back_what_was_announced() {
    fn workload() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let block = [b'x'; 30_000];
        let mut sent = 0;
        loop {
            match one.write(&block) {
                Ok(len) => sent += len,
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
                    break;
                }
            }
        }
        let mut received = vec![0; sent];
        other.read_exact(&mut received).unwrap();
        // The budget of the next turn.
        other.write_all(b"turn").unwrap();
        one.read_exact(&mut [0; 4]).unwrap();
        one.write_all(b"after").unwrap();
        other.read_exact(&mut [0; 5]).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.data(Class::Unix, Direction::Write);
    let read = seen.bytes(Class::Unix, Direction::Read).remove(0);
    // The last write begins where the reader has got to: nothing was counted that did not move.
    let last = wrote.iter().find(|data| data.payload == b"after").unwrap();
    assert_eq!(last.pos as usize + 5, read.len());
    assert!(read.ends_with(b"after"));
    let shorts = shorts(&seen);
    assert_eq!(shorts.last(), Some(&(last.pos, 30_000)), "{shorts:?}");
}

#[test]
fn what_is_sent_again_is_captured_again() {
    fn workload() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        // SAFETY: the option is an integer.
        check(unsafe {
            let size = 4096i32;
            let fd = one.as_raw_fd();
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw const size).cast(),
                4,
            )
        });
        let head: Vec<u8> = (0..60_000u32).map(|n| b'a' + (n % 26) as u8).collect();
        let (mut sent, mut buffer) = (0, [0; 1000]);
        while sent < head.len() {
            match one.write(&head[sent..]) {
                Ok(len) => sent += len,
                Err(_) => drop(other.read(&mut buffer).unwrap()),
            }
        }
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let head: Vec<u8> = (0..60_000u32).map(|n| b'a' + (n % 26) as u8).collect();
    assert!(shorts(&seen).len() > 10);
    assert!(seen.bytes(Class::Unix, Direction::Write) == [head]);
}

#[test]
fn vectors_that_are_cut_short_are_corrected() {
    fn workload() {
        let (one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let block = vec![b'y'; 400_000];
        let part = libc::iovec {
            iov_base: block.as_ptr().cast_mut().cast(),
            iov_len: block.len(),
        };
        let parts = [part, part];
        // SAFETY: the vector and its buffers live until the call returns.
        let sent = check(unsafe { libc::writev(one.as_raw_fd(), parts.as_ptr(), 2) });
        assert!(sent < 2 * block.len());
        other.read_exact(&mut vec![0; sent]).unwrap();
        other.write_all(b"turn").unwrap();
        (&one).read_exact(&mut [0; 4]).unwrap();
        (&one).write_all(b"after").unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let wrote = seen.data(Class::Unix, Direction::Write);
    let last = wrote.iter().find(|data| data.payload == b"after").unwrap();
    let missing = u32::try_from(800_000 - last.pos).unwrap();
    assert_eq!(shorts(&seen), [(last.pos, missing)]);
}

#[test]
fn payloads_on_pages_not_yet_in_memory_are_captured_late() {
    fn workload() {
        let path = std::env::temp_dir().join(format!("observer-page-{}", std::process::id()));
        std::fs::write(&path, vec![b'p'; 3 * 4096]).unwrap();
        let file = File::open(&path).unwrap();
        let map = || {
            // SAFETY: a new private mapping of a file that is as long.
            let start = unsafe {
                libc::mmap(
                    ptr::null_mut(),
                    3 * 4096,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE,
                    file.as_raw_fd(),
                    0,
                )
            };
            assert_ne!(start, libc::MAP_FAILED);
            start
        };
        let (one, mut other) = UnixStream::pair().unwrap();
        // SAFETY: the mapping is as long; none of its pages was touched yet.
        check(unsafe { libc::write(one.as_raw_fd(), map(), 600) });
        let mut head = *b"head";
        let parts = [
            libc::iovec {
                iov_base: head.as_mut_ptr().cast(),
                iov_len: 4,
            },
            libc::iovec {
                iov_base: map(),
                iov_len: 500,
            },
            libc::iovec {
                iov_base: head.as_mut_ptr().cast(),
                iov_len: 4,
            },
        ];
        // SAFETY: the vector and its buffers live until the call returns.
        check(unsafe { libc::writev(one.as_raw_fd(), parts.as_ptr(), 3) });
        other.read_exact(&mut [0; 1108]).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    let mut expected = vec![b'p'; 600];
    expected.extend(b"head");
    expected.extend([b'p'; 500]);
    expected.extend(b"head");
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [expected]);
    let late = observer_abi::data_flag::LATE;
    let of_data = |record: &&Vec<u8>| record[0] == observer_abi::kind::DATA;
    let records = seen.records.iter().filter(of_data);
    assert!(records.clone().any(|record| record[1] & late != 0));
    assert_eq!(
        seen.counters.probes.faults, 0,
        "all was readable in the end"
    );
}

#[test]
fn unreadable_memory_is_reported_without_payload() {
    fn workload() {
        let (one, _other) = UnixStream::pair().unwrap();
        // SAFETY: the kernel refuses the address.
        let result = unsafe { libc::write(one.as_raw_fd(), ptr::without_provenance(16), 600) };
        assert_eq!(result, -1);
        (&one).write_all(b"after").unwrap();
    }
    let Some(seen) = observe(workload) else {
        return;
    };
    assert_eq!(seen.bytes(Class::Unix, Direction::Write), [b"after"]);
    assert_eq!(shorts(&seen), [], "nothing was announced");
}
