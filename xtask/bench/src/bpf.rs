//! Programs that do nothing, to compare the probes with; and the kernel's counting of run times.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use observer::kernel::ProgramStats;

/// Commands and types of `include/uapi/linux/bpf.h`.
const PROG_LOAD: libc::c_int = 5;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
/// `r0 = 0; exit`.
const NOTHING: [u64; 2] = [0xb7, 0x95];

/// Start of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 2],
    log_buffer: u64,
}

/// `union bpf_attr` for `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct Open {
    name: u64,
    program: u32,
    padding: u32,
}

/// A program that does nothing, attached to a raw tracepoint until it is dropped.
pub struct Empty {
    program: OwnedFd,
    _link: OwnedFd,
}

impl Empty {
    /// Loads and attaches it.
    pub fn attach(tracepoint: &str) -> Result<Self> {
        let load = Load {
            kind: PROG_TYPE_RAW_TRACEPOINT,
            count: 2,
            instructions: NOTHING.as_ptr().addr() as u64,
            license: c"GPL".as_ptr().addr() as u64,
            log: [0; 2],
            log_buffer: 0,
        };
        let program = bpf(PROG_LOAD, &load).context("loading an empty program")?;
        let name = CString::new(tracepoint)?;
        let open = Open {
            name: name.as_ptr().addr() as u64,
            program: u32::try_from(program.as_raw_fd())?,
            padding: 0,
        };
        let link = bpf(RAW_TRACEPOINT_OPEN, &open)
            .with_context(|| format!("attaching an empty program to {tracepoint}"))?;
        Ok(Self {
            program,
            _link: link,
        })
    }

    /// What the kernel counted for it.
    pub fn stats(&self, name: &'static str) -> ProgramStats {
        ProgramStats::read(name, self.program.as_raw_fd()).unwrap_or_default()
    }
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `attributes` and what they point to, which outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

const ENABLED: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel counts run times while this lives.
pub struct Stats(String);

impl Stats {
    /// Has them counted.
    pub fn enable() -> Result<Self> {
        let before = fs::read_to_string(ENABLED).context("reading kernel.bpf_stats_enabled")?;
        fs::write(ENABLED, "1").context("setting kernel.bpf_stats_enabled")?;
        Ok(Self(before))
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        if let Err(error) = fs::write(ENABLED, &self.0) {
            eprintln!(
                "kernel.bpf_stats_enabled can't be set back to {}: {error}",
                self.0.trim()
            );
        }
    }
}
