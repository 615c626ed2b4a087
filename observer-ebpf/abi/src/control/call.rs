//! What the probes do with a system call; the values of the [`CALLS`](super::CALLS) table.
//!
//! The high half of the byte is the family, so that the probes branch on it once.

/// Not looked at. Zero, so that an empty table ignores everything.
pub const NONE: u8 = 0;

/// Mask of the family bits.
pub const FAMILY: u8 = 0xf0;
/// Family: bytes come in; reported when the call returns.
pub const READS: u8 = 0x10;
/// `read(fd, buf, count)`.
pub const READ: u8 = READS;
/// `recvfrom(fd, buf, len, flags, …)`.
pub const RECVFROM: u8 = READS | 1;
/// `readv(fd, iov, iovcnt)`.
pub const READV: u8 = READS | 2;
/// `recvmsg(fd, msg, flags)`.
pub const RECVMSG: u8 = READS | 3;
/// `recvmmsg(fd, msgvec, vlen, flags, …)`.
pub const RECVMMSG: u8 = READS | 4;
/// `preadv2(fd, iov, iovcnt, pos_l, pos_h, flags)`; `preadv` and `pread64` can't read what has no
/// positions, and of files with positions only what is written matters.
pub const PREADV2: u8 = READS | 5;

/// Family: bytes go out; reported when the call begins.
pub const WRITES: u8 = 0x20;
/// `write(fd, buf, count)`.
pub const WRITE: u8 = WRITES;
/// `sendto(fd, buf, len, flags, …)`.
pub const SENDTO: u8 = WRITES | 1;
/// `writev(fd, iov, iovcnt)`.
pub const WRITEV: u8 = WRITES | 2;
/// `sendmsg(fd, msg, flags)`.
pub const SENDMSG: u8 = WRITES | 3;
/// `pwrite64(fd, buf, count, offset)`; only logs are looked at.
pub const PWRITE: u8 = WRITES | 5;
/// `pwritev(fd, iov, iovcnt, pos_l, pos_h)`; only logs are looked at.
pub const PWRITEV: u8 = WRITES | 6;
/// `pwritev2(fd, iov, iovcnt, pos_l, pos_h, flags)`.
pub const PWRITEV2: u8 = WRITES | 7;
/// `vmsplice(fd, iov, nr_segs, flags)`: a write to the writing end of a pipe, a read from the other.
pub const VMSPLICE: u8 = WRITES | 8;

/// Family: bytes go out, and how many is known only when the call returns.
pub const MOVES: u8 = 0x30;
/// `sendmmsg(fd, msgvec, vlen, flags)`.
pub const SENDMMSG: u8 = MOVES | 4;
/// `sendfile(out_fd, in_fd, …)`.
pub const SENDFILE: u8 = MOVES | 6;
/// `splice(fd_in, off_in, fd_out, …)`.
pub const SPLICE: u8 = MOVES | 7;
/// `tee(fd_in, fd_out, …)`: takes nothing from `fd_in`.
pub const TEE: u8 = MOVES | 8;

/// Family: a descriptor is closed.
pub const CLOSES: u8 = 0x40;
/// `close(fd)`.
pub const CLOSE: u8 = CLOSES;
/// `dup2(oldfd, newfd)`, `dup3`: closes `newfd`.
pub const DUP2: u8 = CLOSES | 1;
/// `close_range(first, last, flags)`.
pub const CLOSE_RANGE: u8 = CLOSES | 2;

/// Family: the thread waits.
pub const WAITS: u8 = 0x50;
/// `epoll_wait`, `epoll_pwait`, `epoll_pwait2`.
pub const EVENT_LOOP: u8 = WAITS;
/// `poll`, `ppoll` (the second argument counts descriptors).
pub const POLL: u8 = WAITS | 1;
/// `select`, `pselect6` (the first argument is 0 where there are no descriptors).
pub const SELECT: u8 = WAITS | 2;
/// `accept`, `accept4`.
pub const ACCEPT: u8 = WAITS | 3;
/// `io_uring_enter(fd, to_submit, min_complete, …)`.
pub const RING_ENTER: u8 = WAITS | 4;
/// `io_uring_setup(entries, params)`: waits for nothing, but is looked at like the one above.
pub const RING_SETUP: u8 = WAITS | 5;

/// Family: a socket is connected.
pub const CONNECTS: u8 = 0x60;
/// `connect(fd, addr, addrlen)`.
pub const CONNECT: u8 = CONNECTS;

/// Family: threads wait for each other; looked at only in processes with [`watch::WAKES`](super::watch::WAKES) or [`KEEPS`](super::watch::KEEPS).
pub const FUTEXES: u8 = 0x70;
/// `futex(uaddr, op, val, …)`.
pub const FUTEX: u8 = FUTEXES;
