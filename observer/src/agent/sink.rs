//! The agent's sink: JSON Lines if they are wanted, and answers for the HTTP server.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use observer_core::facts::ProcessFacts;
use observer_core::healing::Healed;
use observer_core::ids::KernelNanos;
use observer_core::judged::{Judged, Summary};
use observer_core::summary::Tally;

use super::board::{Board, Snapshot};
use super::now;
use crate::cli::agent::{JsonPlan, Target};
use crate::cli::show::{Output, ShowPlan};
use crate::sink::{self, Canvas, Sink};

/// Tells the board what was counted, and `json` everything.
pub struct AgentSink<'a> {
    board: Arc<Board>,
    json: Option<Box<dyn Sink + 'a>>,
}

impl<'a> AgentSink<'a> {
    /// With JSON Lines as `plan` says. `reopen` is raised when the file is to be opened anew.
    ///
    /// # Errors
    ///
    /// If the file can't be opened.
    pub fn new(
        board: Arc<Board>,
        plan: Option<&JsonPlan>,
        show_query: bool,
        reopen: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let json = match plan {
            Some(plan) => {
                let show = ShowPlan {
                    output: Output::Json,
                    logs: plan.logs,
                    show_query,
                    ..ShowPlan::default()
                };
                let out = Lasting::open(plan.target.clone(), reopen)?;
                Some(sink::open(&show, Canvas::default(), out))
            }
            None => None,
        };
        Ok(Self { board, json })
    }
}

impl Sink for AgentSink<'_> {
    fn judged(&mut self, item: Judged) -> io::Result<()> {
        self.json.as_mut().map_or(Ok(()), |json| json.judged(item))
    }

    fn process(&mut self, facts: &ProcessFacts) {
        if let Some(json) = &mut self.json {
            json.process(facts);
        }
    }

    fn healed(&mut self, item: Healed) -> io::Result<()> {
        self.json.as_mut().map_or(Ok(()), |json| json.healed(item))
    }

    fn tick(&mut self, time: KernelNanos) -> io::Result<()> {
        self.json.as_mut().map_or(Ok(()), |json| json.tick(time))
    }

    fn count(&mut self, tally: &dyn Fn() -> Tally) {
        self.board.hear();
        if self.board.is_asked() {
            self.board.answer(Snapshot {
                counted: tally().counted(),
                now: now(),
                ..Snapshot::default()
            });
        }
    }

    fn finish(&mut self, summary: Summary) -> io::Result<()> {
        self.json
            .as_mut()
            .map_or(Ok(()), |json| json.finish(summary))
    }
}

/// A writer that outlasts what is wrong with its file: what can't be written is left out, which is
/// said once. The agent has other things to do than to write.
struct Lasting {
    target: Target,
    out: Option<Box<dyn Write>>,
    failing: bool,
    reopen: Arc<AtomicBool>,
}

impl Lasting {
    fn open(target: Target, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            out: Some(open(&target)?),
            target,
            failing: false,
            reopen,
        })
    }

    fn name(&self) -> String {
        match &self.target {
            Target::Stdout => "standard output".to_owned(),
            Target::File(path) => path.display().to_string(),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            let name = self.name();
            eprintln!(
                "observer: {name} can't be written to: {error}; what is found is not written there until it can"
            );
        }
        self.failing = true;
    }
}

fn open(target: &Target) -> io::Result<Box<dyn Write>> {
    use std::os::unix::fs::OpenOptionsExt;
    Ok(match target {
        Target::Stdout => Box::new(io::stdout()),
        // For its owner alone: it holds paths and log lines of services.
        Target::File(path) => Box::new(
            std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?,
        ),
    })
}

impl Write for Lasting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reopen.swap(false, Relaxed) || self.out.is_none() {
            match open(&self.target) {
                Ok(out) => self.out = Some(out),
                Err(error) => self.failed(&error),
            }
        }
        if let Some(out) = &mut self.out {
            match out.write_all(bytes) {
                Ok(()) => self.failing = false,
                Err(error) => self.failed(&error),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(out) = &mut self.out {
            // What fails here fails at the next write as well.
            let _ = out.flush();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_appended_to_and_opened_anew_when_it_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let reopen = Arc::new(AtomicBool::new(false));
        let mut out = Lasting::open(Target::File(path.clone()), Arc::clone(&reopen)).unwrap();
        out.write_all(b"1").unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        out.write_all(b"2").unwrap();
        reopen.store(true, Relaxed);
        out.write_all(b"3").unwrap();
        assert_eq!(std::fs::read(folder.path().join("old")).unwrap(), b"12");
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
    }

    #[test]
    fn a_full_disk_ends_nothing() {
        let full = Target::File("/dev/full".into());
        let mut out = Lasting::open(full, Arc::default()).unwrap();
        assert_eq!(out.write(b"x").unwrap(), 1);
        assert!(out.failing);
        assert_eq!(out.write(b"y").unwrap(), 1);
    }
}
