//! The compiler and linker of the probes: the exact versions, as other ones give other bytes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// What `rustc --version` begins with.
const RUSTC: &str = "rustc 1.96.0";
/// What `bpf-linker --version` begins with.
const LINKER: &str = "bpf-linker 0.13.0";
/// Where the strip of the linker's LLVM is looked for.
const STRIP: [&str; 2] = ["llvm-strip-22", "/usr/lib/llvm-22/bin/llvm-strip"];
/// Names a folder with `rustc` and `cargo`, if not that of Debian's packages.
const BIN_VARIABLE: &str = "BPF_TOOLCHAIN_BIN";

const REMEDY: &str = "\
the probes are built with rustc 1.96.0 and its sources, LLVM 22 and bpf-linker 0.13.0. On Debian 12:

    apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src \\
        llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev
    LLVM_PREFIX=/usr/lib/llvm-22 PATH=/usr/lib/llvm-22/bin:$PATH \\
        cargo install bpf-linker --version 0.13.0 --no-default-features --features llvm-22

elsewhere, with rustup:

    rustup toolchain install 1.96.0 --component rust-src
    export BPF_TOOLCHAIN_BIN=\"$(dirname \"$(rustup which --toolchain 1.96.0 rustc)\")\"
";

/// Tools that were found to be the right ones.
pub struct Toolchain {
    bin: PathBuf,
    sysroot: PathBuf,
    strip: &'static str,
}

impl Toolchain {
    /// Looks for the tools and their versions.
    ///
    /// # Errors
    ///
    /// Says what is missing and how it is installed.
    pub fn find() -> Result<Self> {
        let bin = env::var_os(BIN_VARIABLE).map_or_else(|| "/usr/bin".into(), PathBuf::from);
        let rustc = bin.join("rustc");
        expect(&rustc, RUSTC)?;
        expect(Path::new("bpf-linker"), LINKER)?;
        let sysroot = PathBuf::from(output(&rustc, &["--print", "sysroot"])?);
        let found = Self {
            bin,
            sysroot,
            strip: strip()?,
        };
        if !found.sources().join("library/core").is_dir() {
            bail!("{} is missing\n\n{REMEDY}", found.sources().display());
        }
        Ok(found)
    }

    /// Cargo, using this compiler. The target has no prebuilt `core`, and building that, like
    /// assembly for the target, is open to a stable compiler only with `RUSTC_BOOTSTRAP`.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.bin.join("cargo"));
        cargo
            .env("RUSTC", self.bin.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            // Set by the cargo that runs this task, for its own toolchain.
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTFLAGS");
        cargo
    }

    /// The program that removes DWARF.
    pub fn strip(&self) -> Command {
        Command::new(self.strip)
    }

    /// Where the standard library's sources lie.
    pub fn sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// Where cargo keeps the sources of dependencies: a folder for each registry.
    pub fn registries(&self) -> Result<Vec<PathBuf>> {
        let home = match env::var_os("CARGO_HOME") {
            Some(home) => home.into(),
            None => env::home_dir().context("no home folder")?.join(".cargo"),
        };
        let folder = home.join("registry/src");
        let entries = fs::read_dir(&folder);
        let entries = entries.with_context(|| format!("reading {}", folder.display()))?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}

fn strip() -> Result<&'static str> {
    let works = |name: &&str| output(Path::new(name), &["--version"]).is_ok();
    match STRIP.into_iter().find(works) {
        Some(found) => Ok(found),
        None => bail!("llvm-strip of LLVM 22 is missing\n\n{REMEDY}"),
    }
}

fn expect(program: &Path, version: &str) -> Result<()> {
    let found = match output(program, &["--version"]) {
        Ok(found) => found,
        Err(error) => bail!("{error:#}\n\n{REMEDY}"),
    };
    if !found.starts_with(version) {
        bail!(
            "{} is `{found}`, not {version}\n\n{REMEDY}",
            program.display()
        );
    }
    Ok(())
}

fn output(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", program.display(), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
