//! `cargo xtask bench`: builds the program, the services and the benchmarks with optimisation, and runs them.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::project::root;

/// Where the tables go, from the root of the project; only when everything was measured.
const TABLES: &str = "docs/benchmarks.md";

/// Measures what `parts` name, or everything; see `cargo xtask bench -- --help`.
pub fn run(parts: &[&str]) -> Result<()> {
    let root = root()?;
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--release",
        "-p",
        "observer",
        "-p",
        "observer-bench",
        "-p",
        "observer-e2e",
    ]);
    let built = build.current_dir(&root).status()?;
    ensure!(built.success(), "the benchmarks can't be built: {built}");
    let mut bench = Command::new(root.join("target/release/observer-bench"));
    bench.args(parts).current_dir(&root);
    if parts.is_empty() {
        bench.args(["--markdown", TABLES]);
    }
    let ended = bench.status()?;
    ensure!(ended.success(), "the benchmarks failed: {ended}");
    Ok(())
}
