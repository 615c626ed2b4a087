//! What a system call costs: without probes, with probes that watch another process, and watched.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::observer::Observer;
use crate::report::Report;
use crate::work::{CALLS_PER_EXCHANGE, Exchange, unrelated};

/// Few enough for the ring to hold all their records.
const EXCHANGES: u32 = 5_000;
const UNRELATED: u32 = 200_000;
/// Samples in a round; the best counts.
const SAMPLES: u32 = 5;
/// Leaves the observer time to empty the ring between samples.
const REST: Duration = Duration::from_millis(60);

/// Measures this process's own calls.
pub fn run(report: &mut Report, observer: &Path, rounds: u32) -> Result<()> {
    let mut exchange = Exchange::new()?;
    let mut bystander = Bystander::start()?;
    let mut best = [[f64::MAX; 2]; 3];
    for _ in 0..rounds {
        sample(&mut exchange, &mut best[0])?;
        for (pid, best) in [bystander.0.id(), std::process::id()]
            .into_iter()
            .zip(&mut best[1..])
        {
            let observer = Observer::watch(observer, pid, &["--quiet", "--cpu-budget", "off"])?;
            sample(&mut exchange, best)?;
            observer.stop()?;
        }
    }
    bystander.0.kill()?;
    let table = report.table(
        "Nanoseconds per system call",
        [
            "call",
            "no probes",
            "unwatched",
            "watched",
            "unwatched, ratio",
            "watched, ratio",
        ],
    );
    let names = [
        "`read` or `write`, 600 bytes of HTTP over loopback",
        "`getppid`",
    ];
    for (n, name) in names.into_iter().enumerate() {
        let [none, unwatched, watched] = best.map(|b| b[n]);
        table.row([
            name.to_owned(),
            format!("{none:.0}"),
            format!("{unwatched:.0}"),
            format!("{watched:.0}"),
            format!("{:.2}", unwatched / none),
            format!("{:.2}", watched / none),
        ]);
    }
    table.note(format!(
        "Best of {} samples each, taken alternately. Unwatched: the probes are attached and watch \
         another process.",
        rounds * SAMPLES
    ));
    Ok(())
}

fn sample(exchange: &mut Exchange, best: &mut [f64; 2]) -> Result<()> {
    for _ in 0..SAMPLES {
        let began = Instant::now();
        exchange.repeat(EXCHANGES)?;
        keep(&mut best[0], began, EXCHANGES * CALLS_PER_EXCHANGE);
        let began = Instant::now();
        unrelated(UNRELATED);
        keep(&mut best[1], began, UNRELATED);
        sleep(REST);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a duration in nanoseconds")]
fn keep(best: &mut f64, began: Instant, calls: u32) {
    *best = best.min(began.elapsed().as_nanos() as f64 / f64::from(calls));
}

/// A process that does nothing, to be watched instead.
struct Bystander(Child);

impl Bystander {
    fn start() -> Result<Self> {
        let child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
