//! The Pythons that this machine has.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// More of them: commands, words apart by spaces, commands apart by colons.
const MORE: &str = "OBSERVER_TEST_PYTHONS";

/// A way to run Python.
#[derive(Clone, Debug)]
pub struct Python {
    /// Its version, as it says itself.
    pub version: String,
    words: Vec<String>,
}

impl Python {
    /// Runs a program text.
    pub fn run(&self, text: &str) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args(["-c", text]);
        command
    }

    fn of(words: Vec<String>) -> Option<Self> {
        let mut python = Self {
            version: String::new(),
            words,
        };
        let told = python
            .run("import sys; print(sys.version.split()[0], sys.implementation.name)")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let told = String::from_utf8(told.stdout).ok()?;
        python.version = told.trim().strip_suffix(" cpython")?.to_owned();
        Some(python)
    }

    /// Whether it has a module.
    pub fn has(&self, module: &str) -> bool {
        let mut import = self.run(&format!("import {module}"));
        let status = import.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// 3.`minor`.
    pub fn minor(&self) -> Option<u32> {
        self.version.split('.').nth(1)?.parse().ok()
    }
}

/// One of each version from 3.9 on that is found: in the search path, installed by pyenv, or named.
pub fn all() -> Vec<Python> {
    let mut found: Vec<Python> = Vec::new();
    for words in candidates() {
        if let Some(python) = Python::of(words)
            && python.minor().is_some_and(|minor| minor >= 9)
            && found.iter().all(|other| {
                other.version != python.version
                    || other.words[0].contains("pyenv") != python.words[0].contains("pyenv")
            })
        {
            found.push(python);
        }
    }
    let minors: Vec<u32> = found.iter().filter_map(Python::minor).collect();
    for minor in (9..=15).filter(|minor| !minors.contains(minor)) {
        eprintln!("skipped: Python 3.{minor} is not on this machine");
    }
    found
}

/// The Python of the end-to-end tests' services, which has their libraries.
pub fn with_libraries() -> Option<Python> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/e2e/venv/bin/python");
    let python = Python::of(vec![root.to_string_lossy().into_owned()]);
    if python.is_none() {
        eprintln!(
            "skipped: there is no {} (see tests/setup.sh)",
            root.display()
        );
    }
    python
}

fn candidates() -> Vec<Vec<String>> {
    let mut candidates: Vec<Vec<String>> = Vec::new();
    for path in ["/usr/bin", "/usr/local/bin"] {
        candidates.push(vec![format!("{path}/python3")]);
        candidates.extend((9..=15).map(|minor| vec![format!("{path}/python3.{minor}")]));
    }
    let pyenv = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv/versions"));
    for version in pyenv
        .and_then(|dir| dir.read_dir().ok())
        .into_iter()
        .flatten()
        .flatten()
    {
        let python = version.path().join("bin/python3");
        candidates.push(vec![python.to_string_lossy().into_owned()]);
    }
    if let Ok(more) = std::env::var(MORE) {
        let commands = more.split(':').filter(|command| !command.is_empty());
        candidates.extend(commands.map(|c| c.split(' ').map(str::to_owned).collect()));
    }
    candidates
}
