//! Why a capture could not be started, and what to do about it.

use std::io;

use super::types::TypesError;

/// Why a capture could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process lacks privileges.
    #[error(
        "no permission to {operation}: run as root, or grant CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE \
         (before Linux 5.8: CAP_SYS_ADMIN)"
    )]
    Privileges {
        /// What was refused.
        operation: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel is locked down.
    #[error(
        "kernel lockdown is in confidentiality mode, which forbids BPF programs to read memory: boot \
         with lockdown=integrity or none"
    )]
    Lockdown,
    /// The kernel has no ring buffer.
    #[error("Linux {found} is too old: the probes need 5.8 or later (BPF ring buffer)")]
    KernelTooOld {
        /// The running release.
        found: String,
    },
    /// The kernel's structures are not known, or not as expected.
    #[error(transparent)]
    Types(#[from] TypesError),
    /// Process ids would not mean what the kernel means.
    #[error(
        "this process runs in a pid namespace of its own, but the kernel reports the host's ids: run on \
         the host, or with the host's pid namespace (docker run --pid=host, hostPID: true)"
    )]
    PidNamespace,
    /// Memory for maps was refused.
    #[error(
        "no memory to {operation}: lower the sizes, or raise RLIMIT_MEMLOCK (ulimit -l unlimited)"
    )]
    Memory {
        /// What was refused.
        operation: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A probe that nothing works without could not be attached.
    #[error("the probe {name} could not be attached: {reason}")]
    Probe {
        /// The program.
        name: &'static str,
        /// Why, as the kernel or the verifier said.
        reason: String,
    },
    /// One probe could run amid another one, and mix up what both are about.
    #[error(
        "this kernel may preempt probes: perf, whose probes are not, refuses them ({why}), and without the kernel's own types \
         (/sys/kernel/btf/vmlinux) or its BPF compiler (net.core.bpf_jit_enable) they can't hold it off: mount tracefs \
         (mount -t tracefs tracefs /sys/kernel/tracing)"
    )]
    Disturbed {
        /// Why perf refuses.
        why: String,
    },
    /// Anything else that went wrong while loading.
    #[error("the probes could not be loaded: {0}")]
    Load(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// A map of the object could not be used.
    #[error("the map {name} of the probes could not be used")]
    Map {
        /// The map.
        name: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

impl CaptureError {
    /// Finds the words for an error that aya returned while doing `operation`.
    pub(super) fn classify(
        operation: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let operation = operation.to_owned();
        match os_error(&error) {
            Some(libc::EPERM | libc::EACCES) if super::host::confidentiality_lockdown() => {
                Self::Lockdown
            }
            Some(code @ (libc::EPERM | libc::EACCES)) => Self::Privileges {
                operation,
                source: io::Error::from_raw_os_error(code),
            },
            Some(code @ libc::ENOMEM) => Self::Memory {
                operation,
                source: io::Error::from_raw_os_error(code),
            },
            _ => Self::Load(Box::new(error)),
        }
    }
}

/// The error number at the bottom of a chain of errors.
pub(super) fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        next = error.source();
    }
    None
}
