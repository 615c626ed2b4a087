//! A few busy connections among many light ones, of which next to none is observed: an estimate of all has the truth in its interval, or it is
//! said that there is none.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::nginx::{self, STARTING};
use observer_e2e::observer::{Observer, replays};
use observer_e2e::run::{can_watch_unless, keep, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::missing;
use serde_json::Value;

const TEST: &str = "few busy connections";

/// Seconds of load: it lasts for one whole window of time at the least.
const SECONDS: u32 = 12;
/// Connections that carry nearly all requests. Each is observed in one window of 256.
const BUSY: usize = 8;

#[test]
fn what_few_connections_carry_is_estimated_right_or_not_at_all() -> Result<()> {
    let _turn = turn();
    if !can_watch_unless(missing(&["nginx", "wrk"]), TEST) {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::NONE)?;
    let nginx = nginx::proxy(downstream.address(), "")?;
    let recording = nginx.folder().join("few.rec");
    let (pid, file) = (
        nginx.process.pid().to_string(),
        recording.display().to_string(),
    );
    let args = ["--sample", "0.004", "--pid", &pid, "--record", &file];
    let observer = Observer::watch_within("off", args)?;
    let load = nginx::wrk(nginx.address, BUSY, SECONDS, 0)?;
    let url = format!("http://{}/light", nginx.address);
    let mut light = 0;
    while load.wait(Duration::ZERO).is_none() {
        let once = ureq::Agent::new_with_defaults();
        once.get(&url).call()?.body_mut().read_to_vec()?;
        light += 1;
    }
    let busy = nginx::answered(&load.ended(STARTING)?)?;
    let told = observer.stop()?;
    keep("nginx-few", &told.out)?;

    replays(&file, &told.out)?;

    let summary: Value = serde_json::from_str(told.out.last().context("no summary")?)?;
    let none = Value::Null;
    let service = summary["services"].get(0).unwrap_or(&none);
    let (estimated, unknown) = (
        &service["served_estimated"],
        &service["served_not_estimated"],
    );
    eprintln!("{TEST}: {busy} + {light} requests, {estimated} estimated, {unknown}");
    let sum = |metric: &str| -> u64 {
        let series = summary["counts"].as_array().into_iter().flatten();
        let of = series.filter(|s| s["metric"] == metric && s["labels"]["role"] == "server");
        of.filter_map(|s| s["count"].as_u64()).sum()
    };
    // Of each request at least a read and a write.
    let calls = sum("observer_left_out_socket_calls_total");
    ensure!(calls > busy, "{calls} of {busy} requests");
    if let (Some(low), Some(high)) = (estimated["low"].as_u64(), estimated["high"].as_u64()) {
        ensure!(unknown.is_null(), "{unknown}");
        ensure!(
            (low..=high).contains(&(busy + light)),
            "{estimated} of {busy} and {light}"
        );
    } else if service.is_object() {
        ensure!(unknown["counted"] == calls, "{unknown} of {calls} calls");
    }
    Ok(())
}
