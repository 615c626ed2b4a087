//! Runs a command with less than a root process has.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Gid, Uid},
    system::uname,
    thread::{
        CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set,
        set_capabilities, set_thread_gid, set_thread_uid, unshare_unsafe,
    },
};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
/// Capabilities that a container has by default, of those that matter here none: it has neither
/// `CAP_BPF` nor `CAP_PERFMON`, `CAP_SYS_ADMIN` or `CAP_SYS_PTRACE`.
const CONTAINER: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT);

/// Becomes `command`, restricted as `how` says.
///
/// # Errors
///
/// If a restriction is unknown or refused, or the command can't be started.
pub fn run(how: &str, command: &[&str]) -> Result<()> {
    match how {
        "nobody" => nobody()?,
        "container" => container()?,
        "without-btf" => without_btf()?,
        _ => bail!("unknown restriction {how}"),
    }
    let (program, args) = command.split_first().context("no command")?;
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("starting {program}"))
}

fn nobody() -> Result<()> {
    set_thread_gid(Gid::from_raw(NOBODY))?;
    set_thread_uid(Uid::from_raw(NOBODY))?;
    Ok(())
}

/// Root with what a container leaves it.
fn container() -> Result<()> {
    for capability in CapabilitySet::all().difference(CONTAINER).iter() {
        match remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error).context("dropping a capability"),
        }
    }
    set_capabilities(
        None,
        CapabilitySets {
            effective: CONTAINER,
            permitted: CONTAINER,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// Where the kernel tells its types.
const TYPES: &str = "/sys/kernel/btf";

/// Keeps the kernel's type information in a file, and where files of its build lie.
///
/// # Errors
///
/// If it can't be copied.
pub fn keep_types(at: &Path) -> Result<()> {
    let types = fs::read(format!("{TYPES}/vmlinux")).context("reading the kernel's types")?;
    fs::write(at, &types).with_context(|| format!("writing {}", at.display()))?;
    fs::create_dir_all("/boot")?;
    let release = uname().release().to_string_lossy().into_owned();
    fs::write(format!("/boot/vmlinux-{release}"), &types).context("writing them to /boot")?;
    Ok(())
}

/// Hides the kernel's type information, as on a kernel that was built without.
fn without_btf() -> Result<()> {
    // SAFETY: of a process with a single thread, and no memory or descriptors are unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    mount("tmpfs", TYPES, "tmpfs", MountFlags::empty(), None)?;
    Ok(())
}
