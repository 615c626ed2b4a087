//! The programs that go into a machine, and the file system around them.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use observer_guest::{PLAN, Plan, VERIFIED};

use super::{arm, initramfs::Archive, kernels::Arch};
use crate::project::{cargo, root, run};

/// What a machine runs: the observer and the first process, with their libraries.
pub struct Programs {
    observer: PathBuf,
    guest: PathBuf,
    /// Where they are in the machine, and here.
    libraries: Vec<(String, PathBuf)>,
}

/// Builds the programs for arm64.
///
/// # Errors
///
/// If they can't be built.
pub fn foreign(folder: &Path) -> Result<Programs> {
    let to = place(folder, Arch::Aarch64)?;
    let built = arm::build(folder)?;
    Ok(Programs {
        observer: strip(arm::STRIP, &built.join("observer"), &to)?,
        guest: strip(arm::STRIP, &built.join("guest"), &to)?,
        libraries: arm::libraries(),
    })
}

/// Builds the programs for this machine's architecture, but for the observer if there is one.
///
/// # Errors
///
/// If they can't be built, or this machine is no x86-64.
pub fn native(folder: &Path, observer: Option<&Path>) -> Result<Programs> {
    ensure!(
        std::env::consts::ARCH == Arch::X86_64.name(),
        "programs for x86-64 are built on x86-64 alone"
    );
    let to = place(folder, Arch::X86_64)?;
    let mut build = cargo(["build", "--locked", "--quiet", "-p", "observer-guest"])?;
    build.args(["-p", "observer-verified"]);
    if observer.is_none() {
        build.args(["-p", "observer"]);
    }
    run(build)?;
    let built = built()?;
    let observer = observer.map_or_else(|| built.join("observer"), Path::to_owned);
    let guest = built.join("guest");
    let mut libraries = needed(&observer)?;
    libraries.extend(needed(&guest)?);
    libraries.sort();
    libraries.dedup();
    libraries.push((VERIFIED.to_owned(), built.join("libobserver_verified.so")));
    Ok(Programs {
        observer: strip("strip", &observer, &to)?,
        guest: strip("strip", &guest, &to)?,
        libraries,
    })
}

/// Where the programs for an architecture go.
fn place(folder: &Path, arch: Arch) -> Result<PathBuf> {
    let to = folder.join(format!("programs/{}", arch.name()));
    fs::create_dir_all(&to).with_context(|| format!("making {}", to.display()))?;
    Ok(to)
}

/// A copy without debug information, which is most of it.
fn strip(strip: &str, program: &Path, to: &Path) -> Result<PathBuf> {
    let to = to.join(program.file_name().context("no file name")?);
    let mut command = Command::new(strip);
    command.arg("-o").arg(&to).arg(program);
    run(command)?;
    Ok(to)
}

/// The libraries that a program is linked with.
fn needed(program: &Path) -> Result<Vec<(String, PathBuf)>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("starting ldd")?;
    ensure!(
        output.status.success(),
        "ldd fails on {}",
        program.display()
    );
    let output = String::from_utf8_lossy(&output.stdout);
    // `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` of the loader.
    let paths = output
        .split_ascii_whitespace()
        .filter(|word| word.starts_with('/'));
    Ok(paths.map(|path| (path.to_owned(), path.into())).collect())
}

/// Builds the truth bench for this machine's architecture; where it goes in a machine, and where it lies here.
///
/// # Errors
///
/// If it can't be built.
pub fn bench(folder: &Path) -> Result<(String, PathBuf)> {
    let to = place(folder, Arch::X86_64)?;
    let package = ["-p", "observer-e2e", "--bin", "truth"];
    let build = ["build", "--locked", "--quiet"];
    run(cargo([&build[..], &package].concat())?)?;
    let bench = strip("strip", &built()?.join("truth"), &to)?;
    Ok(("/bin/truth".to_owned(), bench))
}

/// Where cargo puts programs.
fn built() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(root()?.join(target).join("debug"))
}

impl Programs {
    /// Writes a file system with the programs, a `plan`, and `more` files: where they go, and where they lie.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn image(&self, plan: &Plan, more: &[(String, PathBuf)], to: &Path) -> Result<()> {
        let file = File::create(to).with_context(|| format!("making {}", to.display()))?;
        let mut archive = Archive::new(BufWriter::new(file))?;
        archive.copy("/init", &self.guest)?;
        archive.copy("/bin/guest", &self.guest)?;
        archive.copy("/bin/observer", &self.observer)?;
        for (path, from) in self.libraries.iter().chain(more) {
            archive.copy(path, from)?;
        }
        archive.file(PLAN, &serde_json::to_vec(plan)?)?;
        archive.finish()
    }
}
