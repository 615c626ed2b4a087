//! Series and their targets, and what a counter gained.

use std::collections::BTreeMap;
use std::fmt;

use observer_core::judged::counts::{LABELS, Series};
use observer_core::text::{Text, printable};

/// The name of a series' family, as a label.
const METRIC: &str = "__name__";

/// Labels of what agents tell of themselves.
const AGENT: [&str; 2] = ["agent", "version"];

/// Whether agents give their counts this label; all others are the server's, and name what was scraped.
fn is_own(label: &str) -> bool {
    LABELS.contains(&label) || AGENT.contains(&label)
}

/// What was scraped: the labels that the server gave it (`job`, `instance`, …).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target(Vec<(String, String)>);

impl Target {
    pub(super) fn of(labels: &BTreeMap<String, String>) -> Self {
        let given = labels
            .iter()
            .filter(|(name, _)| *name != METRIC && !is_own(name));
        Self(given.map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    /// As a selector of PromQL.
    pub(super) fn selector(&self) -> String {
        let matchers = self.0.iter().map(|(name, value)| {
            let value = value
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            format!("{name}=\"{value}\"")
        });
        format!("{{{}}}", matchers.collect::<Vec<_>>().join(","))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = self.0.iter().find(|(name, _)| name == "instance");
        match instance {
            Some((_, instance)) => f.write_str(&printable(instance)),
            None => f.write_str(&printable(&self.selector())),
        }
    }
}

/// A series without its target: what several agents count together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    metric: String,
    labels: BTreeMap<Text, Text>,
}

impl Key {
    pub(super) fn new(metric: &str, labels: &BTreeMap<String, String>) -> Self {
        let own = labels.iter().filter(|(name, _)| is_own(name));
        Self {
            metric: metric.to_owned(),
            labels: own.map(|(n, v)| (Text::new(n), Text::new(v))).collect(),
        }
    }

    pub(super) fn counted(self, count: u64) -> Series {
        Series {
            metric: self.metric.into(),
            labels: self.labels,
            count,
        }
    }
}

/// When the runs of a target began, as was seen at each scrape.
#[derive(Debug)]
pub(super) struct Runs {
    /// Time of a scrape, and the start that it told, seconds since 1970.
    starts: BTreeMap<u64, f64>,
    last: Option<f64>,
    skew: f64,
}

impl Runs {
    /// `skew` is by how many seconds the target's clock, which the starts are of, is ahead of the server's.
    pub(super) fn new(scrapes: Vec<(u64, f64)>, last: Option<f64>, skew: f64) -> Self {
        Self {
            starts: scrapes.into_iter().collect(),
            last,
            skew,
        }
    }

    /// When the run that was scraped then had begun, seconds since 1970.
    fn at(&self, time: u64) -> Option<f64> {
        let before = self.starts.range(..=time).next_back();
        before.map(|(_, start)| *start).or(self.last)
    }

    /// Whether it was scraped at all before then.
    fn known_before(&self, time: u64) -> bool {
        self.starts.range(..=time).next().is_some()
    }
}

/// What a counter gained after `since` (milliseconds), by its samples in order of time.
pub(super) fn gained(samples: &[(u64, f64)], since: u64, runs: &Runs) -> u64 {
    let mut before: Option<(u64, f64)> = None;
    let mut sum: u64 = 0;
    for &(time, value) in samples {
        if time <= since {
            before = Some((time, value));
            continue;
        }
        let from = match before {
            Some((earlier, start)) => {
                let restarted = runs.at(earlier) != runs.at(time) || value < start;
                if restarted { 0.0 } else { start }
            }
            // The first sample of all. What it has was counted in the time, unless the agent is older
            // and was not scraped before, so that nobody knows.
            None => {
                let old = runs
                    .at(time)
                    .is_some_and(|start| millis(start - runs.skew) < since);
                if old && !runs.known_before(since) {
                    value
                } else {
                    0.0
                }
            }
        };
        sum = sum.saturating_add(whole(value).saturating_sub(whole(from)));
        before = Some((time, value));
    }
    sum
}

/// A count as a number; what is none counts nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float saturates"
)]
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Seconds as milliseconds.
pub(super) fn millis(seconds: f64) -> u64 {
    whole(seconds * 1_000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_gains_what_it_has_more() {
        let runs = Runs::new(vec![(0, 0.0)], None, 0.0);
        assert_eq!(gained(&[(5, 3.0), (15, 4.0), (25, 9.0)], 10, &runs), 6);
        // It began in the time: all of it counts.
        assert_eq!(gained(&[(15, 4.0), (25, 9.0)], 10, &runs), 9);
    }

    #[test]
    fn a_restart_is_seen_even_when_the_count_is_higher_again() {
        let runs = Runs::new(vec![(5, 0.001), (15, 0.001), (25, 0.020)], None, 0.0);
        assert_eq!(gained(&[(5, 3.0), (15, 3.0), (25, 5.0)], 10, &runs), 5);
        let unknown = Runs::new(Vec::new(), None, 0.0);
        assert_eq!(gained(&[(5, 3.0), (15, 7.0), (25, 5.0)], 10, &unknown), 9);
    }

    #[test]
    fn what_was_counted_before_the_first_scrape_is_not_of_this_time() {
        let old = Runs::new(vec![(150_000, 1.0), (160_000, 1.0)], None, 0.0);
        assert_eq!(
            gained(&[(150_000, 100.0), (160_000, 107.0)], 100_000, &old),
            7
        );
        // So it is with an agent whose clock is wrong, and one that only seems to be older is not.
        let late = Runs::new(vec![(150_000, 201.0), (160_000, 201.0)], None, 200.0);
        assert_eq!(
            gained(&[(150_000, 100.0), (160_000, 107.0)], 100_000, &late),
            7
        );
        let slow = Runs::new(vec![(150_000, 50.0)], None, -60.0);
        assert_eq!(gained(&[(150_000, 100.0)], 100_000, &slow), 100);
        // A series that comes up later has counted nothing before.
        let known = Runs::new(vec![(90_000, 1.0), (150_000, 1.0)], None, 0.0);
        assert_eq!(gained(&[(150_000, 100.0)], 100_000, &known), 100);
    }

    #[test]
    fn targets_are_told_from_counts() {
        let labels = [
            ("__name__", "observer_calls_total"),
            ("instance", "h:9\"\\"),
            ("job", "o"),
            ("service_name", "cart"),
        ];
        let labels = labels.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        assert_eq!(
            Target::of(&labels).selector(),
            r#"{instance="h:9\"\\",job="o"}"#
        );
        let key = Key::new("observer_calls_total", &labels);
        assert_eq!(key.counted(1).labels.len(), 1);
    }

    proptest! {
        /// Runs that count up from nothing, scraped at some times: the sum of what each run had at its
        /// last scrape in the time, less what the first had before.
        #[test]
        fn restarts_lose_only_what_was_not_scraped(
            runs in prop::collection::vec(prop::collection::vec(0..9_u32, 1..6), 1..5),
            cut in 0..20_usize,
        ) {
            let (mut samples, mut scrapes) = (Vec::new(), Vec::new());
            let mut expected = 0_u64;
            let mut time = 0;
            let since = cut as u64 * 10;
            for (n, gains) in runs.iter().enumerate() {
                let (mut value, mut before) = (0_u32, 0_u32);
                for gain in gains {
                    time += 10;
                    value += gain;
                    samples.push((time, f64::from(value)));
                    scrapes.push((time, n as f64));
                    if time <= since {
                        before = value;
                    }
                }
                if time > since {
                    expected += u64::from(value - before);
                }
            }
            let runs = Runs::new(scrapes, None, 0.0);
            // The first run began with the first scrape, of which all is of the time.
            let expected = expected;
            let counted = gained(&samples, since, &runs);
            prop_assert_eq!(counted, expected);
        }
    }
}
