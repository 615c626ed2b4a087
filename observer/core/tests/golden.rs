//! Recordings of real services, replayed: what is said about them changes only on purpose.
//!
//! Each `tests/recordings/NAME.rec` is the beginning of a live session (see its README); `NAME.txt`
//! is what is told about it, one line per judged thing. After a change that is meant, run with
//! `UPDATE_GOLDEN=1` and read the difference.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use observer_core::engine::{Config, Engine};
use observer_core::judged::Judged;
use observer_core::recording::Reader;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings")
}

/// Everything that is told about a recording; one that is cut short is replayed as far as it goes.
fn replay(recording: &[u8]) -> Vec<Judged> {
    replay_with(recording, false)
}

fn replay_with(recording: &[u8], infer: bool) -> Vec<Judged> {
    let (startup, mut reader) = Reader::new(recording).unwrap();
    let mut engine = Engine::new(Config {
        anchor: startup.anchor,
        show_query: true,
        infer,
        ..Config::default()
    });
    let mut out = Vec::new();
    while let Ok(Some(input)) = reader.next_input() {
        engine.input(input, &mut out);
    }
    engine.finish(&mut out);
    out
}

fn told(judged: &[Judged]) -> String {
    let mut text = String::new();
    for item in judged {
        match item {
            Judged::Exchange(x) => {
                let attribution = x.attribution.as_ref();
                writeln!(
                    text,
                    "{} {} {} {} status {:?} for {:?} by {:?} of {:?} verdict {:?} findings {:?} because {:?}",
                    x.id,
                    x.service,
                    x.method,
                    x.target,
                    x.status,
                    x.request.map(|r| r.to_string()),
                    attribution.and_then(|a| a.tier),
                    x.parent.map(|p| p.to_string()),
                    x.verdict.map(|v| v.name()),
                    x.findings.len(),
                    attribution.and_then(|a| a.reason.as_ref().map(ToString::to_string)),
                )
                .unwrap();
            }
            Judged::Log(l) => {
                let start: String = l.line.chars().take(60).collect();
                writeln!(
                    text,
                    "line {} {start:?} for {:?} by {:?} verdict {} because {:?}",
                    l.source,
                    l.request.map(|r| r.to_string()),
                    l.attribution.tier,
                    l.verdict.name(),
                    l.attribution.reason.as_ref().map(ToString::to_string),
                )
                .unwrap();
            }
            Judged::Explanation(_) => unreachable!("none was asked for"),
            Judged::Loss(loss) => writeln!(text, "loss {:?} {}", loss.what, loss.count).unwrap(),
            Judged::Sampling(sampling) => writeln!(text, "sampled {}", sampling.share).unwrap(),
            Judged::Summary(s) => {
                writeln!(text, "summary {:?} {:?}", s.verdicts.0, s.log_verdicts.0).unwrap();
            }
        }
    }
    text
}

fn recordings() -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rec"))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "recordings are missing");
    names
}

#[test]
fn recordings_are_judged_as_before() {
    for path in recordings() {
        let told = told(&replay(&std::fs::read(&path).unwrap()));
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &told).unwrap();
        }
        let before = std::fs::read_to_string(&expected).unwrap();
        for (n, (is, was)) in told.lines().zip(before.lines()).enumerate() {
            assert_eq!(is, was, "{}:{}", expected.display(), n + 1);
        }
        assert_eq!(
            told.lines().count(),
            before.lines().count(),
            "{}",
            expected.display()
        );
    }
}

/// Takes what was inferred out of it, in words.
fn take_inferred(judged: &mut [Judged]) -> String {
    let mut text = String::new();
    for item in judged {
        let (what, inferred) = match item {
            Judged::Exchange(x) => (x.target.to_string(), x.inferred.take()),
            Judged::Log(l) => (l.line.clone(), l.inferred.take()),
            _ => continue,
        };
        if let Some(inferred) = inferred {
            let (request, confidence) = (inferred.request, inferred.confidence);
            writeln!(text, "{what:?} for {request} {confidence:.2}: {inferred}").unwrap();
        }
    }
    text
}

#[test]
fn inference_tells_more_and_changes_nothing() {
    let mut told = String::new();
    for path in recordings() {
        let recording = std::fs::read(&path).unwrap();
        let mut with = replay_with(&recording, true);
        let inferred = take_inferred(&mut with);
        let name = path.file_stem().unwrap().to_string_lossy();
        write!(told, "{name}: {}\n{inferred}", inferred.lines().count()).unwrap();
        let json = |judged: &[Judged]| serde_json::to_string(judged).unwrap();
        assert!(json(&with) == json(&replay(&recording)), "{name}");
    }
    let expected = folder().join("inferred.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&expected, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(&expected).unwrap());
}

#[test]
fn a_replay_is_repeatable() {
    for name in ["flask", "go"] {
        let recording = std::fs::read(folder().join(name).with_extension("rec")).unwrap();
        let json = |judged: Vec<Judged>| serde_json::to_string(&judged).unwrap();
        assert_eq!(json(replay(&recording)), json(replay(&recording)));
    }
}
