//! Building the kernel probes, reproducibly.
//!
//! The object is committed, so that building the program needs stable Rust alone. It is a function of
//! the sources, the compiler, the linker and nothing else: paths are rewritten, and DWARF is removed
//! (BTF stays, as the kernel wants it).

mod toolchain;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use toolchain::Toolchain;

use crate::project::{root, run};

/// The committed object, from the root of the project.
const OBJECT: &str = "observer/src/kernel/observer-ebpf.bpf.o";
/// What the object is made from, from the root of the project.
const SOURCES: [&str; 6] = [
    "Cargo.toml",
    "observer-ebpf/Cargo.toml",
    "observer-ebpf/Cargo.lock",
    "observer-ebpf/src",
    "observer-ebpf/abi/Cargo.toml",
    "observer-ebpf/abi/src",
];
/// The BPF target of little-endian machines.
const TARGET: &str = "bpfel-unknown-none";

/// Builds the probes and replaces the committed object.
pub fn build() -> Result<()> {
    let root = root()?;
    let object = compile(&root, &Toolchain::find()?)?;
    let to = root.join(OBJECT);
    fs::copy(&object, &to).with_context(|| format!("copying to {}", to.display()))?;
    println!("{} bytes: {OBJECT}", fs::metadata(&to)?.len());
    Ok(())
}

/// Builds the probes in a folder of another name and compares the result with the committed object.
pub fn verify() -> Result<()> {
    let root = root()?;
    let toolchain = Toolchain::find()?;
    let elsewhere = std::env::temp_dir().join(format!("verify-ebpf-{}", std::process::id()));
    let built = copy_sources(&root, &elsewhere)
        .and_then(|()| compile(&elsewhere, &toolchain))
        .and_then(|object| Ok(fs::read(object)?));
    fs::remove_dir_all(&elsewhere).with_context(|| format!("removing {}", elsewhere.display()))?;
    let built = built?;
    let committed = fs::read(root.join(OBJECT)).with_context(|| format!("reading {OBJECT}"))?;
    ensure!(
        built == committed,
        "{OBJECT} is not what the sources give ({} bytes committed, {} built): run `cargo xtask \
         build-ebpf` and commit the result",
        committed.len(),
        built.len(),
    );
    println!("{OBJECT} is what the sources give");
    Ok(())
}

/// Builds the probes whose project lies at `root`; returns where the stripped object is.
fn compile(root: &Path, toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = root.join("observer-ebpf");
    let mut fetch = toolchain.cargo();
    fetch
        .current_dir(&folder)
        .args(["fetch", "--locked", "--quiet"]);
    run(fetch)?;
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&folder)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(folder.join("target"))
        // What was compiled before would show in the object.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, toolchain)?);
    // The project's own profile alone decides what the object is like, whatever others are built with.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    run(cargo)?;
    let linked = folder
        .join("target")
        .join(TARGET)
        .join("release/observer-ebpf");
    let stripped = linked.with_extension("bpf.o");
    let mut strip = toolchain.strip();
    strip
        .arg("--strip-debug")
        .arg("-o")
        .arg(&stripped)
        .arg(&linked);
    run(strip)?;
    Ok(stripped)
}

/// Compiler flags. Everything that names a folder of this machine is rewritten.
fn flags(root: &Path, toolchain: &Toolchain) -> Result<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [
        "-Cpanic=abort".to_owned(),
        "-Clinker=bpf-linker".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // The newest instruction set that Linux 5.10 knows.
        "-Ctarget-cpu=v3".to_owned(),
        // Which registers `aya-ebpf` means; the probes use none of that, and run on every machine.
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        remap(root, "/observer"),
        remap(&toolchain.sources(), "/rust"),
    ];
    // The folder of a registry is named after the host that served it.
    let registries = toolchain.registries()?;
    let registries = registries.iter().map(|folder| remap(folder, "/cargo"));
    let flags: Vec<String> = flags.into_iter().chain(registries).collect();
    Ok(flags.join("\x1f"))
}

fn copy_sources(root: &Path, to: &Path) -> Result<()> {
    for source in SOURCES {
        copy(&root.join(source), &to.join(source))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let parent = to.parent().context("no parent folder")?;
    fs::create_dir_all(parent)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}
