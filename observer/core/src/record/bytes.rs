//! What records tell of open file descriptions, and of the bytes that move through them.

use std::net::SocketAddr;

use super::Execution;
use crate::ids::FileId;

/// Which way bytes moved, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the file into the process.
    Read,
    /// From the process into the file.
    Write,
}

/// What kind of open file description something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A Unix stream socket, socket pairs included.
    Unix,
    /// A pipe or FIFO.
    Pipe,
    /// A terminal.
    Tty,
    /// A regular file that is appended to, or standard output or error.
    Log,
}

/// Bytes moved by one read or write.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// The description that was used.
    pub file: FileId,
    /// What kind it is.
    pub class: Class,
    /// Which way the bytes moved.
    pub direction: Direction,
    /// Bytes of this direction before the first one of this record.
    pub pos: u64,
    /// Bytes moved or offered.
    pub len: u32,
    /// The first of these bytes, as many as were captured.
    pub payload: &'a [u8],
    /// Descriptor number.
    pub fd: i32,
    /// Whether the call could not block.
    pub nonblocking: bool,
    /// Another record of the same call follows.
    pub more: bool,
    /// The pipe was empty when this write began.
    pub pipe_empty: bool,
    /// Written to a log by a thread that last served a connection which is left out: so is this, on purpose.
    pub left_out: bool,
    /// How the stream ended, if it did.
    pub end: Option<End>,
    /// The execution that made the call, where the runtime has finer ones than threads.
    pub execution: Option<Execution>,
}

/// How a read direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed it.
    Eof,
    /// A call failed with this error number.
    Error(u16),
}

/// A write that moved less than its records offered.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    /// The description that was used.
    pub file: FileId,
    /// Position after the call.
    pub pos: u64,
    /// Bytes that did not move although they were reported.
    pub missing: u32,
}

/// What an open file description is.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its identity.
    pub file: FileId,
    /// Its kind.
    pub class: Class,
    /// Descriptor number first used.
    pub fd: i32,
    /// Opened for append.
    pub append: bool,
    /// Inode number; both ends of a pipe have the same.
    pub ino: u64,
    /// Inode number of the socket at the other end of a Unix stream, if known.
    pub peer_ino: Option<u64>,
    /// Addresses of a TCP connection.
    pub tcp: Option<TcpAddresses>,
    /// Path of a Unix socket, of either side.
    pub path: &'a [u8],
    /// Where a connection lies among all connections (`observer_abi::lot`); 0 if it is always observed.
    pub lot: u16,
    /// The share of connections that was observed then, in 65 536ths.
    pub keep: u32,
    /// It is left out by its lot, so that nothing more is told of it: which way its first bytes went.
    pub left_out: Option<Direction>,
}

/// Both ends of a TCP connection, as one side sees them. IPv4-mapped addresses are shown as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpAddresses {
    /// The observed process's side.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
}

impl TcpAddresses {
    /// The same connection as the other side sees it.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            local: self.remote,
            remote: self.local,
        }
    }
}
