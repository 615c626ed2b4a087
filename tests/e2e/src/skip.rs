//! Skipped tests say so by name, where the end of a run can list them.

use std::fs::OpenOptions;
use std::io::Write;

/// Says that `test` is skipped and why: on standard error, and in the file that the environment
/// variable `OBSERVER_SKIPS` names.
///
/// # Panics
/// When that file can't be written: a skip must not go unnoticed.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("OBSERVER_SKIPS") {
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            panic!("can't note a skipped test in {}: {error}", path.display());
        }
    }
}

/// The first of `programs` that is not on the path, in words.
#[must_use]
pub fn missing(programs: &[&str]) -> Option<String> {
    let on_path = |name: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    programs
        .iter()
        .find(|name| !on_path(name))
        .map(|name| format!("{name} is missing (run tests/setup.sh)"))
}
