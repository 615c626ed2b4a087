//! Services that share threads between requests: what is not certain is abstained on, with a reason;
//! nothing is given to a wrong request, and nobody is falsely accused.

use anyhow::Result;
use observer_e2e::app::App;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::run::{Case, can_watch, turn};
use observer_e2e::score::Demand;
use observer_e2e::server::Delay;

/// Requests of one case; one at a time, most of their time is the downstream's.
const REQUESTS: usize = 1200;
const ONE_BY_ONE: usize = 400;

fn check(app: App, clients: usize, mix: Mix) -> Result<()> {
    let _turn = turn();
    if !can_watch(app, &format!("{} at {clients}", app.name())) {
        return Ok(());
    }
    let case = Case {
        app,
        mix,
        clients,
        requests: if clients == 1 { ONE_BY_ONE } else { REQUESTS },
        delay: Delay::UNEVEN,
    };
    case.demand(Demand::SHARED_THREADS)
}

macro_rules! services {
    ($($name:ident: $app:expr),+ $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn at_16() -> Result<()> {
                check($app, 16, Mix::everything())
            }

            #[test]
            fn at_64() -> Result<()> {
                check($app, 64, Mix::everything())
            }

            #[test]
            fn propagating_at_64() -> Result<()> {
                check($app, 64, Mix::only(Mode::Propagate))
            }

            /// With long stretches of one request in flight, which must not pass for proof.
            #[test]
            fn one_at_a_time() -> Result<()> {
                check($app, 1, Mix::everything())
            }
        }
    )+};
}

services! {
    express: App::EXPRESS,
    aiohttp: App::AIOHTTP,
    go: App::GO,
    axum: App::AXUM,
}
