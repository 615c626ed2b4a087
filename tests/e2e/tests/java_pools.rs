//! Java's pools: what their threads do is given to the request of the thread that made the task, whatever queue it went through and
//! whether or not anybody waits for it, without any id.

use std::time::Duration;

use anyhow::{Result, ensure};
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

/// How long judgement may take.
const JUDGING: Duration = Duration::from_secs(20);

/// How the evidence of a task's maker is told.
const MADE: &str = "made the task";

#[test]
fn tasks_are_given_to_the_requests_of_those_who_made_them() -> Result<()> {
    let _turn = turn();
    if !can_watch(App::JDK_POOL, "tasks of Java's pools") {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::SOME_SLOW)?;
    let service = App::JDK_POOL.start_with(downstream.address(), WORKERS, |command| {
        command.env("BG_MS", "20");
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

    drop(downstream.take());
    let plan = drive("counts-", REQUESTS)?;
    let ours = |line: &str| line_id(line).is_some_and(|id| id.starts_with("counts-"));
    let mut printed = service.process.lines(REQUESTS * LINES, JUDGING, ours);
    printed.retain(|line| ours(line));
    let ended = observer.stop()?;
    keep("java-pools", &ended.out)?;
    let received = downstream.take();
    check_service(&plan, &received, &printed, &(LINES..=LINES))?;
    let score = score(
        &Truth::new(&plan, &received, &printed),
        &told::read(&ended.out)?,
    );
    eprintln!("{score}");
    ensure!(
        score.calls.wrong + score.lines.wrong == 0,
        "{:?}",
        score.samples
    );
    let background = (score.background_calls.given, score.background_lines.given);
    ensure!(background == (0, 0), "{:?}", score.samples);
    // A collection between the making of a task and its work hides who made it.
    ensure!(score.calls.right * 100 >= score.calls.total * 98, "{score}");
    Ok(())
}
