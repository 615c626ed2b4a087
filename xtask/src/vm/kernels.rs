//! The kernels: which there are, and how one is had as a package of the distribution.
//!
//! Packages come through apt's ordinary client, with lists and sources of its own below `target/vm`, from the
//! mirrors that this machine's own sources name. What was fetched once is kept.

use std::{
    cmp::Ordering,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::modules;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// As the compiler and QEMU call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// As Debian calls it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// What to do where its emulator can't be started.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::X86_64 => "tests/setup.sh, as root, installs it",
            Self::Aarch64 => "tests/setup.sh --arm64, as root, installs it",
        }
    }

    /// Reads [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [Self::X86_64, Self::Aarch64]
            .into_iter()
            .find(|arch| arch.name() == name)
    }
}

/// For what a kernel is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Virtual machines: small.
    Cloud,
    /// Any machine, with drivers in modules.
    Generic,
}

/// A kernel series of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Major and minor version.
    pub version: &'static str,
    /// Suites that have it: the small ones first, as their lists are fetched whole.
    suites: &'static [&'static str],
}

/// The kernel series that are tested, oldest first.
pub const SERIES: [Series; 5] = [
    series("5.10", &["bullseye-security", "bullseye"]),
    series("6.1", &["bookworm-security", "bookworm"]),
    series("6.12", &["trixie-security", "trixie"]),
    series("6.18", &["trixie-backports", "sid"]),
    series("7.2", &["trixie-backports", "sid"]),
];

const fn series(version: &'static str, suites: &'static [&'static str]) -> Series {
    Series { version, suites }
}

impl Series {
    /// Finds one by its version.
    pub fn find(version: &str) -> Option<Self> {
        SERIES.into_iter().find(|series| series.version == version)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version)
    }
}

/// Packages tried of a suite, newest first: one that is listed can be gone.
const TRIED: usize = 3;

/// The kernel image of a series, fetched if it was not before; `folder` keeps it. With a generic one the
/// [`modules`] that are wanted lie beside it.
///
/// # Errors
///
/// If it can't be had: without a network, or without apt.
pub fn image(folder: &Path, arch: Arch, series: Series, flavour: Flavour) -> Result<PathBuf> {
    let suffix = match flavour {
        Flavour::Cloud => "",
        Flavour::Generic => "-generic",
    };
    let kept = format!("kernels/{}-{}{suffix}", arch.name(), series.version);
    let kept = folder.join(kept);
    let image = kept.join("vmlinuz");
    if image.exists() {
        return Ok(image);
    }
    fs::create_dir_all(&kept)?;
    let mirrors = mirrors()?;
    let mut why = Vec::new();
    for suite in series.suites {
        match from_suite(folder, arch, (series, flavour), suite, &mirrors, &kept) {
            Ok(fetched) => {
                fs::rename(&fetched, &image)?;
                return Ok(image);
            }
            Err(error) => why.push(format!("{suite}: {error:#}")),
        }
    }
    bail!(
        "no package of Linux {series} for {} can be had ({}); fetched ones are kept in {}, so that later runs need no network",
        arch.debian(),
        why.join("; "),
        folder.join("kernels").display(),
    )
}

/// Where this machine's own sources point: the archive, and its security updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrors {
    archive: String,
    security: String,
}

fn mirrors() -> Result<Mirrors> {
    let mut targets = Command::new("apt-get");
    targets.args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE)",
        "Created-By: Packages",
    ]);
    Mirrors::parse(&output(targets)?)
}

impl Mirrors {
    /// Reads lines of `URI SUITE`.
    fn parse(targets: &str) -> Result<Self> {
        let find = |security: bool| {
            let mut lines = targets.lines().filter_map(|line| line.split_once(' '));
            let of = |suite: &str| suite.split('-').nth(1).unwrap_or_default() == "security";
            lines.find(|(_, suite)| {
                let debian = ["bullseye", "bookworm", "trixie", "forky", "sid", "stable"];
                let ours = suite.split('-').next().is_some_and(|s| debian.contains(&s));
                ours && of(suite) == security
            })
        };
        let archive = find(false).context("apt's sources name no archive of Debian")?;
        // The security archive is served beside the other where no source names it.
        let security = find(true).map_or_else(
            || format!("{}-security", archive.0.trim_end_matches('/')),
            |(uri, _)| uri.to_owned(),
        );
        Ok(Self {
            archive: archive.0.to_owned(),
            security,
        })
    }

    fn of(&self, suite: &str) -> &str {
        if suite.ends_with("-security") {
            &self.security
        } else {
            &self.archive
        }
    }
}

/// Fetches a package of a suite and unpacks it; where to.
///
/// # Errors
///
/// If it can't be had.
pub fn package(folder: &Path, arch: Arch, suite: &str, name: &str) -> Result<PathBuf> {
    let apt = Apt::open(folder, arch, suite, &mirrors()?)?;
    apt.update()?;
    apt.unpack(name)
}

/// Puts a kernel of a suite into the folder `kept`; where its image lies.
fn from_suite(
    folder: &Path,
    arch: Arch,
    (series, flavour): (Series, Flavour),
    suite: &str,
    mirrors: &Mirrors,
    kept: &Path,
) -> Result<PathBuf> {
    let apt = Apt::open(folder, arch, suite, mirrors)?;
    apt.update()?;
    let packages = apt.packages(series, arch, flavour)?;
    ensure!(!packages.is_empty(), "has no kernel package");
    let mut why = String::new();
    for package in packages.iter().take(TRIED) {
        match fetch(&apt, package, flavour, kept) {
            Ok(image) => return Ok(image),
            Err(error) => why = format!("{package}: {error:#}"),
        }
    }
    bail!("{why}")
}

fn fetch(apt: &Apt, package: &str, flavour: Flavour, kept: &Path) -> Result<PathBuf> {
    let image = kept.join("fetched");
    let mut unpacked = apt.unpack(package)?;
    fs::copy(vmlinuz(&unpacked)?, &image)?;
    if flavour == Flavour::Generic {
        // From 6.19 on the modules are in a package of their own.
        if let Some(release) = package.strip_prefix("linux-binary-") {
            unpacked = apt.unpack(&format!("linux-modules-{release}"))?;
        }
        modules::keep(&unpacked, &kept.join(modules::FOLDER))?;
    }
    Ok(image)
}

/// apt's client, with lists of one suite alone.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Makes its folders and names its only source.
    fn open(folder: &Path, arch: Arch, suite: &str, mirrors: &Mirrors) -> Result<Self> {
        let folder = folder.join(format!("apt/{suite}-{}", arch.debian()));
        let sources = folder.join("sources.list");
        for part in ["lists/partial", "archives/partial", "sources.d"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let source = format!(
            "deb [signed-by={keys}] {} {suite} main\n",
            mirrors.of(suite)
        );
        fs::write(&sources, source)?;
        fs::write(folder.join("status"), "")?;
        let at = |part: &str| folder.join(part).display().to_string();
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            format!("Dir::Etc::SourceParts={}", at("sources.d")),
            format!("Dir::State={}", at("")),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("")),
            format!("APT::Architecture={}", arch.debian()),
            format!("APT::Architectures={}", arch.debian()),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=30".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        Ok(Self {
            options: options
                .into_iter()
                .flat_map(|option| ["-o".to_owned(), option])
                .collect(),
            folder,
        })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        // What is installed here is no business of this client's.
        command.current_dir(&self.folder).args(&self.options);
        output({
            command.args(args);
            command
        })
    }

    /// Fetches the list of packages.
    fn update(&self) -> Result<()> {
        let fail = "APT::Update::Error-Mode=any";
        self.run("apt-get", &["-qq", "-o", fail, "update"])
            .map(drop)
    }

    /// Packages of a series with a kernel image in them, newest first.
    fn packages(&self, series: Series, arch: Arch, flavour: Flavour) -> Result<Vec<String>> {
        let version = series.version.replace('.', "\\.");
        let pattern = format!("^linux-(image|binary)-{version}\\..*-{}$", arch.debian());
        let found = self.run("apt-cache", &["search", "--names-only", &pattern])?;
        Ok(newest_first(&found, flavour))
    }

    /// Fetches a package and unpacks it; where to.
    fn unpack(&self, package: &str) -> Result<PathBuf> {
        let fetched = self.folder.join("fetched");
        if fetched.exists() {
            fs::remove_dir_all(&fetched)?;
        }
        fs::create_dir_all(&fetched)?;
        let mut command = Command::new("apt-get");
        command.current_dir(&fetched).args(&self.options);
        command.args(["-qq", "download", package]);
        output(command)?;
        let package = fs::read_dir(&fetched)?
            .next()
            .context("nothing was fetched")??
            .path();
        let to = fetched.join("unpacked");
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&package).arg(&to);
        output(unpack)?;
        Ok(to)
    }
}

/// Names of packages in the output of `apt-cache search` that hold a kernel image, newest first.
fn newest_first(found: &str, flavour: Flavour) -> Vec<String> {
    let names = found.lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<&str> = names
        .filter(|name| {
            !["-unsigned", "-dbg", "-rt-"]
                .iter()
                .any(|no| name.contains(no))
                && name.contains("-cloud-") == (flavour == Flavour::Cloud)
        })
        .collect();
    // From 6.19 on the image is in the binary package, and the image package is empty.
    let binary = |name: &&str| name.starts_with("linux-binary-");
    if names.iter().any(binary) {
        names.retain(binary);
    }
    names.sort_by(|a, b| natural(b, a));
    names.into_iter().map(str::to_owned).collect()
}

/// Compares names with their numbers as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .map(|part| (part.parse().unwrap_or(0), part.to_owned()))
            .collect()
    };
    parts(a).cmp(&parts(b))
}

/// The kernel image below `folder`.
fn vmlinuz(folder: &Path) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if name.to_string_lossy().starts_with("vmlinu") {
                return Ok(entry.path());
            }
        }
    }
    bail!("it holds no kernel image")
}

/// What a command prints.
///
/// # Errors
///
/// With what it prints as errors, if it fails.
fn output(mut command: Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command
        .env("LC_ALL", "C.UTF-8")
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = errors.lines().collect();
        bail!("{name} failed: {}", errors.join(" "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_those_of_the_machines_sources() {
        let targets = "http://a.test/tools/ stable-main\n\
             http://m.test/debian/ bookworm\nhttp://m.test/debian/ bookworm-updates\n\
             http://s.test/sec/ bookworm-security\n";
        let mirrors = Mirrors::parse(targets).expect("has both");
        assert_eq!(mirrors.of("sid"), "http://a.test/tools/");
        assert_eq!(mirrors.of("trixie-security"), "http://s.test/sec/");
        let alone = Mirrors::parse("http://m.test/debian/ trixie\n").expect("has one");
        assert_eq!(alone.of("trixie-security"), "http://m.test/debian-security");
        assert!(Mirrors::parse("http://u.test/ubuntu/ noble\n").is_err());
    }

    #[test]
    fn the_newest_package_with_an_image_comes_first() {
        let old = "linux-image-5.10.0-9-cloud-amd64 - x\nlinux-image-5.10.0-46-cloud-amd64 - x\n\
             linux-image-5.10.0-46-cloud-amd64-dbg - x\nlinux-image-5.10.0-45-amd64 - x\n";
        let cloud = newest_first(old, Flavour::Cloud);
        assert_eq!(cloud[0], "linux-image-5.10.0-46-cloud-amd64");
        let generic = newest_first(old, Flavour::Generic);
        assert_eq!(generic, ["linux-image-5.10.0-45-amd64"]);
        let new = "linux-binary-7.2.9+deb13-cloud-amd64 - x\n\
             linux-binary-unsigned-7.2.13+deb13-cloud-amd64 - x\n\
             linux-image-7.2.12+deb13-cloud-amd64 - x\n\
             linux-binary-7.2.12+deb13-cloud-amd64 - x\n";
        let names = newest_first(new, Flavour::Cloud);
        assert_eq!(names[0], "linux-binary-7.2.12+deb13-cloud-amd64");
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn without_a_network_the_message_says_what_was_tried() {
        let folder = tempfile::tempdir().expect("made");
        let mirrors = Mirrors::parse("http://127.0.0.1:1/debian/ trixie\n").expect("has one");
        let series = Series::find("7.2").expect("is one");
        let suite = "trixie-backports";
        let kernel = (series, Flavour::Cloud);
        let kept = folder.path();
        let error = from_suite(kept, Arch::X86_64, kernel, suite, &mirrors, kept)
            .expect_err("nobody listens there");
        assert!(format!("{error:#}").contains("127.0.0.1"), "{error:#}");
    }
}
