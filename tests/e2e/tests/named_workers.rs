//! Tomcat's workers, known by their names: where requests come back to the only one after it has worked for the process, nothing is given to a wrong request, although no
//! two requests overlap.

use std::time::Duration;

use anyhow::{Error, Result, ensure};
use observer_e2e::app::App;
use observer_e2e::driver::Clients;
use observer_e2e::observer::Observer;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::run::{can_watch, keep, turn};
use observer_e2e::score::score;
use observer_e2e::score::told::{self, Role, Told};
use observer_e2e::score::truth::{LINES, Truth, check_service, line_id};
use observer_e2e::server::{Delay, Downstream};

/// Requests of one run.
const REQUESTS: usize = 200;

/// How long judgement may take.
const JUDGING: Duration = Duration::from_secs(20);

#[test]
fn a_worker_that_does_other_work_in_between_is_given_nothing_of_it() -> Result<()> {
    for workers in [1, 2, 4] {
        alone(workers)?;
    }
    Ok(())
}

fn alone(workers: usize) -> Result<()> {
    let _turn = turn();
    let app = App::TOMCAT_ASYNC;
    if !can_watch(app, "workers by name that do other work") {
        return Ok(());
    }
    let downstream = Downstream::start(Delay::UNEVEN)?;
    let service = app.start_with(downstream.address(), workers, |command| {
        command.env("BG_MS", "5");
    })?;
    drop(downstream.take());
    let observer = Observer::watch(["--pid", &service.process.pid().to_string()])?;
    let plan = Mix::only(Mode::Drop).plan("alone-", REQUESTS, 7);
    Clients::new(1).drive(service.address, &plan)?;
    let calls = plan.iter().map(|p| p.calls as usize).sum();
    let of_it = |line: &str| line.contains(r#""role":"client""#) && line.contains("alone-");
    let _ = observer.process().lines(calls, JUDGING, of_it);
    let ours = |line: &str| line_id(line).is_some_and(|id| id.starts_with("alone-"));
    let mut printed = service.process.lines(REQUESTS * LINES, JUDGING, ours);
    printed.retain(|line| ours(line));
    let ended = observer.stop()?;
    keep(&format!("named-workers-{workers}"), &ended.out)?;
    let received = downstream.take();
    check_service(&plan, &received, &printed, &(LINES..=LINES))?;
    let told = told::read(&ended.out)?;
    let score = score(&Truth::new(&plan, &received, &printed), &told);
    eprintln!("{workers} workers\n{score}");
    score.gives_nothing_wrong().map_err(Error::msg)?;
    // The service does what would deceive: work for nobody, while a request waits.
    ensure!(
        between(&told) >= REQUESTS / 10,
        "{} calls of the background during requests",
        between(&told)
    );
    Ok(())
}

/// Calls of the background that were told.
fn between(told: &[Told]) -> usize {
    let calls = told.iter().filter(|told| matches!(told, Told::Exchange(e) if e.role == Role::Client && e.target.starts_with("/bg")));
    calls.count()
}
