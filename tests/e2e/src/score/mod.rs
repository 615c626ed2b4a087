//! Compares what the observer told with what happened.

mod calibration;
mod inferred;
mod report;
pub mod told;
pub mod truth;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use calibration::{Bucket, Calibration};
pub use inferred::Guesses;
pub use report::Demand;
use told::{Attribution, Exchange, Log, Role, Told};
use truth::{Done, Truth, is_background_line};

/// Verdicts that put a service at fault.
const ACCUSING: [&str; 6] = [
    "dropped",
    "restarted",
    "crossed",
    "mangled",
    "missing",
    "foreign",
];
// `zero` accuses as well, but of lines only, where it can be read off the line.

/// Most errors that are kept word for word.
const SAMPLES: usize = 12;

/// Counts over calls, lines or requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were.
    pub total: usize,
    /// Told, each once.
    pub seen: usize,
    /// Told a second time.
    pub repeated: usize,
    /// Given to the right request.
    pub right: usize,
    /// Given to a wrong request.
    pub wrong: usize,
    /// Given to no request without a reason.
    pub silent: usize,
    /// Verdict right.
    pub verdict_right: usize,
    /// Verdict wrong; an inconclusive one never is.
    pub verdict_wrong: usize,
    /// Accused of something that it did not do; these are among the wrong verdicts.
    pub accused: usize,
}

/// Work that was done for no request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unrelated {
    /// Told.
    pub seen: usize,
    /// Given to a request.
    pub given: usize,
    /// Accused.
    pub accused: usize,
}

/// How well the observer did.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Requests that the service got; right and wrong are about their parents.
    pub requests: Tally,
    /// Calls made for requests.
    pub calls: Tally,
    /// Lines written for requests.
    pub lines: Tally,
    /// Calls made for no request.
    pub background_calls: Unrelated,
    /// Lines written for no request.
    pub background_lines: Unrelated,
    /// Calls that export telemetry.
    pub exports: Unrelated,
    /// (what, right verdict, verdict told) → how many.
    pub verdicts: BTreeMap<(&'static str, &'static str, String), usize>,
    /// Tier or reason told → how many calls and lines.
    pub grounds: BTreeMap<String, usize>,
    /// How often links of each tier and confidence are right.
    pub links: Calibration,
    /// What was inferred where nothing was known.
    pub guesses: Guesses,
    /// Losses told.
    pub losses: Vec<String>,
    /// The first errors, word for word.
    pub samples: Vec<String>,
    /// Whether the last line was the only summary.
    pub summarised: bool,
}

/// Scores `told` against `truth`.
#[must_use]
pub fn score(truth: &Truth, told: &[Told]) -> Score {
    let mut score = Score::default();
    score.requests.total = truth.requests.len();
    score.calls.total = truth.calls.len();
    score.lines.total = truth.lines.len();
    let targets = targets(told);
    let mut seen = HashSet::new();
    for one in told {
        match one {
            Told::Exchange(exchange) if exchange.role == Role::Server => {
                score.server(truth, &targets, &mut seen, exchange);
            }
            Told::Exchange(exchange) => score.client(truth, &targets, &mut seen, exchange),
            Told::Log(log) => score.log(truth, &targets, &mut seen, log),
            Told::Loss(loss) => score.losses.push(loss.to_string()),
            Told::Summary(_) | Told::Other => {}
        }
    }
    let summaries = told
        .iter()
        .filter(|t| matches!(t, Told::Summary(_)))
        .count();
    score.summarised = summaries == 1 && matches!(told.last(), Some(Told::Summary(_)));
    score
}

type Targets<'a> = HashMap<(Side, &'a str), &'a str>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Server,
    Client,
}

/// Targets by the id of their exchange.
fn targets(told: &[Told]) -> Targets<'_> {
    told.iter()
        .filter_map(|t| match t {
            Told::Exchange(e) if e.role == Role::Server => {
                Some(((Side::Server, e.id.as_str()), e.target.as_str()))
            }
            Told::Exchange(e) => Some(((Side::Client, e.id.as_str()), e.target.as_str())),
            _ => None,
        })
        .collect()
}

impl Score {
    fn server<'a>(
        &mut self,
        truth: &Truth,
        targets: &Targets<'_>,
        seen: &mut HashSet<(&'static str, &'a str)>,
        exchange: &'a Exchange,
    ) {
        let Some(from) = truth.requests.get(&exchange.target) else {
            return;
        };
        self.requests
            .count(seen.insert(("request", &exchange.target)));
        let parent = exchange
            .parent
            .as_deref()
            .map(|id| targets.get(&(Side::Client, id)).copied());
        match (from, parent) {
            (None, None) => {}
            (Some(from), Some(Some(target))) if from == target => self.requests.right += 1,
            (Some(_), None) => self.requests.silent += 1,
            _ => {
                self.requests.wrong += 1;
                self.sample(format!(
                    "wrong parent {parent:?}, should be {from:?}: {exchange:?}"
                ));
            }
        }
    }

    fn client<'a>(
        &mut self,
        truth: &Truth,
        targets: &Targets<'_>,
        seen: &mut HashSet<(&'static str, &'a str)>,
        exchange: &'a Exchange,
    ) {
        let verdict = exchange.verdict.as_deref().unwrap_or("none");
        let Some(done) = truth.calls.get(&exchange.target) else {
            let unrelated = match exchange.target.as_str() {
                target if target.starts_with("/bg") => &mut self.background_calls,
                target if target.starts_with("/v1/") => &mut self.exports,
                _ => return,
            };
            let given = exchange.request.is_some();
            let wrong = unrelated.count(
                given,
                !matches!(verdict, "absent" | "originated" | "inconclusive"),
            );
            if given {
                self.links.count(exchange.attribution.as_ref(), false);
            }
            self.guessed(None, targets, given, exchange.inferred.as_ref());
            if wrong {
                self.sample(format!("made for no request: {exchange:?}"));
            }
            return;
        };
        self.calls.count(seen.insert(("call", &exchange.target)));
        let given = exchange.request.is_some();
        self.guessed(Some(done), targets, given, exchange.inferred.as_ref());
        self.related(
            "call",
            done,
            targets,
            exchange.request.as_deref(),
            exchange.attribution.as_ref(),
            verdict,
            &exchange,
        );
    }

    fn log<'a>(
        &mut self,
        truth: &Truth,
        targets: &Targets<'_>,
        seen: &mut HashSet<(&'static str, &'a str)>,
        log: &'a Log,
    ) {
        let line = log.line.trim_end();
        let Some(done) = truth.lines.get(line) else {
            if is_background_line(line) {
                let accused = !matches!(log.verdict.as_str(), "unscoped" | "inconclusive");
                if log.request.is_some() {
                    self.links.count(log.attribution.as_ref(), false);
                }
                self.guessed(None, targets, log.request.is_some(), log.inferred.as_ref());
                if self.background_lines.count(log.request.is_some(), accused) {
                    self.sample(format!("written for no request: {log:?}"));
                }
            }
            return;
        };
        self.lines.count(seen.insert(("line", line)));
        let given = log.request.is_some();
        self.guessed(Some(done), targets, given, log.inferred.as_ref());
        self.related(
            "line",
            done,
            targets,
            log.request.as_deref(),
            log.attribution.as_ref(),
            &log.verdict,
            &log,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the two kinds of things told have no common type"
    )]
    fn related(
        &mut self,
        what: &'static str,
        done: &Done,
        targets: &Targets<'_>,
        request: Option<&str>,
        attribution: Option<&Attribution>,
        verdict: &str,
        told: &dyn std::fmt::Debug,
    ) {
        let given = request.map(|id| targets.get(&(Side::Server, id)).copied());
        let reason = attribution.and_then(|a| a.reason.clone());
        let ground = attribution.and_then(|a| a.tier.clone()).or(reason.clone());
        *self
            .grounds
            .entry(format!(
                "{what}: {}",
                without_numbers(&ground.unwrap_or_default())
            ))
            .or_default() += 1;
        *self
            .verdicts
            .entry((what, done.verdict, verdict.to_owned()))
            .or_default() += 1;
        let tally = if what == "call" {
            &mut self.calls
        } else {
            &mut self.lines
        };
        let before = (tally.wrong, tally.verdict_wrong);
        let right = given == Some(Some(done.request.as_str()));
        if given.is_some() {
            self.links.count(attribution, right);
        }
        match given {
            Some(_) if right => tally.right += 1,
            Some(_) => tally.wrong += 1,
            None => tally.silent += usize::from(reason.is_none_or(|r| r.is_empty())),
        }
        if verdict == done.verdict {
            tally.verdict_right += 1;
        } else if verdict != "inconclusive" {
            tally.verdict_wrong += 1;
            tally.accused += usize::from(ACCUSING.contains(&verdict) || verdict == "zero");
        }
        if (tally.wrong, tally.verdict_wrong) != before {
            self.sample(format!("given to {given:?}, should be {done:?}: {told:?}"));
        }
    }

    fn sample(&mut self, text: String) {
        if self.samples.len() < SAMPLES {
            self.samples.push(text);
        }
    }
}

/// A reason with `n` for its numbers, so that the same reason is counted together.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        if !c.is_ascii_digit() {
            text.push(c);
        } else if !text.ends_with('n') {
            text.push('n');
        }
    }
    text
}

impl Tally {
    fn count(&mut self, first: bool) {
        if first {
            self.seen += 1;
        } else {
            self.repeated += 1;
        }
    }
}

impl Unrelated {
    /// Counts one, and says whether something is wrong with it.
    fn count(&mut self, given: bool, accused: bool) -> bool {
        self.seen += 1;
        self.given += usize::from(given);
        self.accused += usize::from(accused);
        given || accused
    }
}

#[cfg(test)]
mod tests;
