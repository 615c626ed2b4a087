//! Files: recordings, JSON outputs, and pages of agents that somebody kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use observer_core::engine::Config;
use observer_core::judged::WallTime;
use observer_core::judged::counts::Counted;
use observer_core::recording::MAGIC;
use observer_core::summary::Page;
use serde::Deserialize;

use super::{Found, agent};
use crate::report::model::{SourceKind, SourceLine, State};
use crate::session::{self, Replay, SessionError};
use crate::sink::Keep;

/// The longest line that is read, bytes; summaries of a whole host have some MB.
const LINE: u64 = 256 * 1024 * 1024;

/// Reads a file; `-` is standard input. Outputs that were put together have several parts.
pub(super) fn read(path: &Path) -> Vec<Found> {
    let name = match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => observer_core::text::printable(&path.to_string_lossy()).into_owned(),
    };
    let line = SourceLine::new(SourceKind::Output, &name);
    let opened: io::Result<Box<dyn Read>> = match path.to_str() {
        Some("-") => Ok(Box::new(io::stdin())),
        _ => File::open(path).map(|file| Box::new(file) as _),
    };
    let mut reader = match opened {
        Ok(file) => BufReader::with_capacity(256 * 1024, file),
        Err(error) => return vec![Found::nothing(line, error)],
    };
    match reader.fill_buf() {
        Ok(start) if start.starts_with(&MAGIC[..1]) => vec![recording(line, Box::new(reader))],
        Ok([]) => vec![Found::nothing(line, "it is empty")],
        Ok(_) => output(line, reader),
        Err(error) => vec![Found::nothing(line, error)],
    }
}

fn recording(mut line: SourceLine, reader: Box<dyn Read>) -> Found {
    line.kind = SourceKind::Recording;
    let (startup, mut replay) = match Replay::new(reader) {
        Ok(opened) => opened,
        Err(error) => return Found::nothing(line, error),
    };
    let config = Config {
        anchor: startup.anchor,
        ..Config::default()
    };
    let mut summary = None;
    let done = session::run(&mut replay, config, Box::new(Keep(&mut summary)), None);
    match done {
        Ok(_) => {}
        Err(SessionError::Source(error)) => {
            line.state = State::Partial;
            line.notes
                .push(format!("{error}; what comes before is counted"));
        }
        Err(SessionError::Output(error)) => return Found::nothing(line, error),
    }
    let Some(summary) = summary else {
        return Found::nothing(line, "it has no inputs");
    };
    line.since = Some(summary.start);
    line.until = Some(summary.end);
    Found {
        line,
        counted: summary.counted,
    }
}

/// What is needed of a line of output; other kinds lack most of it.
#[derive(Deserialize)]
struct Told {
    kind: Option<String>,
    /// Of an agent's page.
    version: Option<u32>,
    start: Option<WallTime>,
    end: Option<WallTime>,
    #[serde(flatten)]
    counted: Option<Counted>,
}

/// The least that tells which lines to read.
#[derive(Deserialize)]
struct Kind<'a> {
    kind: Option<&'a str>,
    version: Option<u32>,
}

fn output(line: SourceLine, mut reader: impl BufRead) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest: u64 = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = Read::take(&mut reader, LINE).read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                found.push(Found::nothing(line.clone(), error));
                return found;
            }
        }
        let kind = serde_json::from_slice(&bytes);
        let Ok(Kind { kind, version }) = kind else {
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let why = "it is no recording, and no output of --output json either";
            found.push(match found.is_empty() && rest == 0 {
                true => Found::nothing(line.clone(), why),
                false => cut(line.clone(), "a line of it is no JSON"),
            });
            return found;
        };
        match (kind, version) {
            (Some("summary"), _) => {
                found.push(summary(line.clone(), &bytes));
                rest = 0;
            }
            (None, Some(_)) => {
                found.push(match Page::read(&bytes) {
                    Ok(page) => agent::of_page(line.clone(), page),
                    Err(error) => Found::nothing(line.clone(), error),
                });
            }
            _ => rest += 1,
        }
    }
    if rest > 0 {
        found.push(cut(line, "its end is missing"));
    }
    found
}

/// An output without the summary that has its counts.
fn cut(line: SourceLine, why: &str) -> Found {
    Found::nothing(
        line,
        format!(
            "{why}: the counts come last, with the summary, so they are not known; was the watch killed?"
        ),
    )
}

fn summary(mut line: SourceLine, bytes: &[u8]) -> Found {
    match serde_json::from_slice::<Told>(bytes) {
        Ok(told) => {
            debug_assert!(told.kind.is_some() && told.version.is_none());
            line.since = told.start;
            line.until = told.end;
            match told.counted {
                Some(counted) => Found { line, counted },
                None => Found::nothing(
                    line,
                    "its summary has no counts that can be read: made by another version?",
                ),
            }
        }
        Err(error) => Found::nothing(line, format!("its summary can't be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Vec<Found> {
        output(SourceLine::new(SourceKind::Output, "x"), text.as_bytes())
    }

    const SUMMARY: &str = r#"{"kind":"summary","start":"2026-11-21T04:16:35.000000000Z","end":"2026-11-21T04:16:45.000000000Z","services":[],"counts":[{"metric":"observer_records_total","count":7}],"samples":[]}"#;

    #[test]
    fn outputs_that_were_put_together_are_counted_apart() {
        let found = read_text(&format!("{{\"kind\":\"log\"}}\n{SUMMARY}\n{SUMMARY}\n"));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|f| f.line.state == State::Complete));
        assert_eq!(found[1].counted.series[0].count, 7);
    }

    #[test]
    fn an_output_that_was_cut_is_not_known() {
        for text in [
            "{\"kind\":\"log\"}\n".to_owned(),
            format!("{SUMMARY}\n{{\"kind\":\"log\"}}\n{{\"kind\":\"exch"),
        ] {
            let found = read_text(&text);
            let last = &found.last().unwrap().line;
            assert_eq!(last.state, State::Unreachable, "{text}");
            assert!(last.notes[0].contains("killed"), "{:?}", last.notes);
        }
    }

    #[test]
    fn what_is_no_output_is_refused() {
        for text in ["hello\n", "\u{0}\u{1}", "[1,2]\n"] {
            let found = read_text(text);
            assert!(found[0].line.notes[0].contains("no recording"), "{text}");
        }
        let found = read_text(&SUMMARY.replace("counts", "cuonts"));
        assert!(found[0].line.notes[0].contains("another version"));
    }
}
