//! One case of a live test: a service under load, watched, and the score.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::app::{App, Service, root};
use crate::driver::Clients;
use crate::observer::{Observer, unavailable};
use crate::plan::{Mix, Planned};
use crate::score::truth::{LINES, Truth, check_service, line_id};
use crate::score::{Demand, Score, score, told};
use crate::server::{Delay, Downstream};
use crate::skip::skip;

/// How long a service may take to end.
const ENDING: Duration = Duration::from_secs(60);

/// Live tests take turns: they measure concurrency, and the machine is small.
///
/// Hold what it returns for as long as the test runs.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `app` can be watched here; if not, the skip of `test` is noted.
#[must_use]
pub fn can_watch(app: App, test: &str) -> bool {
    can_watch_unless(app.missing(), test)
}

/// Whether it can be watched here what lacks nothing, or what is `missing`; if not, the skip of `test` is noted.
#[must_use]
pub fn can_watch_unless(missing: Option<String>, test: &str) -> bool {
    let why = unavailable().map(str::to_owned).or(missing);
    if let Some(why) = &why {
        skip(test, why);
    }
    why.is_none()
}

/// A service under load.
#[derive(Clone, Debug)]
pub struct Case {
    /// The service.
    pub app: App,
    /// What is asked of it.
    pub mix: Mix,
    /// Requests at a time.
    pub clients: usize,
    /// Requests in all.
    pub requests: usize,
    /// Time that the downstream takes.
    pub delay: Delay,
}

impl Case {
    /// Name of the case.
    #[must_use]
    pub fn name(&self) -> String {
        let modes: Vec<_> = self.mix.modes.iter().map(|m| m.name()).collect();
        let modes = if modes.len() > 1 {
            "mix".to_owned()
        } else {
            modes.concat()
        };
        format!("{}-{}-{modes}", self.app.name(), self.clients)
    }

    /// The requests.
    #[must_use]
    pub fn plan(&self) -> Vec<Planned> {
        self.mix.plan("q", self.requests, self.requests as u64)
    }

    /// Runs the service under load without the observer, and checks that it did what it was asked.
    ///
    /// # Errors
    /// What it did otherwise.
    pub fn check_bed(&self) -> Result<()> {
        let downstream = Downstream::start(self.delay)?;
        let service = self.app.start(downstream.address(), self.clients)?;
        let plan = self.plan();
        let took = Clients::new(self.clients).drive(service.address, &plan)?;
        self.await_lines(&service, plan.len());
        let printed = service.process.stop(Signal::TERM, ENDING)?.out;
        let received = downstream.take();
        eprintln!("{}: {} requests in {took:?}", self.name(), plan.len());
        let ticks = received
            .iter()
            .filter(|r| r.target.starts_with("/bg"))
            .count();
        ensure!(ticks > 0, "{}: no background call", self.name());
        check_service(&plan, &received, &printed, &(LINES..=LINES)).context(self.name())
    }

    /// Waits until the service has printed what `requests` requests make it print: a logger's queue may lag
    /// behind the answers, and dies with its process.
    fn await_lines(&self, service: &Service, requests: usize) {
        if self.app.works_by_itself() {
            let _ = service
                .process
                .lines(requests * LINES, ENDING, |line| line_id(line).is_some());
        }
    }

    /// Runs the service under load, watched, and scores what the observer told.
    ///
    /// # Errors
    /// When something does not run, or the observer's output is not as agreed.
    pub fn watch(&self) -> Result<Score> {
        let downstream = Downstream::start(self.delay)?;
        let service = self.app.start(downstream.address(), self.clients)?;
        let pid = service.process.pid().to_string();
        let mut args = vec!["--pid".to_owned(), pid];
        if let Some(folder) = std::env::var_os("OBSERVER_RECORD_DIR") {
            let file = PathBuf::from(folder).join(format!("{}.rec", self.name()));
            args.extend(["--record".to_owned(), file.display().to_string()]);
        }
        let observer = Observer::watch(args)?;
        let plan = self.plan();
        let took = Clients::new(self.clients).drive(service.address, &plan)?;
        self.await_lines(&service, plan.len());
        let told = observer.stop()?;
        ensure!(
            told.status.success(),
            "the observer ended with {}: {:?}",
            told.status,
            told.err
        );
        let printed = service.process.stop(Signal::TERM, ENDING)?.out;
        let truth = Truth::new(&plan, &downstream.take(), &printed);
        let score = score(&truth, &told::read(&told.out)?);
        eprintln!(
            "{}: {} requests in {took:?}\n{score}",
            self.name(),
            plan.len()
        );
        keep(&self.name(), &told.out)?;
        Ok(score)
    }

    /// Runs the case and demands `demand` of it.
    ///
    /// # Errors
    /// Everything that is not as demanded.
    pub fn demand(&self, demand: Demand) -> Result<()> {
        match self.watch()?.meets(demand) {
            Ok(()) => Ok(()),
            Err(faults) => bail!("{}: {faults}", self.name()),
        }
    }
}

/// Keeps an output for whoever has to look into a failure.
///
/// # Errors
/// When it can't be written.
pub fn keep(name: &str, lines: &[String]) -> Result<()> {
    let folder = root().join("target/e2e/told");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{name}.jsonl")), lines.join("\n"))?;
    Ok(())
}
