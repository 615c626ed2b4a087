//! One service at one concurrency.

use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Load, Row};
use crate::app::{App, Service};
use crate::driver::Clients;
use crate::observer::Observer;
use crate::plan::{LogMode, Planned};
use crate::run::keep;
use crate::score::told;
use crate::score::truth::{LINES, Truth, check_service, line_id};
use crate::server::{Delay, Downstream};

/// Most threads or workers of a service: with more requests at a time, its queue backs up.
pub const WORKERS: usize = 16;

/// Pause between the things that a service does for no request, milliseconds.
const BACKGROUND_MS: &str = "5";

/// Pause between health checks.
const HEALTH: Duration = Duration::from_millis(10);

/// How long the observer may take to judge what it has seen.
const JUDGING: Duration = Duration::from_secs(10);

/// How long lines may take to come out of a queue.
const QUEUE: Duration = Duration::from_secs(5);

/// A running service with its downstream.
pub struct Case {
    app: App,
    clients: usize,
    service: Service,
    downstream: Downstream,
}

impl Case {
    /// Starts the service with fewer workers than requests, where it has a pool and they are many, and with
    /// fewer connections than calls, where its client can be limited.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(app: App, clients: usize) -> Result<Self> {
        let downstream = Downstream::start(Delay::SOME_SLOW)?;
        let workers = clients.min(WORKERS);
        let service = app.start_with(downstream.address(), workers, |command| {
            command
                .env("BG_MS", BACKGROUND_MS)
                .env("POOL_SIZE", (2 * workers).to_string());
        })?;
        Ok(Self {
            app,
            clients,
            service,
            downstream,
        })
    }

    /// Drives it with `load`, watched, and scores what was told. The recording stays in `recordings` if
    /// something in it is wrong, or at any rate if `keep_all` says so.
    ///
    /// # Errors
    /// When something does not run, or the service does not do what it is asked.
    pub fn run(
        &self,
        load: Load,
        requests: usize,
        recordings: &Path,
        keep_all: bool,
    ) -> Result<Row> {
        let name = format!("{}-{}-{}", self.app.name, self.clients, load.name());
        let recording = recordings.join(format!("{name}.rec"));
        let plan = self.plan(load, requests);
        drop(self.downstream.take());
        let observer = Observer::watch([
            "--pid".as_ref(),
            self.service.process.pid().to_string().as_ref(),
            "--node=precise".as_ref(),
            "--go=precise".as_ref(),
            "--infer".as_ref(),
            "--record".as_ref(),
            recording.as_os_str(),
        ])?;
        let driven = self.drive(&plan);
        let printed = self.printed(&plan);
        let received = self.downstream.take();
        let ids = ids(&plan);
        let ours = received
            .iter()
            .filter(|call| call.id().is_some_and(|id| ids.contains(id)));
        settle(&observer, load, ours.count() + printed.len());
        let told = observer.stop()?;
        driven.with_context(|| format!("driving {}", load.name()))?;
        ensure!(
            told.status.success(),
            "the observer ended with {}: {:?}",
            told.status,
            told.err
        );
        keep(&format!("truth-{name}"), &told.out)?;
        // HAProxy drops a line rather than wait for its other thread to have written one.
        let least = match self.app.name == App::HAPROXY.name {
            true => 0,
            false => self.lines_each(),
        };
        check_service(&plan, &received, &printed, &(least..=self.lines_each()))?;
        let truth = Truth::new(&plan, &received, &printed);
        let row = Row::new(
            self.app,
            self.clients,
            load,
            &truth,
            &told::read(&told.out)?,
        );
        if !row.errors() && !keep_all {
            std::fs::remove_file(&recording)?;
        }
        Ok(row)
    }

    /// Sends the requests of `plan`, and asks all the while whether the service is well, as a load balancer does.
    fn drive(&self, plan: &[Planned]) -> Result<Duration> {
        let url = format!("http://{}/health", self.service.address);
        let (done, over) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                while over.recv_timeout(HEALTH) == Err(RecvTimeoutError::Timeout) {
                    // Most services know of no such page. They have answered all the same.
                    let _ = agent.get(&url).call();
                }
            });
            let driven = Clients::new(self.clients).drive(self.service.address, plan);
            drop(done);
            driven
        })
    }

    fn plan(&self, load: Load, requests: usize) -> Vec<Planned> {
        let mut mix = load.mix(self.app.parallel);
        if self.app.proxy {
            // Proxies can't write numbers in another base.
            mix.logs.retain(|log| *log != LogMode::Decimal);
        }
        // Other trace-ids than in the other loads: a service may remember one of them.
        let seed = load.name().bytes().map(u64::from).sum::<u64>() + requests as u64 * 10_000;
        let mut plan = mix.plan(&format!("{}-", load.name()), requests, seed);
        if self.app.proxy {
            for planned in &mut plan {
                planned.calls = 1;
            }
        }
        plan
    }

    fn lines_each(&self) -> usize {
        if self.app.proxy { 1 } else { LINES }
    }

    /// What the service printed for the requests of `plan`, once everything is there.
    fn printed(&self, plan: &[Planned]) -> Vec<String> {
        let ids = ids(plan);
        let ours = |line: &str| line_id(line).is_some_and(|id| ids.contains(id));
        let wanted = plan.len() * self.lines_each();
        let mut lines = self.service.process.lines(wanted, QUEUE, ours);
        lines.retain(|line| ours(line));
        lines
    }
}

fn ids(plan: &[Planned]) -> HashSet<&str> {
    plan.iter().map(|planned| planned.id.as_str()).collect()
}

/// Waits until the observer has told of `wanted` calls and lines: it judges when it has seen what came after
/// them, and what is left at the end of a watch it leaves open.
fn settle(observer: &Observer, load: Load, wanted: usize) {
    let id = format!("{}-", load.name());
    let work = |line: &str| {
        (line.contains(r#""kind":"log""#) || line.contains(r#""role":"client""#))
            && line.contains(&id)
    };
    let _ = observer.process().lines(wanted, JUDGING, work);
}
