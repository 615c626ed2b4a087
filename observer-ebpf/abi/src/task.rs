//! Records of the lives of threads and processes.

use crate::Header;

/// Something that happened to a thread or process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Task {
    /// Start of the record: the thread that acted.
    pub header: Header,
    /// Process acted upon: the child, the executing process, the exiting thread's process.
    pub tgid: u32,
    /// Thread acted upon.
    pub tid: u32,
    /// Its `comm`, NUL-padded.
    pub comm: [u8; 16],
}

/// A thread that was started by an execution finer than threads (a Java virtual thread).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Started {
    /// As in records without that.
    pub task: Task,
    /// The execution, as in [`Data::execution`](crate::Data::execution).
    pub execution: u64,
    /// One of [`runtime`](crate::runtime).
    pub runtime: u8,
    /// Unused, zero.
    pub reserved: [u8; 7],
}

const _: () = {
    assert!(size_of::<Task>() == 56);
    assert!(size_of::<Started>() == 72);
};
