//! Load: a number of clients, each sending the next request of a plan as soon as it got its answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::plan::Planned;

/// Longest time that an answer may take: beyond it the service is broken.
const ANSWER: Duration = Duration::from_secs(30);

/// Sends every request of `plan` from `clients` concurrent clients, each with its own connection;
/// returns how long it took.
///
/// # Errors
/// When a request is not answered with status 200.
pub fn drive(service: SocketAddr, plan: &[Planned], clients: usize) -> Result<Duration> {
    send(clients, plan.len(), |agent, i| {
        let planned = &plan[i];
        let mut request = agent.get(format!("http://{service}{}", planned.target()));
        if let Some(traceparent) = planned.inbound.header() {
            request = request.header("traceparent", traceparent);
        }
        let mut response = request
            .call()
            .with_context(|| format!("request {}", planned.id))?;
        response.body_mut().read_to_vec()?;
        if response.status() != 200 {
            bail!(
                "request {} was answered with {}",
                planned.id,
                response.status()
            );
        }
        Ok(())
    })
}

/// Runs `one(agent, 0..count)` from `clients` threads, each with an agent of its own.
///
/// # Errors
/// The first error of any client; the others stop then.
pub fn send(
    clients: usize,
    count: usize,
    one: impl Fn(&ureq::Agent, usize) -> Result<()> + Sync,
) -> Result<Duration> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| client(&next, count, &one)))
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

fn client(
    next: &AtomicUsize,
    count: usize,
    one: &(impl Fn(&ureq::Agent, usize) -> Result<()> + Sync),
) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .build()
        .into();
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        if i >= count {
            return Ok(());
        }
        if let Err(error) = one(&agent, i) {
            next.store(count, Ordering::Relaxed);
            return Err(error);
        }
    }
}
