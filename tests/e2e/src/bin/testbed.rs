//! The downstream and the load driver by hand, for looking into a service: see `testbed --help`.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use observer_e2e::driver::Clients;
use observer_e2e::plan::Mix;
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::workload::env_number;

const HELP: &str = "\
testbed downstream            answers on a free port until killed (MIN_US, MAX_US: delay)
testbed drive ADDRESS COUNT CLIENTS
                              sends COUNT requests of every kind from CLIENTS clients";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["downstream"] => {
            let delay = Delay {
                min_us: env_number("MIN_US", 0),
                max_us: env_number("MAX_US", 0),
                slow_one_in: 0,
            };
            println!("ready {}", Downstream::start(delay)?.address().port());
            loop {
                std::thread::park();
            }
        }
        ["drive", address, count, clients] => {
            let address: SocketAddr = address.parse().context("ADDRESS is not IP:PORT")?;
            let plan = Mix::everything().plan("q", count.parse()?, 1);
            let took = Clients::new(clients.parse()?).drive(address, &plan)?;
            println!("{} requests in {took:?}", plan.len());
            Ok(())
        }
        _ => bail!("usage:\n{HELP}"),
    }
}
