//! The test bed by itself: every service does what it is asked, without the observer.

use anyhow::Result;
use observer_e2e::app::App;
use observer_e2e::plan::Mix;
use observer_e2e::run::{Case, turn};
use observer_e2e::server::Delay;
use observer_e2e::skip::skip;

fn check(app: App, mix: Mix) -> Result<()> {
    let _turn = turn();
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

#[test]
fn flask() -> Result<()> {
    check(App::FLASK, Mix::everything())
}

#[test]
fn flask_with_timeouts() -> Result<()> {
    check(App::FLASK_TIMEOUT, Mix::everything())
}

#[test]
fn gunicorn() -> Result<()> {
    check(App::GUNICORN, Mix::everything())
}

#[test]
fn threads() -> Result<()> {
    check(App::THREADS, Mix::everything())
}

#[test]
fn jdk() -> Result<()> {
    check(App::JDK, Mix::everything())
}

#[test]
fn express() -> Result<()> {
    check(App::EXPRESS, Mix::everything())
}

#[test]
fn aiohttp() -> Result<()> {
    check(App::AIOHTTP, Mix::everything())
}

#[test]
fn go() -> Result<()> {
    check(App::GO, Mix::everything())
}

#[test]
fn axum() -> Result<()> {
    check(App::AXUM, Mix::everything())
}

/// Those of the truth bench that no other test here runs, with calls in parallel where they can.
#[test]
fn services_of_the_truth_bench() -> Result<()> {
    let own = [App::FLASK_TIMEOUT, App::GUNICORN, App::JDK, App::THREADS].map(App::name);
    for app in App::ALL.iter().filter(|app| app.works_by_itself()) {
        if !own.contains(&app.name) {
            let mix = Mix {
                parallel: app.parallel,
                ..Mix::everything()
            };
            check(*app, mix)?;
        }
    }
    Ok(())
}

#[test]
fn opentelemetry_python() -> Result<()> {
    check(App::OTEL_PYTHON_SIMPLE, Mix::sdk())?;
    check(App::OTEL_PYTHON_BATCH, Mix::sdk())
}

#[test]
fn opentelemetry_node() -> Result<()> {
    check(App::OTEL_NODE_SIMPLE, Mix::sdk())?;
    check(App::OTEL_NODE_BATCH, Mix::sdk())
}
