//! What could not be tested, by name.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::project::root;

/// Names the file to which skipped tests, and `tests/setup.sh`, append a line each.
pub const VARIABLE: &str = "OBSERVER_SKIPS";

/// The file in which skipped tests are noted.
pub struct Skips {
    file: PathBuf,
}

impl Skips {
    /// The file that the environment names, with what is in it; else one that is emptied first.
    pub fn open() -> Result<Self> {
        if let Some(file) = std::env::var_os(VARIABLE) {
            return Ok(Self { file: file.into() });
        }
        let file = root()?.join("target/skips.txt");
        let folder = file.parent().context("no parent folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, ""))
            .with_context(|| format!("emptying {}", file.display()))?;
        Ok(Self { file })
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Notes that `what` was skipped.
    pub fn note(&self, what: &str) -> Result<()> {
        let line = format!("SKIPPED: {}\n", what.replace('\n', " "));
        print!("{line}");
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("writing {}", self.file.display()))
    }

    /// Lists what was skipped, last.
    pub fn list(&self) -> Result<()> {
        let noted = match fs::read_to_string(&self.file) {
            Ok(noted) => noted,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| self.file.display().to_string()),
        };
        if noted.is_empty() {
            println!("\nNothing was skipped.");
            return Ok(());
        }
        println!("\nSkipped (tests/setup.sh, as root, installs what tests need):");
        print!("{noted}");
        Ok(())
    }
}
