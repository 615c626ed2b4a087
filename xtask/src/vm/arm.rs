//! Programs for arm64, built on another machine: Debian's cross compiler links them, and Debian's packages have
//! Rust's standard library for it, which is of use to the compiler of the same package version only.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::kernels::{self, Arch};
use crate::project::{cargo, run};

/// The compiler's name of the architecture.
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Debian's compiler, which the standard library fits to.
const COMPILER: &str = "/usr/bin/rustc";
/// Where that keeps the standard libraries of each architecture.
const LIBRARIES: &str = "usr/lib/rustlib";
/// Suites that may have the standard library.
const SUITES: [&str; 2] = ["bookworm-security", "bookworm"];
/// Links and strips.
const LINKER: &str = "aarch64-linux-gnu-gcc";
/// Removes debug information.
pub const STRIP: &str = "aarch64-linux-gnu-strip";
/// Where the cross compiler's C library lies, and its parts that programs need.
const C_LIBRARY: &str = "/usr/aarch64-linux-gnu/lib";
const C_LIBRARIES: [&str; 4] = [
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
];

/// Builds the observer and the guest; the folder that they are in.
///
/// # Errors
///
/// If the compiler, the linker or the standard library can't be had.
pub fn build(folder: &Path) -> Result<PathBuf> {
    ensure!(
        Path::new(COMPILER).exists() && Path::new(C_LIBRARY).join("libc.so.6").exists(),
        "programs for arm64 need Debian's rustc-web, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross: \
         tests/setup.sh --arm64, as root, installs them"
    );
    let sysroot = sysroot(folder)?;
    let target = folder.join("aarch64/target");
    let mut build = cargo(["build", "--locked", "--quiet", "--target", TARGET])?;
    build
        .args(["-p", "observer", "-p", "observer-guest"])
        .env("RUSTC", COMPILER)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            format!("--sysroot={}", sysroot.display()),
        );
    // Of the toolchain that runs this task.
    for other in ["RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        build.env_remove(other);
    }
    run(build)?;
    Ok(target.join(TARGET).join("debug"))
}

/// The C library for the machine: where it goes, and where it lies here.
pub fn libraries() -> Vec<(String, PathBuf)> {
    C_LIBRARIES
        .map(|name| (format!("/lib/{name}"), Path::new(C_LIBRARY).join(name)))
        .to_vec()
}

/// A folder with the standard libraries of this architecture and of arm64, fetched if it was not before.
fn sysroot(folder: &Path) -> Result<PathBuf> {
    let sysroot = folder.join("aarch64/sysroot");
    let libraries = sysroot.join("lib/rustlib");
    if libraries.join(TARGET).exists() {
        return Ok(sysroot);
    }
    let package = "libstd-rust-web-dev";
    let unpacked = SUITES
        .iter()
        .find_map(|suite| kernels::package(folder, Arch::Aarch64, suite, package).ok())
        .with_context(|| format!("the package {package} for arm64 can't be had"))?;
    fs::create_dir_all(&libraries)?;
    let native = Path::new("/")
        .join(LIBRARIES)
        .join("x86_64-unknown-linux-gnu");
    let link = libraries.join("x86_64-unknown-linux-gnu");
    if !link.exists() {
        symlink(native, link)?;
    }
    fs::rename(
        unpacked.join(LIBRARIES).join(TARGET),
        libraries.join(TARGET),
    )
    .with_context(|| format!("{package} holds no standard library for {TARGET}"))?;
    Ok(sysroot)
}
