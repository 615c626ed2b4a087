//! Load: a number of clients, each sending the next request of a plan as soon as it got its answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::plan::Planned;
use crate::process::patience;

/// Longest time that an answer may take: beyond it the service is broken.
const ANSWER: Duration = Duration::from_secs(30);

/// Clients that send at the same time, each over a connection of its own that stays open between plans.
pub struct Clients(Vec<ureq::Agent>);

impl Clients {
    /// `count` clients, not connected yet.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER * patience()))
            .http_status_as_error(false)
            .build();
        Self((0..count).map(|_| config.new_agent()).collect())
    }

    /// Sends every request of `plan`; returns how long it took.
    ///
    /// # Errors
    /// When a request is not answered with status 200.
    pub fn drive(&self, service: SocketAddr, plan: &[Planned]) -> Result<Duration> {
        self.send(plan.len(), |agent, i| {
            let planned = &plan[i];
            let mut request = agent.get(format!("http://{service}{}", planned.target()));
            if let Some(traceparent) = planned.inbound.header() {
                request = request.header("traceparent", traceparent);
            }
            finish(request).with_context(|| format!("request {}", planned.id))
        })
    }

    /// Runs `one(agent, 0..count)`, shared out among the clients.
    ///
    /// # Errors
    /// The first error of any client; the others stop then.
    pub fn send(
        &self,
        count: usize,
        one: impl Fn(&ureq::Agent, usize) -> Result<()> + Sync,
    ) -> Result<Duration> {
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .0
                .iter()
                .map(|agent| scope.spawn(|| client(agent, &next, count, &one)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| match worker.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        Ok(started.elapsed())
    }
}

/// Sends a request and reads its answer to the end.
///
/// # Errors
/// When there is none, or its status is not 200.
pub fn finish(request: ureq::RequestBuilder<ureq::typestate::WithoutBody>) -> Result<()> {
    let mut response = request.call()?;
    response.body_mut().read_to_vec()?;
    if response.status() != 200 {
        bail!("answered with {}", response.status());
    }
    Ok(())
}

fn client(
    agent: &ureq::Agent,
    next: &AtomicUsize,
    count: usize,
    one: &(impl Fn(&ureq::Agent, usize) -> Result<()> + Sync),
) -> Result<()> {
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        if i >= count {
            return Ok(());
        }
        if let Err(error) = one(agent, i) {
            next.store(count, Ordering::Relaxed);
            return Err(error);
        }
    }
}
