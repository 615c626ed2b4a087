//! `observer logs`: each line of a real service once, with the trace of the request it was written for.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::observer::Observer;
use observer_e2e::plan::{Inbound, LogMode, Mix, Mode, Planned};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};

const REQUESTS: usize = 200;
const CLIENTS: usize = 8;
/// Lines that the service writes for each request.
const LINES: usize = 4;

fn trace(planned: &Planned) -> Result<&str> {
    let Inbound::Valid(header) = &planned.inbound else {
        anyhow::bail!("no context: {planned:?}");
    };
    header.split('-').nth(1).context("no trace-id")
}

/// Truth id and number of a line, in either of its forms.
fn named(line: &str) -> Option<(String, u64)> {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(line) {
        return Some((json["id"].as_str()?.to_owned(), json["k"].as_u64()?));
    }
    let field = |name: &str| line.split(' ').find_map(|f| f.strip_prefix(name));
    Some((field("id=")?.to_owned(), field("k=")?.parse().ok()?))
}

/// The trace and the span that a line says it belongs to.
fn said(line: &str) -> (Option<String>, Option<String>) {
    let get = |name: &str| {
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(line) {
            return json[name].as_str().map(str::to_owned);
        }
        let prefix = format!("{name}=");
        let mut fields = line.split(' ');
        fields.find_map(|f| f.strip_prefix(prefix.as_str()).map(str::to_owned))
    };
    (get("trace_id"), get("span_id"))
}

#[test]
fn every_line_comes_once_with_its_trace() -> Result<()> {
    let _turn = turn();
    if !can_watch(App::THREADS, "observer logs") {
        return Ok(());
    }
    let mix = Mix {
        logs: vec![LogMode::Linked, LogMode::Missing],
        ..Mix::only(Mode::Drop)
    };
    let plan = mix.plan("q", REQUESTS, 7);
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = App::THREADS.start(downstream.address(), 0)?;
    let observer = Observer::logs(["--pid", &service.process.pid().to_string()])?;
    Clients::new(CLIENTS).drive(service.address, &plan)?;
    let told = observer.stop()?;
    ensure!(told.status.success(), "{:?}", told.err);

    let plan: HashMap<&str, &Planned> = plan.iter().map(|p| (p.id.as_str(), p)).collect();
    let mut seen = HashMap::new();
    for line in told.out.iter().filter(|line| line.contains("step")) {
        let (id, k) = named(line).with_context(|| format!("whose? {line}"))?;
        let planned = plan[id.as_str()];
        let (trace_id, span_id) = said(line);
        ensure!(
            trace_id.as_deref() == Some(trace(planned)?),
            "not of its trace: {line}"
        );
        ensure!(
            span_id.is_some() == (planned.log == LogMode::Missing),
            "changed, or not: {line}"
        );
        *seen.entry((id, k)).or_insert(0) += 1;
    }
    ensure!(
        seen.len() == LINES * REQUESTS && seen.values().all(|n| *n == 1),
        "{} lines of {}",
        seen.len(),
        LINES * REQUESTS
    );
    Ok(())
}
