//! Sockets that are driven through an `io_uring`, one operation at a time.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types::Fd};

/// Why there are no rings here, if so: old kernels have none, and some hosts forbid them.
#[must_use]
pub fn unavailable() -> Option<String> {
    let error = IoUring::new(1).err()?;
    Some(format!("no io_uring: {error}"))
}

/// A ring that nothing is done with; it is there until it is dropped.
///
/// # Errors
/// When the kernel refuses.
pub fn hold() -> io::Result<IoUring> {
    IoUring::new(1)
}

/// A connection whose bytes move through a ring of its own.
pub struct RingStream {
    ring: IoUring,
    stream: TcpStream,
}

impl RingStream {
    /// Makes a ring for `stream`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        let ring = IoUring::new(1)?;
        Ok(Self { ring, stream })
    }

    fn fd(&self) -> Fd {
        Fd(self.stream.as_raw_fd())
    }

    /// Submits an operation and waits for its end: how many bytes it has moved.
    ///
    /// # Safety
    /// The memory that `entry` names must be valid until this returns.
    unsafe fn complete(&mut self, entry: &squeue::Entry) -> io::Result<usize> {
        // SAFETY: as this function demands; the queue holds one entry and is empty between operations.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)?;
        self.ring.submit_and_wait(1)?;
        let done = self.ring.completion().next();
        let result = done.map_or(0, |done| done.result());
        usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
    }
}

impl Read for RingStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let entry = opcode::Recv::new(self.fd(), into.as_mut_ptr(), len).build();
        // SAFETY: `into` outlives the call.
        unsafe { self.complete(&entry) }
    }
}

impl Write for RingStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let len = u32::try_from(from.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(self.fd(), from.as_ptr(), len).build();
        // SAFETY: `from` outlives the call.
        unsafe { self.complete(&entry) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
