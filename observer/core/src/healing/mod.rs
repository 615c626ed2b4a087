//! Healing: spans that bridge the gaps of a trace, and log records that say in which trace they were
//! written.
//!
//! Judged exchanges and lines come in, [`Healed`] spans and records come out. A request is decided
//! on when it has ended, its calls have been judged, and it is known what became of the call at the
//! other end of its connection; all of that is waited for a bounded time. Ids are derived from the
//! exchanges themselves ([`ids`]), so that a replay makes the same spans.
//!
//! | file | does |
//! |---|---|
//! | `rules` | which spans are made |
//! | `place` | where in a trace a request and its calls are |
//! | `make` | spans in OpenTelemetry's words, with `conventions` |
//! | `lines` | log records; `severity`; `enrich` writes the ids into a line |
//!
//! Nothing is made of an attribution that is inconclusive or rests on inference, nor of the delivery
//! of telemetry.

mod conventions;
pub mod enrich;
pub mod ids;
mod lines;
mod make;
mod place;
mod rules;
mod severity;
mod span;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use conventions::Names;
pub use conventions::{CONFIDENCE, HEALED, SYNTHETIC, TIER, UNFINISHED, VERDICT, tier_name};
use lru::LruCache;
use place::Place;
use rules::{Habits, Upstream};
pub use severity::{Severity, severity};
pub use span::{Attributes, Healed, Link, LogRecord, Provenance, Resource, Span, Value};

use crate::facts::ProcessFacts;
use crate::ids::{KernelNanos, Tgid};
use crate::judged::{Exchange, ExchangeId, Judged, Log, Role};
use crate::text::printable;

/// How long after its end a request is decided on, nanoseconds: its calls and lines are told at the
/// same tick or shortly after it.
const SETTLE: u64 = 250_000_000;

/// How long it waits for the call at the other end of its connection, nanoseconds: calls are judged
/// within 30 seconds.
const PATIENCE: u64 = 35_000_000_000;

/// Requests that are not decided on, at most; the oldest are decided as they stand.
const MAX_OPEN: usize = 65_536;

/// Calls and lines that wait for their requests, at most.
const MAX_HELD: usize = 100_000;

/// Requests and calls that are remembered after they were decided on.
const MAX_DECIDED: usize = 65_536;

/// Processes that are remembered.
const MAX_PROCESSES: usize = 16_384;

/// Attributes of a resource, at most.
const MAX_ATTRIBUTES: usize = 64;

/// Which spans are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spans {
    /// None.
    Off,
    /// Where a trace is broken, or the application makes none.
    #[default]
    Bridge,
    /// Of every exchange.
    All,
}

/// What is to be healed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which spans are made.
    pub spans: Spans,
    /// Broken traces are healed even if their caller did not sample them.
    pub unsampled: bool,
}

/// A request that is not decided on.
#[derive(Debug, Default)]
struct Hop {
    server: Option<Box<Exchange>>,
    calls: Vec<Exchange>,
    lines: Vec<Log>,
}

/// Makes spans and log records of what the pipeline tells.
#[derive(Debug)]
pub struct Healer {
    settings: Settings,
    now: KernelNanos,
    /// Requests that are not decided on, the oldest first.
    open: BTreeMap<ExchangeId, Hop>,
    /// Calls and lines in `open`.
    held: usize,
    /// Those that have ended, in that order.
    ended: VecDeque<(KernelNanos, ExchangeId)>,
    /// Those that wait for what became of a call, in the order in which they ended.
    stuck: VecDeque<(KernelNanos, ExchangeId)>,
    /// The same, by the call.
    below: HashMap<ExchangeId, Vec<ExchangeId>>,
    /// What became of calls: the span that was made, if one was.
    calls: LruCache<ExchangeId, Option<Upstream>>,
    /// Requests that were decided on.
    places: LruCache<ExchangeId, Place>,
    habits: LruCache<Tgid, Habits>,
    facts: LruCache<Tgid, BTreeMap<String, String>>,
    resources: LruCache<Tgid, Arc<Resource>>,
    names: Names,
    out: Vec<Healed>,
}

fn cache<K: std::hash::Hash + Eq, V>(limit: usize) -> LruCache<K, V> {
    LruCache::sparse(NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN))
}

impl Healer {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: KernelNanos::default(),
            open: BTreeMap::new(),
            held: 0,
            ended: VecDeque::new(),
            stuck: VecDeque::new(),
            below: HashMap::new(),
            calls: cache(MAX_DECIDED),
            places: cache(MAX_DECIDED),
            habits: cache(MAX_PROCESSES),
            facts: cache(MAX_PROCESSES),
            resources: cache(MAX_PROCESSES),
            names: Names::default(),
            out: Vec::new(),
        }
    }

    /// What is known about a process.
    pub fn process(&mut self, facts: &ProcessFacts) {
        let shown = |text: &String| printable(text).into_owned();
        let attributes = facts.resource.iter().take(MAX_ATTRIBUTES);
        let attributes = attributes.map(|(name, value)| (shown(name), shown(value)));
        self.facts.push(facts.tgid, attributes.collect());
        self.resources.pop(&facts.tgid);
    }

    /// Takes what the pipeline tells, in its order.
    pub fn judged(&mut self, item: &Judged) {
        match item {
            Judged::Exchange(x) if x.role == Role::Server => {
                self.open.entry(x.id).or_default().server = Some(x.clone());
                self.ended.push_back((self.now, x.id));
            }
            Judged::Exchange(x) => self.call(x),
            Judged::Log(log) => self.line(log),
            Judged::Loss(_) | Judged::Sampling(_) | Judged::Explanation(_) | Judged::Summary(_) => {
            }
        }
    }

    /// Everything until `now` was told; appends what is decided to `out`.
    pub fn tick(&mut self, now: KernelNanos, out: &mut Vec<Healed>) {
        self.now = now;
        while let Some(id) = due(&mut self.ended, now, SETTLE) {
            self.settle(id);
        }
        while let Some(id) = due(&mut self.stuck, now, PATIENCE) {
            self.decide(id, None);
        }
        while self.open.len() > MAX_OPEN || self.held > MAX_HELD {
            let Some((id, _)) = self.open.first_key_value() else {
                break;
            };
            self.decide(*id, None);
        }
        out.append(&mut self.out);
    }

    /// Nothing comes any more: decides everything as it stands.
    pub fn finish(&mut self, out: &mut Vec<Healed>) {
        while let Some((_, id)) = self.ended.pop_front() {
            self.settle(id);
        }
        while let Some((id, _)) = self.open.first_key_value() {
            self.decide(*id, None);
        }
        out.append(&mut self.out);
    }

    fn call(&mut self, call: &Exchange) {
        let Some(request) = call.request else {
            return self.background(call);
        };
        if self.places.contains(&request) {
            return self.late(request, call);
        }
        self.held += 1;
        let hop = self.open.entry(request).or_default();
        hop.calls.push(call.clone());
    }

    fn line(&mut self, log: &Log) {
        let Some(request) = log.request else {
            return self.record(log, None);
        };
        if let Some(place) = self.places.get(&request).copied() {
            return self.record(log, Some(&place));
        }
        self.held += 1;
        let hop = self.open.entry(request).or_default();
        hop.lines.push(log.clone());
    }

    /// A request has ended, and so has the time for its calls: decides on it, unless what lies above
    /// is still to come.
    fn settle(&mut self, id: ExchangeId) {
        let Some(server) = self.open.get(&id).and_then(|hop| hop.server.as_ref()) else {
            return;
        };
        let above = match server.parent {
            Some(call) if server.context.is_none() => match self.calls.get(&call) {
                Some(became) => *became,
                None => {
                    self.below.entry(call).or_default().push(id);
                    self.stuck.push_back((self.now, id));
                    return;
                }
            },
            _ => None,
        };
        self.decide(id, above);
    }

    /// Decides on a request, then on those below it that waited for that.
    fn decide(&mut self, id: ExchangeId, above: Option<Upstream>) {
        let mut ready = vec![(id, above)];
        while let Some((id, above)) = ready.pop() {
            let Some(hop) = self.open.remove(&id) else {
                continue;
            };
            self.held = self.held.saturating_sub(hop.calls.len() + hop.lines.len());
            for (call, became) in self.place(id, &hop, above) {
                self.calls.push(call, became);
                let below = self.below.remove(&call).unwrap_or_default();
                ready.extend(below.into_iter().map(|id| (id, became)));
            }
        }
    }

    /// A call that was decided on by itself: so are the requests below it that waited for that.
    fn became(&mut self, call: ExchangeId, became: Option<Upstream>) {
        self.calls.push(call, became);
        for id in self.below.remove(&call).unwrap_or_default() {
            self.decide(id, became);
        }
    }

    fn resource(&mut self, pid: Tgid, service: &str) -> Arc<Resource> {
        if let Some(known) = self.resources.get(&pid)
            && known.service == service
        {
            return Arc::clone(known);
        }
        let resource = Arc::new(Resource {
            service: service.to_owned(),
            pid,
            attributes: self.facts.get(&pid).cloned().unwrap_or_default(),
        });
        self.resources.push(pid, Arc::clone(&resource));
        resource
    }
}

/// The first of `queue` that is at least `age` old.
fn due(
    queue: &mut VecDeque<(KernelNanos, ExchangeId)>,
    now: KernelNanos,
    age: u64,
) -> Option<ExchangeId> {
    let (since, id) = *queue.front()?;
    if now.since(since) < age {
        return None;
    }
    queue.pop_front();
    Some(id)
}
