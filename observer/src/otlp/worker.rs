//! Delivers what waits in a queue: in batches that are cut when they are too large, again and again
//! while the endpoint asks for patience.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::metrics::Metrics;
use super::queue::Queue;
use super::report::{Complaints, Counts, Trouble, plural};
use super::transport::{Client, Outcome, Request};
use crate::cli::export::Signal;

/// Items of one request, at most.
const BATCH_ITEMS: usize = 2_048;

/// Bytes of one batch, about.
const BATCH_BYTES: usize = 1 << 20;

/// How long an item waits for others.
const DELAY: Duration = Duration::from_secs(1);

/// The longest request: gRPC servers take 4 MiB unless they are told otherwise.
const MAX_REQUEST: usize = 3 << 20;

/// The first wait after a failure; each further one is twice as long, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Between attempts when the program ends.
const LAST_ATTEMPTS: Duration = Duration::from_millis(200);

/// What all of one signal's exports need.
pub(super) struct Sender {
    pub signal: Signal,
    pub client: Client,
    pub counts: Arc<Counts>,
    pub complaints: Arc<Complaints>,
    /// Becomes true when the program ends.
    pub closing: watch::Receiver<bool>,
    /// Of the address, for messages.
    pub place: String,
}

/// Delivers the items of one queue until it is closed and empty.
pub(super) async fn run<T>(
    queue: Arc<Queue<Arc<T>>>,
    encode: fn(&[Arc<T>]) -> Request,
    mut sender: Sender,
) {
    loop {
        let batch = queue.take(BATCH_ITEMS, BATCH_BYTES, DELAY).await;
        if batch.is_empty() {
            return;
        }
        deliver(batch, encode, &mut sender).await;
    }
}

async fn deliver<T>(batch: Vec<T>, encode: fn(&[T]) -> Request, sender: &mut Sender) {
    let mut parts = vec![batch];
    while let Some(mut part) = parts.pop() {
        let request = encode(&part);
        let half = part.len() / 2;
        if request.len() > MAX_REQUEST && half > 0 {
            let rest = part.split_off(half);
            parts.extend([rest, part]);
            continue;
        }
        let items = part.len() as u64;
        match sender.persist(&request).await {
            Outcome::TooLarge(_) if half > 0 => {
                let rest = part.split_off(half);
                parts.extend([rest, part]);
            }
            outcome => sender.settle(items, outcome),
        }
    }
}

/// Sends everything measured at each `interval`, and once more in the end.
pub(super) async fn measure(
    metrics: Arc<Mutex<Metrics>>,
    exports: Vec<(Signal, Arc<Counts>)>,
    interval: Duration,
    mut sender: Sender,
) {
    loop {
        // The end cuts the wait short; that the other side is gone is an end as well.
        let ended = timeout(interval, sender.closing.wait_for(|over| *over))
            .await
            .is_ok();
        let counted: Vec<_> = exports.iter().map(|(s, c)| (*s, c.now())).collect();
        let request = {
            let metrics = metrics.lock().unwrap_or_else(PoisonError::into_inner);
            metrics.request(super::now(), &counted)
        };
        if !request.resource_metrics.is_empty() {
            let outcome = sender.persist(&Request::Metrics(request)).await;
            sender.settle(1, outcome);
        }
        if ended {
            return;
        }
    }
}

impl Sender {
    /// Sends until there is an answer that another attempt would not change.
    pub async fn persist(&mut self, request: &Request) -> Outcome {
        let mut wait = FIRST_WAIT;
        let mut failed = false;
        loop {
            let place = &self.place;
            let (after, why) = match self.client.send(request).await {
                Outcome::Later { after, why } => (after, why),
                outcome => {
                    if failed {
                        self.complaints.tell(place, Trouble::Recovered, || {
                            format!("telemetry: {place} answers again")
                        });
                    }
                    return outcome;
                }
            };
            failed = true;
            self.complaints.tell(place, Trouble::Retry, || {
                format!(
                    "telemetry: {place} does not take it ({why}); it is tried again, and what \
                     finds no room meanwhile is discarded and counted"
                )
            });
            self.wait(after.unwrap_or_else(|| jittered(wait))).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    async fn wait(&mut self, time: Duration) {
        if *self.closing.borrow() {
            sleep(time.min(LAST_ATTEMPTS)).await;
        } else {
            // The end of the program cuts the wait short. That it did is seen at the next one.
            let _ = timeout(time, self.closing.changed()).await;
        }
    }

    /// Counts what became of a request of so many items.
    pub fn settle(&self, items: u64, outcome: Outcome) {
        let (signal, place) = (plural(self.signal), &self.place);
        match outcome {
            Outcome::Taken { rejected, message } => {
                let rejected = rejected.min(items);
                self.counts.accepted(items - rejected);
                self.counts.rejected(rejected);
                if rejected > 0 || message.is_some() {
                    let message = message.unwrap_or_else(|| "it does not say why".to_owned());
                    let message = observer_core::text::printable(&message).into_owned();
                    self.complaints.tell(signal, Trouble::Rejected, || {
                        format!("{signal}: {place} rejected {rejected} of {items}: {message}")
                    });
                }
            }
            Outcome::TooLarge(why) => {
                self.counts.refused(items);
                self.complaints.tell(signal, Trouble::TooLarge, || {
                    format!(
                        "{signal}: {place} takes no request of this size ({why}); it is discarded"
                    )
                });
            }
            Outcome::Refused(why) | Outcome::Later { why, .. } => {
                self.counts.refused(items);
                self.complaints.tell(signal, Trouble::Refused, || {
                    format!("{signal}: {place} refuses them ({why}); they are discarded")
                });
            }
        }
    }
}

/// Half of the time for certain, the rest at random: observers that failed together do not come
/// again together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.5 + fastrand::f64() / 2.0)
}
