//! `cargo xtask truth`: builds the program and the test bed, and runs the truth bench.

use std::path::Path;

use anyhow::Result;

use crate::project::{cargo, root, run as run_command};

/// Names the program that is measured, if it is built already.
const PROGRAM_VARIABLE: &str = "OBSERVER_BIN";
/// Where the tables go, from the root of the project, when everything was measured.
const TABLES: &str = "docs/truth.md";

/// Runs the bench with `args`; see `cargo xtask truth --help`.
pub fn run(args: &[&str]) -> Result<()> {
    let help = args.iter().any(|arg| matches!(*arg, "--help" | "--list"));
    if std::env::var_os(PROGRAM_VARIABLE).is_none() && !help {
        run_command(cargo(["build", "--release", "--locked", "-p", "observer"])?)?;
    }
    run_command(cargo([
        "build",
        "--locked",
        "-p",
        "observer-e2e",
        "--bins",
    ])?)?;
    let everything = args.is_empty();
    let mut bench = cargo(["run", "--quiet", "--locked", "-p", "observer-e2e"])?;
    bench.args(["--bin", "truth", "--"]).args(args);
    if everything {
        bench.arg("--output").arg(root()?.join(Path::new(TABLES)));
    }
    run_command(bench)
}
