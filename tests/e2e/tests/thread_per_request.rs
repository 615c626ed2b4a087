//! Services with a thread per request: nearly every call and line is given to its request, none to a
//! wrong one, and every verdict is right.

use anyhow::Result;
use observer_e2e::app::App;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::run::{Case, can_watch, turn};
use observer_e2e::score::Demand;
use observer_e2e::server::Delay;

fn everything(app: App, clients: usize) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, &format!("{} at {clients}", app.name())) {
        return Ok(());
    }
    let case = Case {
        app,
        mix: Mix::everything(),
        clients,
        requests: 800,
        delay: Delay::UNEVEN,
    };
    case.demand(Demand::THREAD_PER_REQUEST)
}

/// A service that does the same to every request: no other mode lends it evidence.
fn each_mode(app: App) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, &format!("{} in each mode", app.name())) {
        return Ok(());
    }
    for mode in Mode::ALL {
        let case = Case {
            app,
            mix: Mix::only(mode),
            clients: 16,
            requests: 240,
            delay: Delay::UNEVEN,
        };
        case.demand(Demand::THREAD_PER_REQUEST)?;
    }
    Ok(())
}

/// Each call carries the context of the request before: that must not pass for its own.
fn leaking(app: App) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, &format!("{} that leaks contexts", app.name())) {
        return Ok(());
    }
    let case = Case {
        app,
        mix: Mix::only(Mode::Leak),
        clients: 16,
        requests: 240,
        delay: Delay::UNEVEN,
    };
    case.demand(Demand::THREAD_PER_REQUEST)
}

#[test]
fn contexts_that_leak_in_flask_are_told() -> Result<()> {
    leaking(App::FLASK)
}

#[test]
fn contexts_that_leak_between_threads_are_told() -> Result<()> {
    leaking(App::THREADS)
}

macro_rules! services {
    ($($name:ident: $app:expr),+ $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn at_16() -> Result<()> {
                everything($app, 16)
            }

            #[test]
            fn at_64() -> Result<()> {
                everything($app, 64)
            }

            #[test]
            fn in_each_mode() -> Result<()> {
                each_mode($app)
            }
        }
    )+};
}

services! {
    flask: App::FLASK,
    flask_with_timeouts: App::FLASK_TIMEOUT,
    gunicorn: App::GUNICORN,
    threads: App::THREADS,
    jdk: App::JDK,
}
