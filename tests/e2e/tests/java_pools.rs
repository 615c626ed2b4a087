//! Java's pools: what their threads do is given to the request of the thread that made the task, whatever queue it went through and
//! whether or not anybody waits for it, without any id; also once the loop in which they take their tasks is compiled.

use std::time::Duration;

use anyhow::{Error, Result, bail, ensure};
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::observer::Observer;
use observer_e2e::plan::{Mix, Mode, Planned};
use observer_e2e::run::{can_watch, keep, turn};
use observer_e2e::score::truth::{LINES, Truth, check_service, line_id};
use observer_e2e::score::{score, told};
use observer_e2e::server::{Delay, Downstream};

/// Requests at a time, and threads of each pool: fewer, so that tasks wait in queues.
const CLIENTS: usize = 32;
const WORKERS: usize = 16;

/// Requests of one round, and of the run that counts.
const ROUND: usize = 100;
const REQUESTS: usize = 400;

/// Rounds until the first task must have been believed.
const ROUNDS: usize = 20;

/// Rounds until all threads have gone on in compiled code.
const SETTLING: usize = 5;

/// Processes of which one at least must tell tasks in compiled code: how such a frame is laid out differs from process to process, and it may keep
/// what the interpreter had left there, which looks like the interpreter's own (docs/limitations.md).
const STARTS: usize = 4;

/// How long judgement may take.
const JUDGING: Duration = Duration::from_secs(20);

/// How the evidence of a task's maker is told.
const MADE: &str = "made the task";

/// Has the loop of a pool's threads compiled after hundreds of rounds, and by both compilers, instead of after 100 000 rounds; and each
/// thread go on in what is new soon.
const SOON: &str = "-XX:Tier3BackEdgeThreshold=400 -XX:Tier0BackedgeNotifyFreqLog=1 \
    -XX:Tier4BackEdgeThreshold=800 -XX:Tier3BackedgeNotifyFreqLog=1";

/// How the machine's log tells that the second compiler has compiled the loop while it ran.
const COMPILED: &str = " 4       java.util.concurrent.ThreadPoolExecutor::runWorker @";

#[test]
fn tasks_are_given_to_the_requests_of_those_who_made_them() -> Result<()> {
    ensure!(tasks_are_told(App::JDK_POOL, false)?);
    Ok(())
}

#[test]
fn tasks_are_given_to_the_same_where_the_loop_of_the_pool_is_compiled() -> Result<()> {
    for _ in 0..STARTS {
        if tasks_are_told(App::JDK_POOL, true)? {
            return Ok(());
        }
    }
    bail!("in none of {STARTS} processes")
}

/// Whether nearly all calls of tasks are given by who made these; fails if any is given wrongly, or too few by whatever evidence.
fn tasks_are_told(app: App, compiled: bool) -> Result<bool> {
    let _turn = turn();
    if !can_watch(app, "tasks of Java's pools") {
        return Ok(true);
    }
    let log =
        std::env::temp_dir().join(format!("java-pools-{}-{}", app.name(), std::process::id()));
    let downstream = Downstream::start(Delay::SOME_SLOW)?;
    let service = app.start_with(downstream.address(), WORKERS, |command| {
        command.env("BG_MS", "20").env("STEPS", "pool");
        if compiled {
            let told = format!("-Xlog:jit+compilation=debug:file={}", log.display());
            command.env("JAVA_TOOL_OPTIONS", format!("{SOON} {told}"));
        }
    })?;
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let clients = Clients::new(CLIENTS);
    let drive = |name: &str, count: usize| -> Result<Vec<Planned>> {
        let plan = Mix::only(Mode::Drop).plan(name, count, 7);
        clients.drive(service.address, &plan)?;
        let least = plan.iter().map(|p| p.calls as usize).sum();
        let of_it = |line: &str| line.contains(r#""role":"client""#) && line.contains(name);
        let _ = observer.process().lines(least, JUDGING, of_it);
        Ok(plan)
    };
    let believed = || {
        let told = observer.process().lines(0, JUDGING, |_| true);
        told.iter().any(|line| line.contains(MADE))
    };
    let warm =
        (0..ROUNDS).any(|round| drive(&format!("warm{round}-"), ROUND).is_ok() && believed());
    ensure!(warm, "no task was believed in {ROUNDS} rounds");
    if compiled {
        let done = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(COMPILED));
        let mut rounds = 0..ROUNDS;
        ensure!(
            rounds.any(|round| drive(&format!("hot{round}-"), ROUND).is_ok() && done()),
            "the loop was not compiled in {ROUNDS} rounds"
        );
        // The threads go on in it one after the other.
        for round in 0..SETTLING {
            drive(&format!("settles{round}-"), ROUND)?;
        }
        std::fs::copy(&log, "/tmp/lead/jit.log")?;
        std::fs::remove_file(&log)?;
    }

    drop(downstream.take());
    let plan = drive("counts-", REQUESTS)?;
    let ours = |line: &str| line_id(line).is_some_and(|id| id.starts_with("counts-"));
    let mut printed = service.process.lines(REQUESTS * LINES, JUDGING, ours);
    printed.retain(|line| ours(line));
    let ended = observer.stop()?;
    keep(&format!("java-pools-{}-{compiled}", app.name()), &ended.out)?;
    let received = downstream.take();
    check_service(&plan, &received, &printed, &(LINES..=LINES))?;
    let score = score(
        &Truth::new(&plan, &received, &printed),
        &told::read(&ended.out)?,
    );
    eprintln!("{score}");
    score.gives_nothing_wrong().map_err(Error::msg)?;
    // A collection between the making of a task and its work hides who made it.
    ensure!(score.calls.right * 100 >= score.calls.total * 98, "{score}");
    // Wakes tell the same of many, but not of tasks that nobody waits for.
    let calls = ended
        .out
        .iter()
        .filter(|line| line.contains(r#""role":"client""#));
    let made = calls.filter(|line| line.contains("counts-") && line.contains(MADE));
    let made = made.count();
    eprintln!(
        "{made} of {} calls were given to who made the task",
        score.calls.total
    );
    Ok(made * 100 >= score.calls.total * 98)
}
