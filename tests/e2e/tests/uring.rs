//! What goes through an `io_uring` is not seen: that is said wherever it matters, and nobody is judged for it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::observer::{Observer, command};
use observer_e2e::plan::Mix;
use observer_e2e::process::Process;
use observer_e2e::run::{can_watch, keep, turn};
use observer_e2e::score::told::{self, Told};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;
use observer_e2e::uring::unavailable;

/// How long the program may take to look around, or at a file.
const SOON: Duration = Duration::from_secs(120);

/// Verdicts of lines that rest on what they carry alone.
const BY_IDS: [&str; 6] = [
    "linked",
    "reencoded",
    "zero",
    "foreign",
    "unscoped",
    "inconclusive",
];

#[test]
fn a_service_with_rings_is_told_as_blind_and_never_accused() -> Result<()> {
    const TEST: &str = "sockets driven through io_uring";
    let _turn = turn();
    if !can_watch(App::URING, TEST) {
        return Ok(());
    }
    if let Some(why) = unavailable() {
        skip(TEST, &why);
        return Ok(());
    }
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = App::URING.start(downstream.address(), 0)?;
    let pid = service.process.pid().to_string();
    // Its rings are made later, for each connection one.
    let observer = Observer::watch(["--pid", &pid])?;
    let mut mix = Mix::everything();
    mix.parallel = false;
    let plan = mix.plan("q", 60, 1);
    Clients::new(4).drive(service.address, &plan)?;
    let calls: u32 = plan.iter().map(|planned| planned.calls).sum();
    ensure!(downstream.take().len() == calls as usize, "calls are amiss");
    let ended = observer.stop()?;
    ensure!(ended.status.success(), "{:?}", ended.err);
    keep("uring", &ended.out)?;
    judged_by_ids(&told::read(&ended.out)?)?;
    reported(&ended.out)
}

fn judged_by_ids(told: &[Told]) -> Result<()> {
    let mut lines = 0;
    for told in told {
        match told {
            // Bytes of sockets that are seen all the same would be no harm, but there are none.
            Told::Exchange(exchange) => anyhow::bail!("an exchange is told: {exchange:?}"),
            Told::Log(log) => {
                lines += 1;
                ensure!(BY_IDS.contains(&log.verdict.as_str()), "{log:?}");
                ensure!(log.request.is_none(), "{log:?}");
            }
            Told::Summary(summary) => {
                let unseen = summary["not_observed"].to_string();
                ensure!(unseen.contains("io-uring"), "not observed: {unseen}");
            }
            _ => {}
        }
    }
    ensure!(lines >= 240, "{lines} lines were told");
    Ok(())
}

/// The report of what was told says it too.
fn reported(out: &[String]) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("observer-uring-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("told.jsonl");
    std::fs::write(&file, out.join("\n") + "\n")?;
    let file = file.to_str().context("a path that is no text")?;
    for format in ["terminal", "json", "markdown", "html"] {
        let command = command(["report", file, "--format", format])?;
        let ended = Process::start("observer report", command)?.ended(SOON)?;
        let text = ended.out.join("\n");
        let words = match format {
            "json" => "io-uring",
            _ => "io_uring",
        };
        ensure!(text.contains(words), "{format}: {text} {:?}", ended.err);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[test]
fn doctor_names_processes_that_have_rings() -> Result<()> {
    if let Some(why) = unavailable() {
        skip("doctor on processes with io_uring", &why);
        return Ok(());
    }
    // This very process, as long as it has one.
    let _ring = observer_e2e::uring::hold()?;
    let ended = Process::start("observer doctor", command(["doctor"])?)?.ended(SOON)?;
    let text = ended.out.join("\n");
    let told = text.contains("io_uring") && text.contains(&std::process::id().to_string());
    ensure!(told, "{text}");
    Ok(())
}
