//! Test programs, built at once and run one by one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::project::{cargo, root};

/// A program with tests.
pub struct TestProgram {
    /// The folder of its package, where it runs.
    pub package: PathBuf,
    /// Name of what it tests: of a library, a program, or a file of tests.
    pub name: String,
    /// Whether it is a file of tests, or a folder, beside what it tests.
    pub is_beside: bool,
    executable: PathBuf,
}

/// A message of cargo's, of those that matter here.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Builds those that arguments of `cargo test` select.
///
/// # Errors
///
/// When one can't be built, or none is selected.
pub fn build(selection: &[&str]) -> Result<Vec<TestProgram>> {
    let mut command = cargo(["test", "--locked", "--no-run"])?;
    command
        .args(selection)
        .arg("--message-format=json-render-diagnostics");
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    ensure!(output.status.success(), "cargo failed: {}", output.status);
    let mut programs = parse(&String::from_utf8(output.stdout)?)?;
    ensure!(!programs.is_empty(), "cargo has built no tests");
    programs.sort_by(|a, b| a.order().cmp(&b.order()));
    Ok(programs)
}

/// The test programs that messages of cargo tell of, one in a line.
fn parse(messages: &str) -> Result<Vec<TestProgram>> {
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: Message = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let (Some(executable), Some(manifest), Some(target), Some(profile)) = (
            message.executable,
            message.manifest_path,
            message.target,
            message.profile,
        ) else {
            continue;
        };
        if !profile.test {
            continue;
        }
        programs.push(TestProgram {
            package: manifest.parent().context("no parent folder")?.to_owned(),
            is_beside: target.kind.iter().any(|kind| kind == "test"),
            name: target.name,
            executable,
        });
    }
    Ok(programs)
}

impl TestProgram {
    /// That of cargo: by package, what is tested first, then tests beside it by name.
    fn order(&self) -> (&Path, bool, &str) {
        (&self.package, self.is_beside, &self.name)
    }

    /// Runs it as cargo does, with more arguments and variables.
    ///
    /// # Errors
    ///
    /// When it can't be started, or a test fails.
    pub fn run(&self, args: &[&str], variables: &[(&str, &Path)]) -> Result<()> {
        println!("\n    {}", self.title());
        let status = self.command(variables).args(args).status();
        let status = status.with_context(|| format!("starting {}", self.executable.display()))?;
        if !status.success() {
            bail!("{}", self.title());
        }
        Ok(())
    }

    /// Runs it in the background; what it said.
    ///
    /// # Errors
    ///
    /// The same, with what it said.
    pub fn output(&self, variables: &[(&str, &Path)]) -> Result<String> {
        let output = self.command(variables).output();
        let output = output.with_context(|| format!("starting {}", self.executable.display()))?;
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        if !output.status.success() {
            bail!("{}\n{}", self.title(), said.concat());
        }
        Ok(format!("\n    {}\n{}", self.title(), said.concat()))
    }

    fn title(&self) -> String {
        let package = root().ok();
        let package = package.and_then(|root| self.package.strip_prefix(root).ok());
        let package = package.unwrap_or(&self.package);
        format!("{}: {}", package.display(), self.name)
    }

    fn command(&self, variables: &[(&str, &Path)]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.package)
            .env("CARGO_MANIFEST_DIR", &self.package)
            .envs(variables.iter().copied());
        command
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    #[test]
    fn tests_are_told_from_libraries_and_programs() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/w/core/Cargo.toml","target":{"kind":["lib"],"name":"core"},"profile":{"test":true},"executable":"/t/core-1"}
{"reason":"compiler-artifact","manifest_path":"/w/core/Cargo.toml","target":{"kind":["lib"],"name":"core"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/Cargo.toml","target":{"kind":["bin"],"name":"run"},"profile":{"test":false},"executable":"/t/run"}
{"reason":"compiler-artifact","manifest_path":"/w/Cargo.toml","target":{"kind":["test"],"name":"cli"},"profile":{"test":true},"executable":"/t/cli-2"}
{"reason":"build-finished","success":true}"#;
        let programs = parse(messages).unwrap();
        let told: Vec<_> = programs
            .iter()
            .map(|p| (p.package.as_path(), p.name.as_str(), p.is_beside))
            .collect();
        let (core, own) = (Path::new("/w/core"), Path::new("/w"));
        assert_eq!(told, [(core, "core", false), (own, "cli", true)]);
    }
}
