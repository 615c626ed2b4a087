//! `observer doctor`: what this host can do, and what to do about what it cannot.

mod checks;
mod executions;
mod rings;
mod show;
mod types;

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::args::DoctorArgs;
use crate::cli::exit::Exit;
use crate::cli::show::Output;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Worth knowing, of some processes or of what could not be looked at; nothing is known to be wrong.
    Note,
    /// Watching works, but not all of it.
    Degraded,
    /// Watching does not work.
    Missing,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: a stable name.
    pub name: Cow<'static, str>,
    /// How well it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, when it is not as it should be.
    pub advice: Option<String>,
    /// Of a probe: what the kernel's verifier made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<CheckedProgram>,
}

/// What the kernel's verifier made of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedProgram {
    /// Whether it was accepted. A probe that was, and is not well, could not be attached.
    pub loaded: bool,
    /// Instructions that were processed for that (the limit is a million); absent before Linux 5.16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u32>,
}

impl Check {
    fn ok(name: impl Into<Cow<'static, str>>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Ok,
            found: found.into(),
            advice: None,
            program: None,
        }
    }

    /// What does not say that the host lacks something.
    fn note(
        name: impl Into<Cow<'static, str>>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::bad(name, State::Note, found, advice)
    }

    fn bad(
        name: impl Into<Cow<'static, str>>,
        state: State,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            state,
            found: found.into(),
            advice: Some(advice.into()),
            program: None,
        }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `doctor`, to tell it from other output.
    pub kind: &'static str,
    /// The worst state of all checks; notes are none of the host.
    pub result: State,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    fn new(checks: Vec<Check>) -> Self {
        Self {
            kind: "doctor",
            result: checks
                .iter()
                .map(|check| check.state)
                .filter(|state| *state != State::Note)
                .max()
                .unwrap_or(State::Ok),
            checks,
        }
    }

    fn exit(&self) -> Exit {
        match self.result {
            State::Ok | State::Note => Exit::Ok,
            State::Degraded => Exit::Partly,
            State::Missing => Exit::Cannot,
        }
    }
}

/// Runs `observer doctor`.
///
/// # Errors
///
/// If standard output can't be written.
pub fn run(args: &DoctorArgs) -> io::Result<Exit> {
    let report = Report::new(checks::all(args.kernel.btf.clone()));
    let text = match args.output {
        Output::Text => show::text(&report, crate::output::canvas(args.color)),
        Output::Json => serde_json::to_string(&report)? + "\n",
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(report.exit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides() {
        let ok = Check::ok("a", "fine");
        let bad = |state| Check::bad("b", state, "not fine", "do this");
        assert_eq!(Report::new(vec![ok.clone()]).exit(), Exit::Ok);
        let noted = Report::new(vec![Check::note("c", "a process", "know it"), ok.clone()]);
        assert_eq!((noted.result, noted.exit()), (State::Ok, Exit::Ok));
        let report = Report::new(vec![ok.clone(), bad(State::Degraded)]);
        assert_eq!(report.exit(), Exit::Partly);
        let report = Report::new(vec![bad(State::Missing), bad(State::Degraded), ok]);
        assert_eq!(report.exit(), Exit::Cannot);
        let text = show::text(&report, crate::sink::Canvas::default());
        assert!(text.contains("✗ b") && text.contains("do this"), "{text}");
    }
}
