//! The test bed by itself: every service does what it is asked, without the observer.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, ensure};
use observer_e2e::app::App;
use observer_e2e::plan::Mix;
use observer_e2e::run::Case;
use observer_e2e::server::Delay;
use observer_e2e::skip::skip;

fn check(app: App, mix: Mix) -> Result<()> {
    if let Some(why) = app.missing() {
        skip(&format!("bed {}", app.name()), &why);
        return Ok(());
    }
    let case = Case {
        app,
        mix,
        clients: 16,
        requests: 300,
        delay: Delay::UNEVEN,
    };
    case.check_bed()
}

/// Services that live tests have make their calls one after the other, those of the truth bench with calls in parallel
/// where they can, and those with an SDK.
fn cases() -> Vec<(App, Mix)> {
    let live = [
        App::FLASK,
        App::THREADS,
        App::JDK,
        App::EXPRESS,
        App::AIOHTTP,
        App::GO,
        App::AXUM,
    ];
    let sdk = [
        App::OTEL_PYTHON_SIMPLE,
        App::OTEL_PYTHON_BATCH,
        App::OTEL_NODE_SIMPLE,
        App::OTEL_NODE_BATCH,
    ];
    let bench = App::ALL.iter().filter(|app| app.works_by_itself());
    let bench = bench.map(|app| {
        let parallel = app.parallel;
        let mix = Mix {
            parallel,
            ..Mix::everything()
        };
        (*app, mix)
    });
    let live = live.map(|app| (app, Mix::everything()));
    let sdk = sdk.map(|app| (app, Mix::sdk()));
    bench.chain(live).chain(sdk).collect()
}

/// Nothing is measured, and each service has clients and a downstream of its own: so there is one for each processor at a
/// time.
#[test]
fn every_service_does_what_it_is_asked() -> Result<()> {
    let left = Mutex::new(cases());
    let next = || left.lock().ok()?.pop();
    let work = || {
        let mut wrong = Vec::new();
        while let Some((app, mix)) = next() {
            if let Err(error) = check(app, mix) {
                wrong.push(format!("{}: {error:#}", app.name()));
            }
        }
        wrong
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter();
        ended
            .flat_map(|worker| worker.join().unwrap_or_else(|_| vec!["panicked".into()]))
            .collect()
    });
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
