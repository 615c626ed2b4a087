//! Records of open file descriptions and of the bytes that go through them.

use crate::Header;

/// Bits of [`Header::flags`] for [`kind::DATA`](crate::kind::DATA).
pub mod data_flag {
    /// Bytes went from the process to the file; otherwise they came from it.
    pub const WRITE: u8 = 1;
    /// The call could not block: `O_NONBLOCK` on the description or `MSG_DONTWAIT` in the call.
    pub const NONBLOCK: u8 = 2;
    /// The payload could not be read from the process's memory; the bytes count as cut.
    pub const FAULT: u8 = 4;
    /// Another record of the same system call follows (vectored input and output).
    pub const MORE: u8 = 8;
    /// A read met the end of the stream (returned 0).
    pub const EOF: u8 = 16;
    /// A write to a log, by a thread that last served a connection which is left out: so is what it writes, on purpose.
    pub const LEFT_OUT: u8 = EOF;
    /// A read failed for good (for example `ECONNRESET`); [`Data::errno`](super::Data::errno) says why.
    pub const ERROR: u8 = 32;
    /// A pipe was empty when this write began: everything written before has been read.
    pub const PIPE_EMPTY: u8 = 64;
    /// Reported when the call returned, because the payload was not readable when it began.
    pub const LATE: u8 = 128;
}

/// Bits of [`Header::flags`] for [`kind::FILE`](crate::kind::FILE).
pub mod file_flag {
    /// The connection is left out, by its [`File::lot`](super::File::lot): no more will be told of it.
    pub const LEFT_OUT: u8 = 1;
    /// With [`LEFT_OUT`]: the first bytes came in; otherwise they went out.
    pub const READ: u8 = 2;
}

/// Values of [`Data::class`] and [`File::class`]: what kind of open file description it is.
pub mod class {
    /// Not observed.
    pub const OTHER: u8 = 0;
    /// TCP over IPv4.
    pub const TCP4: u8 = 1;
    /// TCP over IPv6, IPv4-mapped addresses included.
    pub const TCP6: u8 = 2;
    /// A Unix stream or seqpacket socket, socket pairs included.
    pub const UNIX: u8 = 3;
    /// A pipe or FIFO; both ends have the same [`File::ino`](super::File::ino).
    pub const PIPE: u8 = 4;
    /// A terminal.
    pub const TTY: u8 = 5;
    /// A regular file opened for append, or standard output or standard error of the process.
    pub const LOG: u8 = 6;
}

/// Bytes moved by one read or write (or one element of a vectored one); the payload follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Data {
    /// Start of the record.
    pub header: Header,
    /// Identity of the open file description: unique while the observer runs, whatever descriptor
    /// numbers, processes or `struct file` addresses are used again.
    pub file: u64,
    /// Bytes of this direction before the first one of this record, since the description was first seen.
    pub pos: u64,
    /// Bytes moved (a read) or offered (a write; a [`Short`] follows if fewer moved).
    pub len: u32,
    /// Bytes of payload in this record, at most `len`.
    pub captured: u32,
    /// Descriptor number used.
    pub fd: i32,
    /// Positive error number with [`data_flag::ERROR`], else 0.
    pub errno: u16,
    /// One of [`class`].
    pub class: u8,
    /// One of [`runtime`](crate::runtime): whether `execution` and `origin` mean something, and what.
    pub runtime: u8,
    /// The execution that made the call, finer than its thread.
    pub execution: u64,
    /// Where that execution comes from.
    pub origin: u64,
}

/// A write that moved fewer bytes than offered (or none, on an error).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Short {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Bytes of the write direction that have moved after this call: the next write's [`Data::pos`]
    /// when no other thread wrote meanwhile.
    pub pos: u64,
    /// Bytes that the call's records offered.
    pub offered: u32,
    /// What the call returned: bytes moved, or a negative error number.
    pub ret: i32,
}

/// Longest Unix socket address, `sizeof(sockaddr_un.sun_path)`.
pub const UNIX_PATH: usize = 108;

/// Description of an open file description, sent before its first data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Inode number: of the socket, of the pipe (the same at both ends), of the file.
    pub ino: u64,
    /// Inode number of the socket at the other end of a Unix stream, 0 when unknown.
    pub peer_ino: u64,
    /// Descriptor number used.
    pub fd: i32,
    /// `f_flags` of the description.
    pub open_flags: u32,
    /// Local address; an IPv4 address fills the first four bytes.
    pub local_addr: [u8; 16],
    /// Remote address, likewise.
    pub remote_addr: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// One of [`class`].
    pub class: u8,
    /// Unused, zero.
    pub reserved: u8,
    /// Valid bytes of `path`.
    pub path_len: u16,
    /// Unix socket: the address it or its peer is bound to (a leading NUL means abstract).
    pub path: [u8; UNIX_PATH],
    /// A socket: where it lies among all connections ([`lot`](crate::lot)); the same at both ends.
    pub lot: u16,
    /// Share of connections that were left out then ([`Control::sampling`](crate::control::Control::sampling)).
    pub left_out: u16,
}

/// A watched process closed a descriptor of a known description.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Close {
    /// Start of the record.
    pub header: Header,
    /// As in [`Data::file`].
    pub file: u64,
    /// Descriptor number closed.
    pub fd: i32,
    /// 1 if no other descriptor referred to the description, so that it ends here; 0 if others may.
    pub last: u32,
}

const _: () = {
    assert!(size_of::<Data>() == 80);
    assert!(size_of::<Short>() == 56);
    assert!(size_of::<File>() == 216);
    assert!(size_of::<Close>() == 48);
};
