//! What a capture is started with.

use std::path::PathBuf;

/// Sizes and limits of a capture. The default suits a host with some thousand connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Size of the ring in bytes; rounded up to a power of two of at least one page. Twice as much
    /// counts as this process's resident memory, since the ring is mapped twice in a row.
    pub ring_bytes: u32,
    /// Open file descriptions that the probes remember; the least recently used one is forgotten
    /// first, and is a new description when it is seen again.
    pub files: u32,
    /// Threads that may be in a call at once without the probes confusing them; rounded up to a
    /// power of two. Threads beyond lose only precision of time: their writes are reported when
    /// they return.
    pub threads: u32,
    /// Bytes of payload captured of one direction of a socket before the direction changes.
    pub turn_bytes: u32,
    /// Bytes of payload captured of one write to a log or terminal.
    pub log_bytes: u32,
    /// Where only a share of connections is observed, leave out what threads log while they serve others.
    pub sample_logs: bool,
    /// Bytes of payload captured of one read from a pipe.
    pub pipe_read_bytes: u32,
    /// Watch every process but this one.
    pub all: bool,
    /// Report programs executed by unwatched processes too, so that they can be selected by name.
    pub all_execs: bool,
    /// The file that tells the kernel's types, BTF or ELF with a section of it; without it, the kernel does, or a file of
    /// its build that lies where such do.
    pub types: Option<PathBuf>,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            ring_bytes: 8 << 20,
            files: 1 << 15,
            threads: 1 << 14,
            turn_bytes: 64 << 10,
            log_bytes: 16 << 10,
            sample_logs: true,
            pipe_read_bytes: 256,
            all: false,
            all_execs: false,
            types: None,
        }
    }
}
