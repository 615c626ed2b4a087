//! The file system of the machine outside: mounted read-only, with a layer above it that is written to.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    mount::{MountFlags, mount, mount_bind_recursive},
    process::{chdir, chroot},
    system::finit_module,
};

/// Drivers, in the order of their names.
const MODULES: &str = "/modules";
/// What the emulator calls the file system.
const TAG: &str = "host";
/// Where it is mounted, the layer above it, and both together.
const BELOW: &str = "/below";
const ABOVE: &str = "/above";
const ROOT: &str = "/root";
/// How many times longer than outside what is run there may take.
const PATIENCE: &str = "10";
/// Programs of this machine that are wanted there as well: in `/tmp`.
const PROGRAMS: [&str; 2] = ["observer", "truth"];

/// Mounts it.
///
/// # Errors
///
/// If a driver is refused, or a mount.
pub fn mount_all() -> Result<()> {
    drivers()?;
    let options = c"trans=virtio,version=9p2000.L,msize=262144,cache=loose";
    for folder in [BELOW, ABOVE, ROOT] {
        fs::create_dir_all(folder)?;
    }
    mount(TAG, BELOW, "9p", MountFlags::RDONLY, options).context("mounting 9p")?;
    let none = MountFlags::empty();
    mount("tmpfs", ABOVE, "tmpfs", none, None).context("mounting the layer")?;
    fs::create_dir(format!("{ABOVE}/upper"))?;
    fs::create_dir(format!("{ABOVE}/work"))?;
    let layers = c"lowerdir=/below,upperdir=/above/upper,workdir=/above/work";
    mount("overlay", ROOT, "overlay", none, layers).context("mounting both")?;
    for name in ["proc", "sys", "dev"] {
        mount_bind_recursive(format!("/{name}"), format!("{ROOT}/{name}"))
            .with_context(|| format!("mounting /{name}"))?;
    }
    let temporary = format!("{ROOT}/tmp");
    mount("tmpfs", &temporary, "tmpfs", none, None).context("mounting /tmp")?;
    for program in PROGRAMS {
        fs::copy(format!("/bin/{program}"), format!("{temporary}/{program}"))
            .with_context(|| format!("copying {program}"))?;
    }
    Ok(())
}

fn drivers() -> Result<()> {
    let mut modules: Vec<_> = fs::read_dir(MODULES)
        .context("looking for drivers")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    modules.sort();
    for module in modules {
        insert(&module).with_context(|| format!("inserting {}", module.display()))?;
    }
    Ok(())
}

fn insert(module: &Path) -> Result<()> {
    match finit_module(File::open(module)?, c"", 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Becomes `command`, in that file system.
///
/// # Errors
///
/// If it can't be started.
pub fn run(command: &[&str]) -> Result<()> {
    let (program, args) = command.split_first().context("no command")?;
    chroot(ROOT)?;
    chdir("/")?;
    let error = Command::new(program)
        .args(args)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("OBSERVER_BIN", "/tmp/observer")
        .env("OBSERVER_PATIENCE", PATIENCE)
        .exec();
    Err(error).with_context(|| format!("starting {program}"))
}
