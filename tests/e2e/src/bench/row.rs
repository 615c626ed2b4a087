//! The figures of one run.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Load;
use crate::app::App;
use crate::score::told::Told;
use crate::score::truth::{Done, Truth};
use crate::score::{Bucket, Calibration, Guesses, Score, Tally, Unrelated, score};

/// What was told of calls or lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many there were.
    pub all: usize,
    /// Told.
    pub seen: usize,
    /// Given to a request.
    pub attributed: usize,
    /// Given to a wrong request.
    pub wrong: usize,
    /// Judged, and rightly.
    pub judged_right: usize,
    /// Judged, and wrongly.
    pub judged_wrong: usize,
    /// Accused of something that was not done; these are among the wrongly judged.
    pub accused: usize,
}

impl Counts {
    /// Share that was given to a request; 1 of none.
    #[must_use]
    pub fn coverage(self) -> f64 {
        if self.all == 0 {
            1.0
        } else {
            self.attributed as f64 / self.all as f64
        }
    }
}

impl From<&Tally> for Counts {
    fn from(tally: &Tally) -> Self {
        Self {
            all: tally.total,
            seen: tally.seen,
            attributed: tally.right + tally.wrong,
            wrong: tally.wrong,
            judged_right: tally.verdict_right,
            judged_wrong: tally.verdict_wrong,
            accused: tally.accused,
        }
    }
}

/// Work for no request: told, given to a request all the same, accused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Background {
    /// Told.
    pub seen: usize,
    /// Given to a request.
    pub given: usize,
    /// Accused.
    pub accused: usize,
}

impl From<&Unrelated> for Background {
    fn from(unrelated: &Unrelated) -> Self {
        Self {
            seen: unrelated.seen,
            given: unrelated.given,
            accused: unrelated.accused,
        }
    }
}

/// One run: a service, a concurrency, a load.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The service.
    pub runtime: &'static str,
    /// Requests at a time.
    pub concurrency: usize,
    /// What was asked of it.
    pub load: &'static str,
    /// Calls and lines of everything, of requests that call in sequence and in parallel, and of what
    /// carries no trace-id that came in, so that only other evidence can tell.
    pub counts: BTreeMap<&'static str, Pair>,
    /// Calls for no request.
    pub background_calls: Background,
    /// Lines for no request.
    pub background_lines: Background,
    /// What was inferred about what was given to no request. It counts in no other figure, but among the links.
    pub guesses: Guesses,
    /// Links by tier, inferences among them.
    pub tiers: BTreeMap<String, Bucket>,
    /// Links by lower bound of a range of confidence.
    pub confidence: Vec<(f64, Bucket)>,
    /// Tiers and reasons of calls and lines, and how many have them.
    pub grounds: BTreeMap<String, usize>,
    /// Losses told.
    pub losses: usize,
    /// The first errors, word for word; they are long, and the recording has them all.
    #[serde(skip)]
    pub samples: Vec<String>,
    /// As in `tiers` and `confidence`, for adding up.
    #[serde(skip)]
    pub links: Calibration,
}

/// Calls and lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Calls.
    pub calls: Counts,
    /// Lines.
    pub lines: Counts,
}

/// Verdicts of what carries the trace-id that came in.
const CARRYING: [&str; 5] = [
    "propagated",
    "forwarded",
    "translated",
    "linked",
    "reencoded",
];

impl Row {
    /// Scores `told`, of `app` under `load` from `clients` clients, against `truth`.
    #[must_use]
    pub fn new(app: App, clients: usize, load: Load, truth: &Truth, told: &[Told]) -> Self {
        let parallel = |done: &Done| done.request.ends_with("&par=1");
        let without_id = |done: &Done| !CARRYING.contains(&done.verdict);
        let part = |keep: &dyn Fn(&Done) -> bool| Pair::of(&score(&truth.only(keep), told));
        let whole = score(truth, told);
        Self {
            runtime: app.name,
            concurrency: clients,
            load: load.name(),
            counts: BTreeMap::from([
                ("all", Pair::of(&whole)),
                ("sequence", part(&|done| !parallel(done))),
                ("parallel", part(&parallel)),
                ("without-id", part(&without_id)),
                (
                    "without-id-sequence",
                    part(&|done| without_id(done) && !parallel(done)),
                ),
                (
                    "without-id-parallel",
                    part(&|done| without_id(done) && parallel(done)),
                ),
            ]),
            background_calls: (&whole.background_calls).into(),
            background_lines: (&whole.background_lines).into(),
            guesses: whole.guesses,
            tiers: whole
                .links
                .by_tier()
                .into_iter()
                .map(|(tier, bucket)| (tier.to_owned(), bucket))
                .collect(),
            confidence: whole.links.by_confidence(),
            grounds: whole.grounds,
            losses: whole.losses.len(),
            samples: whole.samples,
            links: whole.links,
        }
    }

    /// The calls and lines of one part of the requests.
    #[must_use]
    pub fn part(&self, name: &str) -> Pair {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Calls and lines that were given to a wrong request.
    #[must_use]
    pub fn wrong(&self) -> usize {
        let all = self.part("all");
        all.calls.wrong + all.lines.wrong
    }

    /// Calls and lines that were accused of something that was not done.
    #[must_use]
    pub fn accused(&self) -> usize {
        let all = self.part("all");
        all.calls.accused
            + all.lines.accused
            + self.background_calls.accused
            + self.background_lines.accused
    }

    /// Work for no request that was given to one.
    #[must_use]
    pub fn background_given(&self) -> usize {
        self.background_calls.given + self.background_lines.given
    }

    /// Whether anything told is wrong: an inference is where evidence decides, else it may be. What was not told, or left open, is no error.
    #[must_use]
    pub fn errors(&self) -> bool {
        let all = self.part("all");
        self.wrong() + self.accused() + self.background_given() + self.guesses.beside > 0
            || all.calls.judged_wrong + all.lines.judged_wrong > 0
    }
}

impl Pair {
    fn of(score: &Score) -> Self {
        Self {
            calls: (&score.calls).into(),
            lines: (&score.lines).into(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.part("all");
        let share = |counts: Counts| 100.0 * counts.coverage();
        write!(
            f,
            "{:22} {:>3} {:9}  calls {:5.1} % of {:5}  lines {:5.1} % of {:5}  wrong {:3}  \
             misjudged {:3}  accused {:3}  background {}/{}  losses {}",
            self.runtime,
            self.concurrency,
            self.load,
            share(all.calls),
            all.calls.all,
            share(all.lines),
            all.lines.all,
            self.wrong(),
            all.calls.judged_wrong + all.lines.judged_wrong,
            self.accused(),
            self.background_given(),
            self.background_calls.seen + self.background_lines.seen,
            self.losses,
        )
    }
}
