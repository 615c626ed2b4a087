//! Which agents a server scraped, and whether it did so once, rightly, and still does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use observer_core::judged::WallTime;
use observer_core::text::printable;

use super::api::Instant;
use super::series::{Target, millis};
use super::{Asked, LOOKBACK, START, Why, targets};
use crate::report::model::{AgentLine, State};

/// The agents that a server scraped.
pub(super) struct Agents {
    /// Those that were scraped when the span began.
    pub(super) before: BTreeSet<Target>,
    /// When each last began, by its own clock, seconds since 1970.
    pub(super) starts: BTreeMap<Target, f64>,
    /// Seconds by which their clocks are ahead of the server's; of those that are scraped now.
    pub(super) skews: BTreeMap<Target, f64>,
    /// Those that are other scrapes of the same agent.
    pub(super) ignored: BTreeSet<Target>,
}

impl Agents {
    /// When an agent last began, by the server's clock, milliseconds since 1970.
    pub(super) fn began(&self, target: &Target) -> Option<u64> {
        let skew = self.skews.get(target).copied().unwrap_or_default();
        Some(millis(self.starts.get(target)? - skew))
    }
}

impl Asked {
    /// Targets that are agents, with when they last began.
    pub(super) async fn agents(&mut self) -> Result<Agents, Why> {
        let (range, until) = (self.span.range(), self.span.until);
        let infos = self.last("observer_agent_info", &range, until).await?;
        let starts = self.last(START, &range, until).await?;
        let before = format!("{LOOKBACK}s");
        let before = self.last(START, &before, self.span.since()).await?;
        let skews = "observer_agent_clock_seconds - timestamp(observer_agent_clock_seconds)";
        let skews = self.api.instant(skews, until).await?;
        let mut agents = Agents {
            before: targets(&before),
            starts: starts.iter().map(|s| (s.target(), s.value)).collect(),
            skews: skews.iter().map(|s| (s.target(), s.value)).collect(),
            ignored: BTreeSet::new(),
        };
        self.scraped_twice(&infos, &mut agents).await?;
        self.unreachable(&infos, &agents).await?;
        for info in &infos {
            let target = info.target();
            if agents.ignored.contains(&target) {
                continue;
            }
            let start = agents.starts.get(&target);
            let since = start.map(|s| WallTime(millis(*s) * 1_000_000));
            let mut line = AgentLine::new(info.label("agent"), info.label("version"), since);
            line.clock_skew_seconds = agents.skews.get(&target).copied();
            self.line.agents.push(line);
        }
        self.line.agents.sort_by(|a, b| a.agent.cmp(&b.agent));
        Ok(agents)
    }

    /// Notes which targets are other scrapes of an agent that is known already: by another job, or by another
    /// replica of the server. Where an agent has moved to another address, its targets have no start in common.
    async fn scraped_twice(&mut self, infos: &[Instant], agents: &mut Agents) -> Result<(), Why> {
        let mut scrapes: BTreeMap<&str, BTreeSet<Target>> = BTreeMap::new();
        for info in infos {
            let of = scrapes.entry(info.label("agent")).or_default();
            of.insert(info.target());
        }
        for (agent, targets) in scrapes.into_iter().filter(|(_, t)| t.len() > 1) {
            let mut known = Vec::new();
            for target in targets {
                known.push((self.starts(&target).await?, target));
            }
            // The one that has seen most comes first.
            known.sort_by_key(|(starts, target)| {
                Reverse((starts.len(), agents.before.contains(target)))
            });
            for (place, (starts, target)) in known.iter().enumerate() {
                let same = known[..place]
                    .iter()
                    .filter(|(_, other)| !agents.ignored.contains(other))
                    .find(|(others, _)| !others.is_disjoint(starts));
                if let Some((_, other)) = same {
                    self.line.notes.push(format!(
                        "agent {} is scraped twice, and counted once: as {other}, not {target}",
                        printable(agent)
                    ));
                    agents.ignored.insert(target.clone());
                }
            }
        }
        Ok(())
    }

    /// When the runs of a target began that were scraped, as bits of the number.
    async fn starts(&mut self, target: &Target) -> Result<BTreeSet<u64>, Why> {
        let query = format!("{START}{}[{}]", target.selector(), self.span.range());
        let found = self.api.range(&query, self.span.until).await?;
        let found = found.iter().filter(|s| Target::of(&s.labels) == *target);
        let samples = found.flat_map(|s| &s.samples);
        Ok(samples.map(|(_, start)| start.to_bits()).collect())
    }

    /// Says which agents the server can't scrape now.
    async fn unreachable(&mut self, infos: &[Instant], agents: &Agents) -> Result<(), Why> {
        let down = targets(&self.api.instant("up == 0", self.span.until).await?);
        let names: BTreeMap<Target, &str> = infos
            .iter()
            .map(|info| (info.target(), info.label("agent")))
            .collect();
        for (target, agent) in names {
            if down.contains(&target) && !agents.ignored.contains(&target) {
                self.line.state = State::Partial;
                self.line.notes.push(format!(
                    "agent {} can't be scraped now ({target}): what it counted since it last was is missing",
                    printable(agent)
                ));
            }
        }
        Ok(())
    }
}
