//! The same of what real services do: recorded under load, then replayed.

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_core::engine::{Config, Engine, Input};
use observer_core::recording::Reader;
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::plan::Mix;
use observer_e2e::server::{Delay, Downstream};

use super::{REPEATS, cpu_time};
use crate::nginx::Nginx;
use crate::observer::Observer;
use crate::report::{Report, Table};

/// Requests at a time.
const CLIENTS: usize = 16;
/// Requests that are recorded.
const REQUESTS: usize = 2_000;

const SERVICES: [App; 6] = [
    App::THREADS,
    App::FLASK,
    App::GO,
    App::EXPRESS,
    App::AIOHTTP,
    App::JDK_VIRTUAL,
];

/// Records services under load, and replays that.
pub fn run(report: &mut Report, observer: &Path) -> Result<()> {
    let table = report.table(
        "Replay of recorded services on one core",
        ["service", "records per request", "million records/s", "aim"],
    );
    let nginx = Nginx::start()?;
    let address = SocketAddr::from(([127, 0, 0, 1], nginx.port()));
    let recorded = record(observer, nginx.pid(), address)?;
    row(table, "nginx", &recorded)?;
    let downstream = Downstream::start(Delay::UNEVEN)?;
    for app in SERVICES {
        if let Some(missing) = app.missing() {
            table.note(format!("Not measured: {}: {missing}.", app.name));
            continue;
        }
        let service = app.start(downstream.address(), CLIENTS)?;
        let recorded = record(observer, service.process.pid(), service.address)?;
        row(table, app.name, &recorded)?;
    }
    table.note(format!(
        "{REQUESTS} requests of every kind (nginx only answers them), {CLIENTS} at a time, recorded with everything observed. What is \
         measured is reading the recording, and the pipeline; the best CPU time of {REPEATS} replays. Ticks are as they were recorded, up to \
         200 a second, whatever the load: services whose work is decided a second later are looked at so often until then.",
    ));
    Ok(())
}

/// What a watch records while the service answers.
fn record(observer: &Path, pid: u32, address: SocketAddr) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().to_str().context("a strange folder")?;
    let args = ["--quiet", "--cpu-budget", "off", "--record", path];
    let observer = Observer::watch(observer, pid, &args)?;
    let plan = Mix::everything().plan("bench-", REQUESTS, 1);
    Clients::new(CLIENTS).drive(address, &plan)?;
    observer.stop()?;
    Ok(std::fs::read(file.path())?)
}

fn row(table: &mut Table, name: &str, recorded: &[u8]) -> Result<()> {
    let (mut best, mut records) = (Duration::MAX, 0);
    for _ in 0..REPEATS {
        let began = cpu_time();
        records = replay(recorded)?;
        best = cpu_time().saturating_sub(began).min(best);
    }
    ensure!(records > REQUESTS as u64, "nothing of {name} was recorded");
    table.row([
        name.to_owned(),
        format!("{:.1}", records as f64 / REQUESTS as f64),
        format!("{:.2}", records as f64 / best.as_secs_f64() / 1e6),
        "1".to_owned(),
    ]);
    Ok(())
}

/// Takes a recording through the pipeline; how many records there were.
fn replay(recorded: &[u8]) -> Result<u64> {
    let (startup, mut reader) = Reader::new(recorded)?;
    let mut engine = Engine::new(Config {
        anchor: startup.anchor,
        ..Config::default()
    });
    let mut out = Vec::new();
    while let Some(input) = reader.next_input()? {
        let tick = matches!(input, Input::Tick { .. });
        engine.input(input, &mut out);
        if tick {
            black_box(engine.feedback());
            black_box(&out);
            out.clear();
        }
    }
    Ok(engine.finish(&mut out).records)
}
