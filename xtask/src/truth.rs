//! `cargo xtask truth`: builds the program and the test bed, and runs the truth bench.

use anyhow::Result;

use crate::project::{PROGRAM_VARIABLE, cargo, program, root, run as run_command};

/// Where the tables go, from the root of the project, when everything was measured.
const TABLES: &str = "docs/truth.md";

/// Runs the bench with `args`; see `cargo xtask truth --help`. It measures the program that `OBSERVER_BIN`
/// names, or else one that is built for it.
pub fn run(args: &[&str]) -> Result<()> {
    run_command(cargo([
        "build",
        "--locked",
        "-p",
        "observer-e2e",
        "--bins",
    ])?)?;
    let mut bench = cargo(["run", "--quiet", "--locked", "-p", "observer-e2e"])?;
    bench.args(["--bin", "truth", "--"]).args(args);
    let only_words = args.iter().any(|arg| matches!(*arg, "--help" | "--list"));
    if std::env::var_os(PROGRAM_VARIABLE).is_none() && !only_words {
        run_command(cargo(["build", "--release", "--locked", "-p", "observer"])?)?;
        bench.env(PROGRAM_VARIABLE, program()?);
    }
    if args.is_empty() {
        bench.arg("--output").arg(root()?.join(TABLES));
    }
    run_command(bench)
}
