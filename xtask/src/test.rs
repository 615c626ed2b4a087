//! All checks and tests in one command.
//!
//! Every step runs, also after one has failed, so that one run tells everything. What was skipped is
//! listed by name at the very end, where nobody overlooks it.

mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use programs::TestProgram;

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
/// The folder of the end-to-end tests, from the root of the project.
const E2E: &str = "tests/e2e";

/// Those of them that load no probes and measure nothing: most of their time they wait, for scrapes and for what times out.
const WITHOUT_PROBES: [&str; 4] = ["deploy", "export", "manifests", "report"];

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

impl Part {
    /// What cargo is to build of tests. One selection for all of them, since which features a dependency is built with
    /// hangs on what else is built: with another, much would be compiled again.
    fn selection(&self) -> Vec<&str> {
        match self {
            Self::All | Self::Unit => vec!["--workspace"],
            Self::EndToEnd(name) => {
                let name = name.as_deref().unwrap_or("*");
                vec!["--package", "observer-e2e", "--test", name]
            }
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
        checks(&mut steps);
    }
    let mut tests = Vec::new();
    steps.step("test programs", || {
        tests = programs::build(&part.selection())?;
        Ok(())
    });
    let e2e = root()?.join(E2E);
    let (live, units): (Vec<_>, Vec<_>) = tests
        .into_iter()
        .partition(|test| test.is_beside && test.package == e2e);
    if !matches!(part, Part::EndToEnd(_)) {
        unit(&mut steps, &skips, &units);
    }
    match part {
        Part::All => {
            // Kernels are booted with the program as it is shipped, which starts much faster there.
            let built = release(&mut steps, None);
            if let Some(Built { program, .. }) = &built {
                let options = vm::Options::ends(program);
                steps.step("kernels", || vm::boot(&options, &skips));
            }
            end_to_end(&mut steps, &skips, &live, built);
        }
        Part::EndToEnd(name) => {
            let built = release(&mut steps, name.as_deref());
            end_to_end(&mut steps, &skips, &live, built);
        }
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

/// What needs no test to run.
fn checks(steps: &mut Steps) {
    steps.cargo("formatting", &["fmt", "--all", "--check"]);
    let fuzzing = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    steps.cargo("formatting of the fuzz targets", &fuzzing);
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-Dwarnings",
    ];
    steps.cargo("lints", &lints);
    steps.step("layers", layers::check);
}

fn unit(steps: &mut Steps, skips: &Skips, tests: &[TestProgram]) {
    let variables = [(skips::VARIABLE, skips.file())];
    steps.step("tests", || run_all(tests, &[], &variables));
    let documented = ["test", "--workspace", "--doc", "--locked"];
    steps.cargo("examples in the documentation", &documented);
}

/// The program as it is shipped.
struct Built {
    program: PathBuf,
    /// That of the image, which is another one.
    image: Option<PathBuf>,
}

/// Builds the program, and that of the image unless the tests called `name` do without.
fn release(steps: &mut Steps, name: Option<&str>) -> Option<Built> {
    // First, since cargo puts the program for this machine into its place.
    let mut image = None;
    if name.is_none_or(|name| name == IMAGE) {
        steps.step("program of the image", || {
            image = Some(image::build()?);
            Ok(())
        });
    }
    let build = ["build", "--release", "-p", "observer", "--locked"];
    if !steps.cargo("program", &build) {
        return None;
    }
    let program = program().ok()?;
    Some(Built { program, image })
}

/// The end-to-end tests run one after the other, since they load probes and put the machine under load; but for those that
/// do not.
fn end_to_end(steps: &mut Steps, skips: &Skips, tests: &[TestProgram], built: Option<Built>) {
    let Some(Built { program, image }) = built else {
        return;
    };
    let mut variables = vec![
        (skips::VARIABLE, skips.file()),
        (PROGRAM_VARIABLE, program.as_path()),
    ];
    variables.extend(image.as_deref().map(|image| (image::VARIABLE, image)));
    steps.step("services", services);
    let is_quiet = |test: &&TestProgram| WITHOUT_PROBES.contains(&test.name.as_str());
    let (quiet, live): (Vec<_>, Vec<_>) = tests.iter().partition(is_quiet);
    if !quiet.is_empty() {
        steps.step("end-to-end tests without probes", || {
            run_beside(&quiet, &variables)
        });
    }
    let args = ["--test-threads=1", "--nocapture"];
    steps.step("end-to-end tests", || run_all(live, &args, &variables));
}

/// Runs all test programs, also after one has failed.
fn run_all<'a>(
    tests: impl IntoIterator<Item = &'a TestProgram>,
    args: &[&str],
    variables: &[(&str, &Path)],
) -> Result<()> {
    let run = |test: &TestProgram| test.run(args, variables).err();
    let failed = tests.into_iter().filter_map(run);
    let failed: Vec<String> = failed.map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs test programs beside each other, and their tests too.
fn run_beside(tests: &[&TestProgram], variables: &[(&str, &Path)]) -> Result<()> {
    let failed: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = tests
            .iter()
            .map(|test| scope.spawn(|| test.output(variables)))
            .collect();
        let ended = running.into_iter().zip(tests);
        let failed = ended.filter_map(|(running, test)| match running.join() {
            Ok(Ok(output)) => {
                print!("{output}");
                None
            }
            Ok(Err(error)) => {
                println!("{error:#}");
                Some(test.name.clone())
            }
            Err(_) => Some(test.name.clone()),
        });
        failed.collect()
    });
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
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
    fn cargo(&mut self, name: &'static str, args: &[&str]) -> bool {
        self.step(name, || run_command(cargo(args)?))
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
