//! A Prometheus-compatible server: what agents have counted in a span of time, to the unit.
//!
//! `increase()` extrapolates to the ends of its range and gives fractions. So the counts are computed here, from
//! samples as they were scraped: the last one in the span, less the last one before it. That is right as long as
//! the agent did not restart meanwhile; where one did, all its samples are fetched and added up run by run.

mod agents;
mod api;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agents::Agents;
use anyhow::Result;
use api::{Api, Instant};
use observer_core::judged::WallTime;
use observer_core::judged::counts::{Counted, FAMILIES};
use series::{Runs, Target, gained};

use super::http::client;
use super::{Found, now};
use crate::cli::report::Prometheus;
use crate::report::model::{SourceKind, SourceLine, State};

/// When an agent began to count.
const START: &str = "observer_agent_start_time_seconds";

/// How far before the span a sample may lie that says what was counted before it, seconds.
const LOOKBACK: u64 = 600;

/// Why a server gave nothing.
type Why = api::ApiError;

/// Asks the server.
pub(super) async fn ask(server: &Prometheus, timeout: Duration) -> Result<Found> {
    let client = client(timeout, &server.headers)?;
    let mut line = SourceLine::new(SourceKind::Prometheus, &shown(&server.url));
    let until = now();
    let span = Span {
        until: until.0 / 1_000_000,
        millis: u64::try_from(server.since.as_millis()).unwrap_or(u64::MAX),
    };
    line.since = Some(WallTime(span.since() * 1_000_000));
    line.until = Some(until);
    let mut asked = Asked {
        api: Api::new(client, &server.url),
        span,
        line,
    };
    Ok(match asked.counts().await {
        Ok(counted) => asked.done(counted),
        Err(error) => Found::nothing(asked.line, error),
    })
}

/// A URL without what may be a password.
fn shown(url: &str) -> String {
    let hidden = url.split_once("://").and_then(|(scheme, rest)| {
        let (_, host) = rest.split('/').next()?.rsplit_once('@')?;
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        Some(format!("{scheme}://{host}/{path}"))
    });
    observer_core::text::printable(hidden.as_deref().unwrap_or(url)).into_owned()
}

/// What is looked at, milliseconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    until: u64,
    millis: u64,
}

impl Span {
    fn since(self) -> u64 {
        self.until.saturating_sub(self.millis)
    }

    /// The span and what may lie before it, as a range of PromQL.
    fn range(self) -> String {
        format!("{}ms", self.millis + LOOKBACK * 1_000)
    }
}

struct Asked {
    api: Api,
    span: Span,
    line: SourceLine,
}

impl Asked {
    async fn counts(&mut self) -> Result<Counted, Why> {
        let agents = self.agents().await?;
        let odd = self.odd(&agents).await?;
        let mut counts = BTreeMap::new();
        for family in FAMILIES {
            for (series, n) in self.family(family.name, &agents, &odd).await? {
                *counts.entry(series).or_insert(0_u64) += n;
            }
        }
        for target in &odd {
            for (series, n) in self.restarted(target, &agents).await? {
                *counts.entry(series).or_insert(0) += n;
            }
        }
        let series = counts.into_iter().filter(|(_, n)| *n > 0);
        Ok(Counted {
            series: series.map(|(key, n)| key.counted(n)).collect(),
            samples: Vec::new(),
        })
    }

    fn done(mut self, counted: Counted) -> Found {
        for warning in self.api.take_warnings() {
            self.line.state = State::Partial;
            self.line.notes.push(format!("the server warns: {warning}"));
        }
        if counted.series.is_empty() && self.line.agents.is_empty() {
            let why =
                "it has no counts of agents in this time; is it the server that scrapes them?";
            return Found::nothing(self.line, why);
        }
        Found {
            line: self.line,
            counted,
        }
    }

    /// Targets whose counts are not simply those at the end less those before: they restarted, or the server
    /// did not know them when the span began, although they counted already.
    async fn odd(&mut self, agents: &Agents) -> Result<BTreeSet<Target>, Why> {
        let (range, since) = (self.span.range(), self.span.since());
        let changes = format!("changes({START}[{range}]) > 0");
        let mut odd: BTreeSet<Target> =
            targets(&self.api.instant(&changes, self.span.until).await?);
        for family in FAMILIES {
            let resets = format!("resets({}[{range}]) > 0", family.name);
            odd.extend(targets(&self.api.instant(&resets, self.span.until).await?));
        }
        for target in agents.starts.keys() {
            let old = agents.began(target).is_some_and(|start| start < since);
            if old && !agents.before.contains(target) && !agents.ignored.contains(target) {
                odd.insert(target.clone());
                self.line.state = State::Partial;
                self.line.notes.push(format!(
                    "the server has no samples of {target} from when this time began: counts of it begin later"
                ));
            }
        }
        Ok(odd.difference(&agents.ignored).cloned().collect())
    }

    async fn last(&mut self, what: &str, range: &str, at: u64) -> Result<Vec<Instant>, Why> {
        let query = format!("last_over_time({what}[{range}])");
        self.api.instant(&query, at).await
    }

    /// Counts of a family, of targets that are not odd.
    async fn family(
        &mut self,
        family: &str,
        agents: &Agents,
        odd: &BTreeSet<Target>,
    ) -> Result<Vec<(series::Key, u64)>, Why> {
        let since = self.span.since();
        let range = format!("{}ms", self.span.millis);
        let end = self.last(family, &range, self.span.until).await?;
        let before = self.last(family, &format!("{LOOKBACK}s"), since).await?;
        let before: BTreeMap<_, f64> = before.into_iter().map(|s| (s.labels, s.value)).collect();
        let mut counts = Vec::new();
        for sample in end {
            let target = sample.target();
            if odd.contains(&target) || agents.ignored.contains(&target) {
                continue;
            }
            let start = before.get(&sample.labels).copied().unwrap_or(0.0);
            let gained = series::whole(sample.value).saturating_sub(series::whole(start));
            counts.push((series::Key::new(family, &sample.labels), gained));
        }
        Ok(counts)
    }

    /// Counts of a target that restarted, or was not known before.
    async fn restarted(
        &mut self,
        target: &Target,
        agents: &Agents,
    ) -> Result<Vec<(series::Key, u64)>, Why> {
        let (range, until) = (self.span.range(), self.span.until);
        let starts = format!("{START}{}[{range}]", target.selector());
        let starts = self.api.range(&starts, until).await?;
        let starts = starts
            .into_iter()
            .filter(|s| Target::of(&s.labels) == *target);
        let runs = Runs::new(
            starts.flat_map(|s| s.samples).collect(),
            agents.starts.get(target).copied(),
            agents.skews.get(target).copied().unwrap_or_default(),
        );
        let mut counts = Vec::new();
        for family in FAMILIES {
            let query = format!("{}{}[{range}]", family.name, target.selector());
            for found in self.api.range(&query, until).await? {
                if Target::of(&found.labels) == *target {
                    let n = gained(&found.samples, self.span.since(), &runs);
                    counts.push((series::Key::new(family.name, &found.labels), n));
                }
            }
        }
        Ok(counts)
    }
}

fn targets(samples: &[Instant]) -> BTreeSet<Target> {
    samples.iter().map(Instant::target).collect()
}
