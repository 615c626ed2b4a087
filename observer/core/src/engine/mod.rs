//! Runs the stages: records, facts and ticks in; judged things and feedback out.

mod files;
mod input;
mod pause;
mod relay;
mod run;
mod sequence;
mod tell;

use std::num::NonZeroUsize;

use files::Files;
use hashbrown::HashMap;
pub use input::{Config, Input};
use lru::LruCache;
use pause::Pauses;
use relay::Relays;
use sequence::Sequences;
use tell::Teller;

use crate::attribution::Attributor;
use crate::exchange::{Begun, Ended, ExchangeEvent, Exchanges};
pub use crate::feedback::Feedback;
use crate::ids::{FileId, KernelNanos, Seq, Tgid};
use crate::judged::counts::Reckoned;
use crate::judged::{Judged, LossKind, Summary};
use crate::message::LogLine;
use crate::message::lines::Lines;
use crate::stream::Settle;
use crate::summary::Tally;

/// Logs that are followed at once.
const MAX_LOGS: usize = 4_096;

/// The whole pipeline.
///
/// ```text
/// engine.input(Input::Record(bytes), &mut out);      // as often as records come
/// engine.input(Input::Tick { now, lost }, &mut out); // every 20–100 ms
/// engine.finish(&mut out);                           // at the end
/// ```
#[derive(Debug)]
pub struct Engine {
    settle: Settle,
    stages: Stages,
}

/// A log, and who wrote to it last.
#[derive(Debug)]
struct Log {
    lines: Lines,
    tgid: Tgid,
    fd: i32,
    /// Something in it was no text, which was told.
    binary: bool,
}

/// Everything behind the front stage.
#[derive(Debug)]
struct Stages {
    files: Files,
    exchanges: Exchanges,
    logs: LruCache<FileId, Log>,
    relays: Relays,
    attributor: Attributor,
    sequences: Sequences,
    teller: Teller,
    /// Requests being served, until their end is told.
    serving: HashMap<Seq, Box<Begun>>,
    answered: Vec<(Box<Begun>, Ended)>,
    /// Processes of calls in flight.
    calling: HashMap<Seq, Tgid>,
    /// Buffers, empty between records.
    events: Vec<ExchangeEvent>,
    lines: Vec<LogLine>,
    next: u64,
    now: KernelNanos,
    records: u64,
    pauses: Pauses,
}

impl Engine {
    /// A pipeline that has seen nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        const LOGS: NonZeroUsize = NonZeroUsize::new(MAX_LOGS).expect("not zero");
        Self {
            settle: Settle::default(),
            stages: Stages {
                files: Files::default(),
                exchanges: Exchanges::default(),
                logs: LruCache::sparse(LOGS),
                relays: Relays::default(),
                attributor: Attributor::new(
                    config.explain.map(|subject| subject.0),
                    config.infer,
                    config.anchor.monotonic,
                ),
                sequences: Sequences::default(),
                teller: Teller::new(config),
                serving: HashMap::new(),
                answered: Vec::new(),
                calling: HashMap::new(),
                events: Vec::new(),
                lines: Vec::new(),
                next: 1,
                now: config.anchor.monotonic,
                records: 0,
                pauses: Pauses::default(),
            },
        }
    }

    /// Takes one input; appends what it makes known to `out`. Only ticks make anything known.
    pub fn input(&mut self, input: Input<'_>, out: &mut Vec<Judged>) {
        let Self { settle, stages } = self;
        match input {
            Input::Record(raw) => {
                stages.came(raw);
                settle.push(raw, &mut |released| stages.released(&released));
            }
            Input::Process(facts) => {
                stages.process(facts);
            }
            Input::File(facts) => stages.files.name(&facts),
            Input::Peer(facts) => stages.teller.peer(facts),
            Input::Sampling { keep } => stages.teller.sampled(keep),
            Input::Reckoned {
                place,
                counted,
                expected,
            } => stages
                .teller
                .reckoned(place, Reckoned { counted, expected }),
            Input::Pause { since } => {
                settle.finish(&mut |released| stages.released(&released));
                stages.pause(since);
            }
            Input::Resume { until, every } => stages.resume(until, every),
            Input::Tick { now, lost } => {
                settle.tick(now, &mut |released| stages.released(&released));
                stages.tick(now, lost);
                stages.judge(false, out);
            }
        }
    }

    /// What the pipeline asks of the probes since the last call.
    pub fn feedback(&mut self) -> Vec<Feedback> {
        let mut feedback = self.stages.exchanges.take_feedback();
        feedback.extend(self.stages.attributor.take_feedback());
        feedback
    }

    /// What was counted until now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.stages.tally()
    }

    /// Ends the watch: everything still open is told as it stands, then the counts.
    pub fn finish(&mut self, out: &mut Vec<Judged>) -> Summary {
        let Self { settle, stages } = self;
        settle.finish(&mut |released| stages.released(&released));
        stages.stop();
        stages.judge(true, out);
        let summary = stages.summary();
        out.push(Judged::Summary(Box::new(summary.clone())));
        summary
    }
}

impl Stages {
    fn lost(&mut self, what: LossKind, count: u64, since: KernelNanos, tgid: Option<Tgid>) {
        self.teller.lost(what, count, since, self.now, tgid);
    }
}
