//! All checks and tests in one command.
//!
//! Every step runs, also after one has failed, so that one run tells everything. What was skipped is
//! listed by name at the very end, where nobody overlooks it.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    image, layers,
    project::{PROGRAM_VARIABLE, cargo, program, root, run as run_command},
    skips::{self, Skips},
    vm,
};

/// Where `tests/setup.sh` builds, and tests keep what they write, from the root of the project.
const SERVICES: &str = "target/e2e";
/// What `tests/setup.sh` builds: a file of that name with `.stamp` says that it has.
const BUILT: [&str; 11] = [
    "python",
    "node",
    "browser",
    "java",
    "java-web",
    "java-25",
    "go",
    "fleet",
    "helm",
    "kubernetes-validate",
    "collector",
];
/// The crate of the end-to-end tests.
const E2E: &str = "observer-e2e";

/// The test of the container image, which has a program of its own.
const IMAGE: &str = "image";

/// Which part of the tests runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// Formatting, lints, layers, and tests that need neither root nor services.
    Unit,
    /// The end-to-end tests: all files of them, or one.
    EndToEnd(Option<String>),
}

impl Part {
    /// Reads the arguments; nothing if they are none of this task's.
    pub fn parse(args: &[&str]) -> Option<Self> {
        match args {
            [] => Some(Self::All),
            ["--unit"] => Some(Self::Unit),
            ["--e2e"] => Some(Self::EndToEnd(None)),
            ["--e2e", name] if !name.starts_with('-') => {
                Some(Self::EndToEnd(Some((*name).to_owned())))
            }
            _ => None,
        }
    }
}

/// Runs the tests.
///
/// # Errors
///
/// Names the steps that failed.
pub fn run(part: &Part) -> Result<()> {
    let skips = Skips::open()?;
    let mut steps = Steps::default();
    if !matches!(part, Part::EndToEnd(_)) {
        unit(&mut steps, &skips);
    }
    match part {
        Part::All => {
            steps.step("kernels", || vm::boot(&vm::Options::ends(), &skips));
            end_to_end(&mut steps, &skips, None);
        }
        Part::EndToEnd(name) => end_to_end(&mut steps, &skips, name.as_deref()),
        Part::Unit => {}
    }
    let failed = steps.failed.join(", ");
    if !failed.is_empty() {
        println!("\nFAILED: {failed}");
    }
    skips.list()?;
    if !failed.is_empty() {
        bail!("failed: {failed}");
    }
    Ok(())
}

fn unit(steps: &mut Steps, skips: &Skips) {
    steps.cargo("formatting", &["fmt", "--all", "--check"], &[]);
    let fuzzing = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    steps.cargo("formatting of the fuzz targets", &fuzzing, &[]);
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-Dwarnings",
    ];
    steps.cargo("lints", &lints, &[]);
    steps.step("layers", layers::check);
    let skips = [(skips::VARIABLE, skips.file())];
    let tests = ["test", "--workspace", "--locked", "--no-fail-fast"];
    let tests = [&tests[..], &["--exclude", E2E]].concat();
    steps.cargo("tests", &tests, &skips);
    let bed = ["test", "-p", E2E, "--lib", "--bins", "--locked"];
    steps.cargo("tests of the test bed", &bed, &skips);
}

/// The end-to-end tests run one after the other: each loads probes and puts the machine under load.
fn end_to_end(steps: &mut Steps, skips: &Skips, name: Option<&str>) {
    // First, since cargo puts the program for this machine into its place.
    let mut image = None;
    if name.is_none_or(|name| name == IMAGE) {
        steps.step("program of the image", || {
            image = Some(image::build()?);
            Ok(())
        });
    }
    let build = ["build", "--release", "-p", "observer", "--locked"];
    if !steps.cargo("program", &build, &[]) {
        return;
    }
    let Ok(program) = program() else {
        return steps.failed("program");
    };
    let mut variables = vec![
        (skips::VARIABLE, skips.file()),
        (PROGRAM_VARIABLE, program.as_path()),
    ];
    variables.extend(image.as_deref().map(|image| (image::VARIABLE, image)));
    steps.step("services", services);
    let which = name.unwrap_or("*");
    let tests = ["test", "-p", E2E, "--locked", "--no-fail-fast"];
    let tests = [
        &tests[..],
        &["--test", which, "--", "--test-threads=1", "--nocapture"],
    ];
    steps.cargo("end-to-end tests", &tests.concat(), &variables);
}

/// Says which services are not built. The tests that need them skip themselves.
fn services() -> Result<()> {
    let folder = root()?.join(SERVICES);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let missing = |name: &&str| !folder.join(format!("{name}.stamp")).exists();
    let missing: Vec<&str> = BUILT.into_iter().filter(missing).collect();
    if missing.is_empty() {
        println!("all are built");
    } else {
        println!(
            "not built: {} (tests/setup.sh, as root, builds them)",
            missing.join(", ")
        );
    }
    Ok(())
}

/// Steps of a run, and which of them failed.
#[derive(Default)]
struct Steps {
    failed: Vec<&'static str>,
}

impl Steps {
    fn cargo(&mut self, name: &'static str, args: &[&str], variables: &[(&str, &Path)]) -> bool {
        self.step(name, || {
            let mut command = cargo(args)?;
            command.envs(variables.iter().copied());
            run_command(command)
        })
    }

    /// Runs a step; whether it succeeded.
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n=== {name}");
        let result = step();
        if let Err(error) = &result {
            println!("=== {name}: {error:#}");
            self.failed(name);
        }
        result.is_ok()
    }

    fn failed(&mut self, name: &'static str) {
        self.failed.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn parts_are_read_and_anything_else_is_refused() {
        assert_eq!(Part::parse(&[]), Some(Part::All));
        assert_eq!(Part::parse(&["--unit"]), Some(Part::Unit));
        assert_eq!(Part::parse(&["--e2e"]), Some(Part::EndToEnd(None)));
        let wall = Part::EndToEnd(Some("wall".to_owned()));
        assert_eq!(Part::parse(&["--e2e", "wall"]), Some(wall));
        assert_eq!(Part::parse(&["--e2e", "--unit"]), None);
        assert_eq!(Part::parse(&["--fast"]), None);
    }
}
