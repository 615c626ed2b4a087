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
    check(App::Flask, Mix::everything())
}

#[test]
fn flask_with_timeouts() -> Result<()> {
    check(App::FlaskTimeout, Mix::everything())
}

#[test]
fn gunicorn() -> Result<()> {
    check(App::Gunicorn, Mix::everything())
}

#[test]
fn threads() -> Result<()> {
    check(App::Threads, Mix::everything())
}

#[test]
fn jdk() -> Result<()> {
    check(App::Jdk, Mix::everything())
}

#[test]
fn express() -> Result<()> {
    check(App::Express, Mix::everything())
}

#[test]
fn aiohttp() -> Result<()> {
    check(App::Aiohttp, Mix::everything())
}

#[test]
fn go() -> Result<()> {
    check(App::Go, Mix::everything())
}

#[test]
fn axum() -> Result<()> {
    check(App::Axum, Mix::everything())
}

#[test]
fn opentelemetry_python() -> Result<()> {
    check(App::OtelPythonSimple, Mix::sdk())?;
    check(App::OtelPythonBatch, Mix::sdk())
}

#[test]
fn opentelemetry_node() -> Result<()> {
    check(App::OtelNodeSimple, Mix::sdk())?;
    check(App::OtelNodeBatch, Mix::sdk())
}
