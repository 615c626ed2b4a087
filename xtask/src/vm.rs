//! `cargo xtask vm`: boots kernels of distributions under QEMU, and sees that the probes work there.

mod arm;
mod full;
mod hard;
mod initramfs;
mod kernels;
mod machine;
mod modules;
mod programs;
mod scenario;
mod table;
mod verdicts;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use full::LIVE;
use hard::HARD;
use kernels::{Arch, Flavour, SERIES, Series};
use machine::{Machine, Processors, Run};
use programs::Programs;
use scenario::{CONFIDENTIALITY, INTEGRITY, PLAIN, Scenario};
use table::{Row, Table};

use crate::{
    project::{PROGRAM_VARIABLE, root},
    skips::Skips,
};

const USAGE: &str = "usage: cargo xtask vm [--kernel 5.10,6.1,…] [--arch x86_64,aarch64] [--full] [--write]

Boots each kernel, has every program of the object loaded and attached there, and compares what the observer
says of a workload with what the workload did. Fails if something no longer works that docs/kernels.json says
did. --full runs real services as well, of Python and Node, on x86-64. --write keeps what was found there, and in docs/kernels.md.
";
/// What was found last, from the root of the project.
const DATA: &str = "docs/kernels.json";
const PAGE: &str = "docs/kernels.md";
/// Where packages are kept and machines leave their consoles.
const FOLDER: &str = "target/vm";
/// How long a machine may run.
const LIMIT: Duration = Duration::from_secs(3600);
/// How much longer than its limit a step may take until the machine is taken to hang.
const GRACE: Duration = Duration::from_secs(60);
/// Kernels that are tested on arm64, if none is named.
const ARM_KERNELS: [&str; 2] = ["6.1", "6.12"];

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Kernels; all of the architecture if none is named.
    pub kernels: Vec<String>,
    /// Architectures.
    pub archs: Vec<String>,
    /// Whether real services are run as well.
    pub full: bool,
    /// Whether to keep what was found.
    pub write: bool,
    /// The program for this machine's architecture; without, it is built as for tests.
    pub program: Option<PathBuf>,
}

impl Options {
    /// The oldest and the newest kernel, with this program.
    pub fn ends(program: &Path) -> Self {
        let ends = SERIES.first().into_iter().chain(SERIES.last());
        Self {
            kernels: ends.map(|series| series.version.to_owned()).collect(),
            program: Some(program.to_owned()),
            ..Self::default()
        }
    }

    fn parse(args: &[&str]) -> Option<Self> {
        let mut options = Self {
            program: std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from),
            ..Self::default()
        };
        let mut args = args.iter();
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        while let Some(arg) = args.next() {
            match *arg {
                "--kernel" => options.kernels = list(args.next()?),
                "--arch" => options.archs = list(args.next()?),
                "--full" => options.full = true,
                "--write" => options.write = true,
                _ => return None,
            }
        }
        let kernels = options.kernels.iter();
        let known = kernels.clone().all(|kernel| Series::find(kernel).is_some())
            && options.archs.iter().all(|arch| Arch::parse(arch).is_some());
        known.then_some(options)
    }

    fn machines(&self) -> Vec<(Arch, Series)> {
        let archs: Vec<Arch> = self
            .archs
            .iter()
            .filter_map(|arch| Arch::parse(arch))
            .collect();
        let archs = if archs.is_empty() {
            vec![Arch::X86_64]
        } else {
            archs
        };
        let wanted = |arch: Arch, series: &Series| {
            if self.kernels.is_empty() {
                arch == Arch::X86_64 || ARM_KERNELS.contains(&series.version)
            } else {
                self.kernels.iter().any(|kernel| kernel == series.version)
            }
        };
        let of = |arch: Arch| {
            let series = SERIES
                .into_iter()
                .filter(move |series| wanted(arch, series));
            series.map(move |series| (arch, series))
        };
        archs.into_iter().flat_map(of).collect()
    }
}

/// Runs the task with its arguments.
///
/// # Errors
///
/// Names what does not work.
pub fn run(args: &[&str]) -> Result<()> {
    let Some(options) = Options::parse(args) else {
        print!("{USAGE}");
        if args == ["--help"] {
            return Ok(());
        }
        bail!(
            "these arguments are none of this task's: {}",
            args.join(" ")
        );
    };
    let skips = Skips::open()?;
    let result = boot(&options, &skips);
    skips.list()?;
    result
}

/// Boots what `options` name. What can't be had is noted in `skips`.
///
/// # Errors
///
/// Names what does not work, if that is more than what did not work before.
pub fn boot(options: &Options, skips: &Skips) -> Result<()> {
    let root = root()?;
    let folder = root.join(FOLDER);
    let mut table = Table::read(&root.join(DATA))?;
    let (mut rows, mut worse) = (Vec::new(), Vec::new());
    let machines = options.machines();
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let series: Vec<Series> = machines
            .iter()
            .filter(|m| m.0 == arch)
            .map(|m| m.1)
            .collect();
        if series.is_empty() {
            continue;
        }
        let programs = match (available(arch), arch) {
            (Err(error), _) => {
                skips.note(&format!("vm: {}: {error:#}", arch.name()))?;
                continue;
            }
            (Ok(()), Arch::X86_64) => programs::native(&folder, options.program.as_deref())?,
            (Ok(()), Arch::Aarch64) => match programs::foreign(&folder) {
                Ok(programs) => programs,
                Err(error) => {
                    skips.note(&format!("vm: {}: {error:#}", arch.name()))?;
                    continue;
                }
            },
        };
        for series in series {
            let image = match kernels::image(&folder, arch, series, Flavour::Cloud) {
                Ok(image) => image,
                Err(error) => {
                    skips.note(&format!("vm: Linux {series} on {}: {error:#}", arch.name()))?;
                    continue;
                }
            };
            // Lockdown is the kernel's own doing, so the newest one stands for all.
            let newest = SERIES.last().is_some_and(|newest| *newest == series);
            let scenarios: &[Scenario] = match newest && arch == Arch::X86_64 {
                true => &[PLAIN, INTEGRITY, CONFIDENTIALITY, HARD],
                false => &[PLAIN],
            };
            let place = Place {
                folder: &folder,
                arch,
                series,
                programs: &programs,
            };
            let mut row = place.row();
            for scenario in scenarios {
                place.run(&image, scenario, &[], &mut row)?;
            }
            if arch == Arch::X86_64 {
                if options.full {
                    live(&place, &mut row, skips)?;
                }
                for kept in full::CHECKS {
                    row.keep(kept, table.find(arch.name(), series.version));
                }
            }
            let failed = row.failed();
            for failed in &failed {
                println!("    {failed}");
            }
            let name = format!("Linux {series} on {}", arch.name());
            match table.find(arch.name(), series.version) {
                Some(before) => worse.extend(
                    row.worse_than(before)
                        .into_iter()
                        .map(|what| format!("{name}: {what}")),
                ),
                None if failed.is_empty() => {}
                None => worse.push(format!("{name}: {} of its checks", failed.len())),
            }
            rows.push(row);
        }
    }
    if options.write && !rows.is_empty() {
        table.replace(rows);
        table.write(&root.join(DATA), &root.join(PAGE))?;
        println!("written: {DATA}, {PAGE}");
    }
    if !worse.is_empty() {
        bail!("no longer works: {}", worse.join("; "));
    }
    Ok(())
}

/// Whether there is an emulator.
fn available(arch: Arch) -> Result<()> {
    let program = format!("qemu-system-{}", arch.name());
    let started = std::process::Command::new(&program)
        .arg("--version")
        .output();
    started
        .map(drop)
        .with_context(|| format!("{program} can't be started: {}", arch.remedy()))
}

/// Boots a generic kernel that sees this machine's file system, and runs real services there.
fn live(place: &Place<'_>, row: &mut Row, skips: &Skips) -> Result<()> {
    let had = kernels::image(place.folder, place.arch, place.series, Flavour::Generic);
    let files = had.and_then(|image| {
        let mut files = modules::beside(&image)?;
        let bench = programs::bench(place.folder)?;
        full::installed(&bench.1)?;
        files.push(bench);
        Ok((image, files))
    });
    match files {
        Ok((image, files)) => place.run(&image, &LIVE, &files, row),
        Err(error) => {
            let series = place.series;
            skips.note(&format!("vm: live services on Linux {series}: {error:#}"))
        }
    }
}

/// What is booted, and with which programs.
struct Place<'a> {
    folder: &'a Path,
    arch: Arch,
    series: Series,
    programs: &'a Programs,
}

impl Place<'_> {
    /// A row in which nothing was found yet.
    fn row(&self) -> Row {
        Row {
            arch: self.arch.name().to_owned(),
            kernel: self.series.version.to_owned(),
            release: String::new(),
            date: today(),
            programs: Vec::new(),
            checks: Default::default(),
        }
    }

    /// Boots an image in a scenario, with `more` files, and adds what is found to a row.
    fn run(
        &self,
        image: &Path,
        scenario: &Scenario,
        more: &[(String, PathBuf)],
        row: &mut Row,
    ) -> Result<()> {
        let began = Instant::now();
        let (series, arch) = (self.series, self.arch.name());
        print!("Linux {series} on {arch}, {}: ", scenario.name);
        let mut run = self.boot(image, scenario, more, Processors::Parallel)?;
        if run.emulated_badly() {
            print!("the emulator has run code that was being patched; its processors in turn: ");
            run = self.boot(image, scenario, more, Processors::InTurn)?;
        }
        let ended = scenario
            .ended(&run)
            .err()
            .map_or_else(String::new, |error| format!("{error:#}"));
        println!(
            "{} in {} s",
            if ended.is_empty() { "ran" } else { &ended },
            began.elapsed().as_secs()
        );
        for ran in &run.steps {
            println!("    {} ms  {}", ran.millis, ran.step);
        }
        row.checks.insert(format!("boot, {}", scenario.name), ended);
        if row.programs.is_empty() {
            row.release = run.kernel.clone().unwrap_or_default();
            match scenario::programs(&run) {
                Ok(programs) => row.programs = programs,
                Err(error) => {
                    row.checks
                        .insert("programs".to_owned(), format!("{error:#}"));
                }
            }
        }
        let checks = scenario.check(&run).into_iter();
        row.checks
            .extend(checks.map(|(name, why)| (name.to_owned(), why.unwrap_or_default())));
        Ok(())
    }

    fn boot(
        &self,
        image: &Path,
        scenario: &Scenario,
        more: &[(String, PathBuf)],
        processors: Processors,
    ) -> Result<Run> {
        let (arch, series) = (self.arch, self.series);
        let name = format!("{}-{series}-{}", arch.name(), scenario.name);
        let folder: PathBuf = self.folder.join("runs").join(name);
        fs::create_dir_all(&folder)?;
        let initramfs = folder.join("initramfs.cpio");
        self.programs
            .image(&scenario.plan(arch), more, &initramfs)?;
        let run = Machine {
            arch,
            image,
            initramfs: &initramfs,
            parameters: scenario.parameters,
            host: scenario.host,
            processors,
            limit: LIMIT.max(Duration::from_secs(2 * scenario.seconds)),
            silence: Duration::from_secs(scenario.seconds) + GRACE,
            folder,
        }
        .run();
        // It is large, and made again each time.
        fs::remove_file(&initramfs)?;
        run
    }
}

/// Today's date of UTC.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_architectures_are_chosen_by_name() {
        let parse = |args: &[&str]| Options::parse(args).map(|options| options.machines().len());
        assert_eq!(parse(&[]), Some(SERIES.len()));
        assert_eq!(parse(&["--kernel", "5.10,7.2"]), Some(2));
        assert_eq!(parse(&["--arch", "aarch64"]), Some(ARM_KERNELS.len()));
        assert_eq!(
            parse(&["--arch", "x86_64,aarch64", "--kernel", "6.1"]),
            Some(2)
        );
        assert_eq!(parse(&["--full", "--kernel", "6.12"]), Some(1));
        assert_eq!(parse(&["--kernel", "4.4"]), None);
        assert_eq!(parse(&["--kernel"]), None);
        assert_eq!(parse(&["--fast"]), None);
    }
}
