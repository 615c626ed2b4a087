//! Building the program that is watched.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How it is built.
pub struct Build {
    name: String,
    version: Option<String>,
    flags: Vec<String>,
    cgo: bool,
    package: &'static str,
}

impl Build {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: None,
            flags: Vec::new(),
            cgo: false,
            package: ".",
        }
    }

    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|f| (*f).to_owned()).collect();
        self
    }

    /// Another program than the service.
    pub fn package(mut self, package: &'static str) -> Self {
        self.package = package;
        self
    }

    /// Linked by the C compiler, with C's resolver.
    pub fn cgo(mut self) -> Self {
        self.cgo = true;
        self
    }

    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// The built program; none, said aloud, where Go or its version can't be had.
    pub fn program(&self) -> Option<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goroutines/app");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-{}", self.name));
        let mut command = Command::new("go");
        command
            .current_dir(source)
            .args(["build", "-o"])
            .arg(&program)
            .args(&self.flags)
            .arg(self.package)
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" });
        if let Some(version) = &self.version {
            command.env("GOTOOLCHAIN", format!("go{version}"));
        }
        let why = match command.output() {
            Ok(output) if output.status.success() => return Some(program),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("skipped goroutines of {}: {why}", self.name);
        None
    }
}
