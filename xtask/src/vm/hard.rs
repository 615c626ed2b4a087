//! A machine on which things go wrong: a step that never ends, and a kernel that panics.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{
    machine::{Ending, Run},
    scenario::{COMMON, GUEST, Scenario},
};

const HANGS: &str = "hangs";
const AFTER: &str = "after it";

/// What hangs is ended, the next step runs, and the panic of the last one is told.
pub const HARD: Scenario = Scenario {
    name: "hang and panic",
    seconds: 5,
    panics: true,
    steps: &[
        (HANGS, &[GUEST, "hang"]),
        (AFTER, &[GUEST, "show", "/proc/version"]),
        ("panics", &[GUEST, "panic"]),
    ],
    checks: &[
        ("a step that hangs is ended", |run| {
            let hung = run.step(HANGS)?;
            ensure!(hung.status.is_none(), "it ends with {:?}", hung.status);
            ensure!(hung.out.contains(HANGS), "what it said is lost: {hung:?}");
            ensure!(run.step(AFTER)?.status == Some(0), "the next one fails");
            Ok(())
        }),
        ("a panic is told, and the console kept", |run| {
            let Ending::Panicked(words) = &run.ending else {
                return run.done();
            };
            let console = console(run)?;
            ensure!(console.contains(words), "the console lacks it");
            ensure!(console.contains("guest: panics"), "nor is the step there");
            Ok(())
        }),
    ],
    ..COMMON
};

fn console(run: &Run) -> Result<String> {
    let bytes = fs::read(&run.console).with_context(|| run.console.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
