//! What is in `deploy/`, and the tools that read it.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::app::root;

/// The Helm chart, from the root of the project.
pub const CHART: &str = "deploy/helm/observer";

/// What the chart is called, and where it is installed.
pub const RELEASE: &str = "observer";

/// Where `tests/setup.sh` puts helm.
#[must_use]
pub fn helm() -> Option<PathBuf> {
    let own = root().join("target/e2e/helm/helm");
    own.is_file().then_some(own)
}

/// `helm template` of the chart for a version of Kubernetes, like `1.33.0`; nothing if there is no helm.
#[must_use]
pub fn template(kubernetes: &str, more: &[&str]) -> Option<Command> {
    let mut command = Command::new(helm()?);
    command
        .args(["template", RELEASE, CHART, "--namespace", RELEASE])
        .args(["--kube-version", kubernetes])
        .args(more);
    Some(command)
}

/// Runs a command at the root of the project.
///
/// # Errors
/// When it can't be run.
pub fn run(command: &mut Command) -> Result<Output> {
    command
        .current_dir(root())
        .output()
        .with_context(|| format!("{command:?}"))
}

/// The same, and what it printed.
///
/// # Errors
/// When it can't be run, or fails.
pub fn fine(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{command:?}: {out}{err}");
    Ok(out.into_owned())
}

/// A file of `deploy/`.
///
/// # Errors
/// When it is not there.
pub fn file(name: &str) -> Result<String> {
    std::fs::read_to_string(root().join("deploy").join(name)).with_context(|| name.to_owned())
}
