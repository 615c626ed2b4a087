//! The export over OTLP: what healing made, and what is counted, on its way to a collector.
//!
//! The session's thread puts items into bounded queues and never waits; a thread of its own, with a
//! small runtime, delivers them. What finds no room, is refused or can't be delivered before the
//! program ends is counted, and said in the end.

pub mod config;
mod encode;
mod metrics;
mod queue;
mod report;
mod transport;
mod worker;

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Config, ConfigError};
use metrics::Metrics;
use observer_core::healing::{Healed, LogRecord, Span};
use observer_core::judged::Judged;
use queue::Queue;
pub use queue::Waiting;
pub use report::Counted;
use report::{Complaints, Counts, Trouble, conclusion, plural};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use transport::{Client, Request};
use worker::Sender;

use crate::cli::export::Signal;
use crate::stderr::say;

/// Who exports, in the words that exporters of OpenTelemetry use: so it is recognised as telemetry.
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-observer/", env!("CARGO_PKG_VERSION"));

/// How long the end of the program waits for what is not delivered yet.
pub const FLUSH: Duration = Duration::from_secs(5);

/// Why an export can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not set up rightly.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no thread for it.
    #[error("the export can't be started: {0}")]
    Thread(io::Error),
}

/// A running export.
pub struct Exporter {
    spans: Option<Lane<Span>>,
    logs: Option<Lane<LogRecord>>,
    metrics: Option<Arc<Mutex<Metrics>>>,
    complaints: Arc<Complaints>,
    closing: watch::Sender<bool>,
    /// Tells that everything is delivered, by being closed.
    done: Receiver<()>,
}

/// The way of one signal's items.
struct Lane<T> {
    signal: Signal,
    queue: Arc<Queue<Arc<T>>>,
    counts: Arc<Counts>,
}

impl<T> Lane<T> {
    fn new(signal: Signal) -> Self {
        Self {
            signal,
            queue: Arc::default(),
            counts: Arc::default(),
        }
    }

    fn offer(&self, item: Arc<T>, bytes: usize, complaints: &Complaints) {
        self.counts.offered(1);
        if !self.queue.push(item, bytes) {
            self.counts.overflowed(1);
            let signal = plural(self.signal);
            complaints.tell(signal, Trouble::Overflow, || {
                format!("{signal}: more wait than there is room for; what is beyond is discarded and counted")
            });
        }
    }
}

/// What became of a signal's items until now.
#[derive(Clone, Copy, Debug)]
pub struct Exported {
    /// The signal.
    pub signal: Signal,
    /// What became of those that were made.
    pub counted: Counted,
    /// Those that wait to be sent.
    pub waiting: Waiting,
}

/// Tells what becomes of exported items, from any thread.
#[derive(Clone, Default)]
pub struct Gauge(Vec<Arc<dyn Fn() -> Exported + Send + Sync>>);

impl Gauge {
    /// How it stands now, by signal; metrics have no items.
    #[must_use]
    pub fn read(&self) -> Vec<Exported> {
        self.0.iter().map(|of| of()).collect()
    }

    fn add<T: Send + Sync + 'static>(&mut self, lane: Option<&Lane<T>>) {
        let Some(lane) = lane else {
            return;
        };
        let (signal, queue, counts) = (lane.signal, lane.queue.clone(), lane.counts.clone());
        self.0.push(Arc::new(move || Exported {
            signal,
            counted: counts.now(),
            waiting: queue.waiting(),
        }));
    }
}

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}

/// What the export's thread does.
#[derive(Default)]
struct Tasks {
    items: Vec<JoinHandle<()>>,
    metrics: Option<JoinHandle<()>>,
}

impl Tasks {
    /// Runs until everything is delivered; `last` is raised when it is time for the last metrics.
    async fn run(self, mut end: watch::Receiver<bool>, last: &watch::Sender<bool>) {
        // An error says that the exporter is gone, which is an end as well.
        let _ = end.wait_for(|over| *over).await;
        let mut items = self.items.into_iter();
        let all = async {
            for task in items.by_ref() {
                // A task that panicked has delivered what it will.
                let _ = task.await;
            }
        };
        let _ = timeout(FLUSH / 2, all).await;
        last.send_replace(true);
        for task in items.chain(self.metrics) {
            let _ = task.await;
        }
    }
}

impl Exporter {
    /// Begins to export. Nothing is connected to before there is something to deliver.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. An endpoint that is not there is none: it may come.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (closing, end) = watch::channel(false);
        let (working, done) = channel();
        let mut exporter = Self {
            spans: None,
            logs: None,
            metrics: None,
            complaints: Arc::default(),
            closing,
            done,
        };
        let (last, end_of_metrics) = watch::channel(false);
        let tasks = exporter.spawn(&config, &runtime, &end, &end_of_metrics)?;
        thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                crate::privileges::keep_none();
                // Of this thread alone, as Linux has it: catching up after an outage must not take
                // the processor from what empties the kernel's ring. Without it, it works as well.
                let _ = rustix::process::nice(10);
                runtime.block_on(tasks.run(end, &last));
                drop(working);
            })
            .map_err(StartError::Thread)?;
        Ok(exporter)
    }

    /// Makes a task of each signal; they run when the runtime does.
    fn spawn(
        &mut self,
        config: &Config,
        runtime: &Runtime,
        end: &watch::Receiver<bool>,
        end_of_metrics: &watch::Receiver<bool>,
    ) -> Result<Tasks, StartError> {
        let _entered = runtime.enter();
        let mut tasks = Tasks::default();
        // Metrics come last: they tell what became of the others.
        for target in &config.targets {
            let mut sender = Sender {
                signal: target.signal,
                client: Client::new(target)?,
                counts: Arc::default(),
                complaints: Arc::clone(&self.complaints),
                closing: end.clone(),
                place: target.url.origin().ascii_serialization(),
            };
            match target.signal {
                Signal::Spans => {
                    let lane = Lane::new(target.signal);
                    sender.counts = Arc::clone(&lane.counts);
                    let encode: fn(&[Arc<Span>]) -> Request = |s| Request::Spans(encode::spans(s));
                    let task = worker::run(Arc::clone(&lane.queue), encode, sender);
                    tasks.items.push(runtime.spawn(task));
                    self.spans = Some(lane);
                }
                Signal::Logs => {
                    let lane = Lane::new(target.signal);
                    sender.counts = Arc::clone(&lane.counts);
                    let encode: fn(&[Arc<LogRecord>]) -> Request =
                        |r| Request::Logs(encode::logs(r));
                    let task = worker::run(Arc::clone(&lane.queue), encode, sender);
                    tasks.items.push(runtime.spawn(task));
                    self.logs = Some(lane);
                }
                Signal::Metrics => {
                    let metrics = Arc::new(Mutex::new(Metrics::new(now())));
                    let exports = [
                        self.spans
                            .as_ref()
                            .map(|l| (l.signal, Arc::clone(&l.counts))),
                        self.logs
                            .as_ref()
                            .map(|l| (l.signal, Arc::clone(&l.counts))),
                    ];
                    let exports = exports.into_iter().flatten().collect();
                    sender.closing = end_of_metrics.clone();
                    let task = Arc::clone(&metrics);
                    let task = worker::measure(task, exports, config.metric_interval, sender);
                    tasks.metrics = Some(runtime.spawn(task));
                    self.metrics = Some(metrics);
                }
            }
        }
        Ok(tasks)
    }

    /// What becomes of items, for who tells it while the export runs.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        let mut gauge = Gauge::default();
        gauge.add(self.spans.as_ref());
        gauge.add(self.logs.as_ref());
        gauge
    }

    /// Takes what healing made. Never waits.
    pub fn offer(&self, item: &Healed) {
        match item {
            Healed::Span(span) => {
                if let Some(metrics) = &self.metrics {
                    lock(metrics).span(span);
                }
                if let Some(lane) = &self.spans {
                    let bytes = 1_024 + 32 * span.links.len() + text_of(span);
                    lane.offer(Arc::new(Span::clone(span)), bytes, &self.complaints);
                }
            }
            // What is known to belong to no trace is the log shipper's business.
            Healed::Log(record) if record.trace_id.is_some() => {
                if let Some(lane) = &self.logs {
                    let bytes = 512 + record.line.len();
                    lane.offer(Arc::new(LogRecord::clone(record)), bytes, &self.complaints);
                }
            }
            Healed::Log(_) => {}
        }
    }

    /// Counts what the pipeline tells.
    pub fn measure(&self, item: &Judged) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        match item {
            Judged::Exchange(exchange) => lock(metrics).exchange(exchange),
            Judged::Log(log) => lock(metrics).line(log),
            Judged::Loss(_) | Judged::Sampling(_) | Judged::Explanation(_) | Judged::Summary(_) => {
            }
        }
    }

    /// Ends the export: what waits is delivered, for as long as `limit` allows. Says on standard
    /// error what was.
    pub fn finish(self, limit: Duration) {
        if let Some(lane) = &self.spans {
            lane.queue.close();
        }
        if let Some(lane) = &self.logs {
            lane.queue.close();
        }
        self.closing.send_replace(true);
        // Either way it is over: the thread has ended, or it is not waited for any longer.
        let _ = self.done.recv_timeout(limit);
        let lanes = [
            self.spans.map(|lane| (lane.signal, lane.counts.now())),
            self.logs.map(|lane| (lane.signal, lane.counts.now())),
        ];
        let said: Vec<String> = lanes
            .into_iter()
            .flatten()
            .filter_map(|(signal, counted)| conclusion(signal, counted))
            .collect();
        if !said.is_empty() {
            say(format_args!("exported {}", said.join(", ")));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text_of(span: &Span) -> usize {
    use observer_core::healing::Value;
    let text = |value: &Value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    let attributes = span.attributes.0.iter();
    span.name.len() + attributes.map(|(_, value)| text(value)).sum::<usize>()
}

/// Nanoseconds since 1970 by the clock of the machine.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
