//! What to watch, as it is typed and as it is meant.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::Args;
use observer_core::text::printable_bytes;

use super::cgroup::Hierarchies;
use super::error::PlanError;

/// What to watch. Several selections add up.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selection (several add up)")]
pub struct SelectArgs {
    /// This process, its threads and children
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
    /// Processes of this name (as in `ps -o comm`), those that start later as well
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// Processes that run this executable: a path, or a file name
    #[arg(long, value_name = "PATH")]
    pub exe: Vec<String>,
    /// Processes that listen on this TCP port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Processes in this control group and those below it: a path as in /proc/PID/cgroup, or under /sys/fs/cgroup
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Every process on this host
    #[arg(long)]
    pub all: bool,
}

/// What to watch, except for a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Processes.
    pub pids: BTreeSet<u32>,
    /// Names of processes, cut to the 15 bytes that the kernel keeps.
    pub comms: Vec<String>,
    /// Executables: paths without symbolic links, or file names.
    pub exes: Vec<String>,
    /// TCP ports listened on.
    pub ports: Vec<u16>,
    /// Control groups, as in `/proc/PID/cgroup`.
    pub cgroups: Vec<String>,
    /// Everything.
    pub all: bool,
}

impl Selection {
    /// Whether processes that start later may belong to it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.all || self.has_rules()
    }

    /// Whether anything is selected by a property of processes.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !(self.comms.is_empty()
            && self.exes.is_empty()
            && self.ports.is_empty()
            && self.cgroups.is_empty())
    }

    /// In words, one selection each.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.all {
            words.push("every process".to_owned());
        }
        words.extend(self.pids.iter().map(|pid| format!("process {pid}")));
        words.extend(
            self.comms
                .iter()
                .map(|name| format!("processes named {name}")),
        );
        words.extend(
            self.exes
                .iter()
                .map(|path| format!("processes running {path}")),
        );
        words.extend(
            self.ports
                .iter()
                .map(|port| format!("processes listening on port {port}")),
        );
        words.extend(
            self.cgroups
                .iter()
                .map(|path| format!("processes in {path}")),
        );
        words
    }
}

/// What the arguments mean; a command, if one is to be started, is selected as well.
///
/// # Errors
///
/// See [`PlanError`].
pub(super) fn plan(args: SelectArgs, command: bool) -> Result<Selection, PlanError> {
    for (values, flag) in [
        (&args.comm, "--comm"),
        (&args.exe, "--exe"),
        (&args.cgroup, "--cgroup"),
    ] {
        if values.iter().any(String::is_empty) {
            return Err(PlanError::Empty(flag));
        }
    }
    let selection = Selection {
        pids: args.pid.into_iter().collect(),
        comms: args.comm.iter().map(|name| cut_comm(name)).collect(),
        exes: args
            .exe
            .into_iter()
            .map(executable)
            .collect::<Result<_, _>>()?,
        ports: args.port,
        cgroups: groups(&args.cgroup),
        all: args.all,
    };
    if selection.all {
        if !selection.pids.is_empty() {
            return Err(PlanError::AllAndMore("--pid"));
        }
        if selection.has_rules() {
            return Err(PlanError::AllAndMore("--comm, --exe, --port or --cgroup"));
        }
    } else if selection == Selection::default() && !command {
        return Err(PlanError::NothingSelected);
    }
    Ok(selection)
}

/// A name as it is read from `/proc/PID/comm`: the kernel keeps 15 bytes (`TASK_COMM_LEN` with its NUL), and
/// cuts within a character, too.
fn cut_comm(name: &str) -> String {
    printable_bytes(&name.as_bytes()[..name.len().min(15)])
}

/// The path as `/proc/PID/exe` shows it, which knows no symbolic links: `/usr/bin/python3` is one. What does not
/// exist here is taken as it is, if it can be found elsewhere: it may come later, or be in a container.
fn executable(typed: String) -> Result<String, PlanError> {
    if !typed.contains('/') {
        return Ok(typed);
    }
    match fs::canonicalize(&typed) {
        Ok(path) if path.is_dir() => Err(PlanError::ExeIsFolder(typed)),
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(_) if Path::new(&typed).is_absolute() => Ok(typed),
        Err(error) => Err(PlanError::NoExe(typed, error.kind())),
    }
}

/// The paths as `/proc/PID/cgroup` shows them.
fn groups(typed: &[String]) -> Vec<String> {
    if typed.is_empty() {
        return Vec::new();
    }
    let mounted = Hierarchies::mounted();
    typed.iter().map(|path| mounted.group(path)).collect()
}
