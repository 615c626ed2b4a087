//! Services whose OpenTelemetry SDK propagates: nobody is accused over 10 000 requests, neither the
//! calls nor the lines nor the export of the spans.

use anyhow::{Result, ensure};
use observer_e2e::app::App;
use observer_e2e::plan::Mix;
use observer_e2e::run::{Case, can_watch, turn};
use observer_e2e::score::Demand;
use observer_e2e::server::Delay;

/// With an SDK that propagates, every call and line carries the request's own trace-id.
const DEMAND: Demand = Demand {
    seen: 0.99,
    attributed: 0.99,
    background: true,
};

fn check(app: App) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, app.name()) {
        return Ok(());
    }
    let case = Case {
        app,
        mix: Mix::sdk(),
        clients: 16,
        // Two ways of exporting for each language: 10 000 requests together.
        requests: 5000,
        delay: Delay::NONE,
    };
    let score = case.watch()?;
    ensure!(score.exports.seen > 0, "no export was seen:\n{score}");
    score.meets(DEMAND).map_err(anyhow::Error::msg)
}

#[test]
fn python_exporting_each_span() -> Result<()> {
    check(App::OTEL_PYTHON_SIMPLE)
}

#[test]
fn python_exporting_batches() -> Result<()> {
    check(App::OTEL_PYTHON_BATCH)
}

#[test]
fn node_exporting_each_span() -> Result<()> {
    check(App::OTEL_NODE_SIMPLE)
}

#[test]
fn node_exporting_batches() -> Result<()> {
    check(App::OTEL_NODE_BATCH)
}
