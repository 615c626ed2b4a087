//! Endpoints that fail in every way: one clear message, exact counts, and nothing else lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::root;
use observer_e2e::observer::command;
use observer_e2e::otlp::{Answer, Collector, Fake};
use observer_e2e::ports::free_port;
use observer_e2e::process::{Ended, Process};
use observer_e2e::skip::skip;

const TRACES: &str = "/v1/traces";

/// How long a replay and its export may take.
const LIMIT: Duration = Duration::from_secs(60);

fn recording() -> PathBuf {
    root().join("tests/recordings/flask.rec")
}

fn replay(more: &[&str]) -> Result<Command> {
    let mut replay = command(["replay", "--quiet", "--output", "json"])?;
    replay.arg(recording()).args(more);
    Ok(replay)
}

fn exported(endpoint: &str, more: &[&str]) -> Result<Ended> {
    let mut replay = replay(&["--otlp", endpoint])?;
    replay.args(more);
    Process::start("replay", replay)?.ended(LIMIT)
}

/// The line of standard error that begins so, which must be there exactly once.
fn said<'a>(ended: &'a Ended, part: &str) -> Result<&'a str> {
    let mut lines = ended.err.iter().filter(|line| line.contains(part));
    let first = lines.next();
    ensure!(lines.next().is_none(), "said twice: {:#?}", ended.err);
    first
        .map(String::as_str)
        .with_context(|| format!("no {part:?}: {:#?}", ended.err))
}

/// Spans that the recording makes.
fn spans() -> Result<usize> {
    let mut all = command(["replay", "--output", "json", "--spans", "bridge"])?;
    all.arg(recording());
    let ended = Process::start("replay", all)?.ended(LIMIT)?;
    Ok(ended
        .out
        .iter()
        .filter(|l| l.starts_with(r#"{"kind":"span""#))
        .count())
}

#[test]
fn an_endpoint_that_makes_no_sense_is_refused_at_once() -> Result<()> {
    for (endpoint, part) in [
        ("localhost:4318", "neither http:// nor https://"),
        ("http://", "empty host"),
        ("nonsense", "relative URL without a base"),
    ] {
        let ended = exported(endpoint, &[])?;
        ensure!(ended.status.code() == Some(2), "{:?}", ended.err);
        said(&ended, part)?;
    }
    Ok(())
}

#[test]
fn what_is_refused_is_counted_and_told_once() -> Result<()> {
    let fake = Fake::start(|path, _, _| match path {
        TRACES => Answer {
            body: b"no such tenant".to_vec(),
            ..Answer::status(403)
        },
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &[])?;
    ensure!(ended.status.success());
    said(&ended, "refuses them (403 Forbidden: no such tenant)")?;
    let n = spans()?;
    said(&ended, &format!("0 spans ({n} discarded: {n} refused)"))?;
    ensure!(fake.came(TRACES).len() == 1, "tried again");
    ensure!(!fake.came("/v1/logs").is_empty() && !fake.came("/v1/metrics").is_empty());
    Ok(())
}

#[test]
fn a_busy_endpoint_is_asked_again_when_it_says() -> Result<()> {
    let fake = Fake::start(|_, nth, _| match nth {
        0 => Answer {
            headers: "Retry-After: 1\r\n",
            ..Answer::status(429)
        },
        1 => Answer::status(503),
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, "429 Too Many Requests")?;
    said(&ended, "answers again")?;
    said(&ended, &format!("exported {} spans", spans()?))?;
    ensure!(fake.came(TRACES).len() == 3);
    Ok(())
}

#[test]
fn what_is_rejected_from_among_others_is_counted() -> Result<()> {
    let fake = Fake::start(|path, nth, _| match (path, nth) {
        (TRACES, 0) => Answer::partly(),
        _ => Answer::taken(),
    })?;
    let ended = exported(&fake.endpoint(), &[])?;
    let n = spans()?;
    said(&ended, &format!("rejected 1 of {n}: too old"))?;
    said(
        &ended,
        &format!("{} spans (1 discarded: 1 rejected)", n - 1),
    )?;
    Ok(())
}

#[test]
fn requests_that_are_too_large_are_cut() -> Result<()> {
    let fake = Fake::start(|_, _, len| match len {
        0..8_000 => Answer::taken(),
        _ => Answer::status(413),
    })?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, &format!("exported {} spans", spans()?))?;
    ensure!(fake.came(TRACES).len() > 2, "not cut");
    // Not even one fits.
    let fake = Fake::start(|_, _, _| Answer::status(413))?;
    let ended = exported(&fake.endpoint(), &["--otlp-signals", "spans"])?;
    said(&ended, "takes no request of this size")?;
    Ok(())
}

#[test]
fn nobody_there_and_no_tls_are_told_once() -> Result<()> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let ended = exported(&nobody, &[])?;
    ensure!(ended.status.success());
    said(&ended, "Connection refused")?;
    let n = spans()?;
    said(&ended, &format!("{n} not delivered in time"))?;
    let plain = Fake::start(|_, _, _| Answer::taken())?;
    let secure = plain.endpoint().replace("http://", "https://");
    for protocol in ["grpc", "http/protobuf"] {
        let ended = exported(&secure, &["--otlp-protocol", protocol])?;
        said(&ended, "it is tried again")?;
    }
    Ok(())
}

/// A certificate that nobody trusts, and its key: PEM files in `folder`.
fn certificate(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((certificate, key))
}

#[test]
fn a_certificate_is_trusted_only_when_it_is_named() -> Result<()> {
    if let Some(why) = Collector::missing() {
        skip("export over TLS", &why);
        return Ok(());
    }
    let (certificate, key) = certificate(&root().join("target/e2e/otlp/tls-files"))?;
    let n = spans()?;
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::secured("tls", &certificate, &key)?;
        let port = match protocol {
            "grpc" => collector.grpc,
            _ => collector.http,
        };
        let endpoint = format!("https://localhost:{port}");
        let untrusted = exported(&endpoint, &["--otlp-protocol", protocol])?;
        ensure!(untrusted.status.success());
        said(&untrusted, "certificate")?;
        said(&untrusted, &format!("{n} not delivered in time"))?;
        ensure!(collector.spans()?.is_empty(), "sent to a stranger");

        let mut trusting = replay(&["--otlp", &endpoint, "--otlp-protocol", protocol])?;
        trusting.env("OTEL_EXPORTER_OTLP_CERTIFICATE", &certificate);
        let trusting = Process::start("replay", trusting)?.ended(LIMIT)?;
        said(&trusting, &format!("exported {n} spans"))?;
        collector.wait(LIMIT, |spans| spans.len() == n)?;
    }
    Ok(())
}
