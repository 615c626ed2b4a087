//! What is said of the kernel, and how closely runtimes are followed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is said of the kernel; the same for all that put probes into it.
#[derive(Clone, Debug, Default, Args)]
pub struct KernelArgs {
    /// The types of this kernel, if it does not tell them itself: BTF, or a vmlinux with it
    #[arg(long, value_name = "FILE", env = "OBSERVER_BTF")]
    pub btf: Option<PathBuf>,
}

/// How closely runtimes are followed in which that takes probes which run often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct DetailArgs {
    /// When turns of Node's event loop are told apart
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub node: Detail,
    /// When it is followed what goroutines hand to each other through channels
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub go: Detail,
}

/// When probes inside of programs are in place that run often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// For as large a share of the time as takes at most a tenth of the service's CPU time; always where they are cheap.
    #[default]
    Auto,
    /// Always, wherever it is possible.
    Precise,
    /// Nowhere.
    Off,
}
