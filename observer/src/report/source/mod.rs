//! Where counts come from: files, agents, Prometheus. Each source fails by itself; the rest goes on.

mod agent;
mod file;
pub(super) mod http;
mod prometheus;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use observer_core::judged::counts::Counted;
use observer_core::judged::{Summary, WallTime};
use observer_core::summary::Tally;
use observer_core::text::Text;

use super::model::{AgentLine, SourceKind, SourceLine, State};
use crate::cli::report::Sources;

/// How far two clocks may be apart before it is told, seconds.
const SKEW: f64 = 5.0;

/// What a source gave.
#[derive(Debug)]
pub(super) struct Found {
    pub line: SourceLine,
    pub counted: Counted,
}

impl Found {
    /// A source that gave nothing, and why.
    fn nothing(mut line: SourceLine, why: impl std::fmt::Display) -> Self {
        line.state = State::Unreachable;
        line.notes.push(why.to_string());
        Self {
            line,
            counted: Counted::default(),
        }
    }
}

/// Everything that was found, added up.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub tally: Tally,
    pub sources: Vec<SourceLine>,
    pub warnings: Vec<String>,
}

/// Reads all sources.
///
/// # Errors
///
/// If no HTTP client can be made; what is wrong with a single source is told in its line.
pub(super) fn gather(sources: &Sources) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut found = Vec::new();
    for path in distinct(&sources.files, &mut gathered.warnings) {
        found.extend(file::read(path));
    }
    if !sources.agents.is_empty() || sources.prometheus.is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        found.extend(runtime.block_on(async {
            let mut found = agent::ask_all(&sources.agents, sources.timeout).await?;
            if let Some(server) = &sources.prometheus {
                found.push(prometheus::ask(server, sources.timeout).await?);
            }
            anyhow::Ok(found)
        })?);
    }
    for found in found {
        gathered.add(found);
    }
    gathered.agents();
    Ok(gathered)
}

/// What a watch gave.
pub(super) fn watched(summary: Option<Summary>) -> Gathered {
    let mut gathered = Gathered::default();
    if let Some(summary) = summary {
        let mut line = SourceLine::new(SourceKind::Watch, "watch");
        line.since = Some(summary.start);
        line.until = Some(summary.end);
        let counted = summary.counted;
        gathered.add(Found { line, counted });
    }
    gathered
}

/// Files that are given twice would count twice.
fn distinct<'a>(files: &'a [PathBuf], warnings: &mut Vec<String>) -> Vec<&'a PathBuf> {
    let mut seen = std::collections::BTreeSet::new();
    let mut apart = Vec::new();
    for path in files {
        if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            apart.push(path);
        } else {
            warnings.push(format!(
                "{} is given twice, and counted once",
                path.display()
            ));
        }
    }
    apart
}

impl Gathered {
    fn add(&mut self, found: Found) {
        let Found { mut line, counted } = found;
        let twice = |agent: &&AgentLine| {
            let known = self.sources.iter().flat_map(|s| &s.agents);
            known
                .filter(|k| k.agent == agent.agent)
                .any(|k| k.since == agent.since)
        };
        // A page tells of one agent; a server has sorted its agents out itself.
        if let [agent] = line.agents.as_slice()
            && let Some(agent) = Some(agent).filter(twice)
        {
            self.warnings.push(format!(
                "agent {} was asked twice ({}), and is counted once",
                agent.agent, line.name
            ));
            return;
        }
        let mut counted = counted;
        for sample in &mut counted.samples {
            if sample.source.is_empty() {
                sample.source = Text::new(&line.name);
            }
        }
        let unknown = self.tally.merge(counted);
        if unknown > 0 {
            line.state = line.state.max(State::Partial);
            line.notes.push(format!(
                "{unknown} counts are of kinds that this version ({}) does not know",
                env!("CARGO_PKG_VERSION")
            ));
        }
        self.sources.push(line);
    }

    /// Warns of agents of several versions, and of clocks that are wrong.
    fn agents(&mut self) {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let agents = || self.sources.iter().flat_map(|s| &s.agents);
        for agent in agents() {
            versions
                .entry(&agent.version)
                .or_default()
                .push(&agent.agent);
        }
        let own = env!("CARGO_PKG_VERSION");
        let mut warnings = Vec::new();
        for (version, agents) in versions.iter().filter(|(version, _)| **version != own) {
            let version = if version.is_empty() {
                "unknown"
            } else {
                version
            };
            warnings.push(format!(
                "{} of version {version}, this observer is {own}: counts may mean something else",
                named(agents)
            ));
        }
        for agent in agents() {
            let Some(skew) = agent.clock_skew_seconds.filter(|s| s.abs() > SKEW) else {
                continue;
            };
            let way = if skew > 0.0 { "ahead" } else { "behind" };
            warnings.push(format!(
                "the clock of agent {} is {:.0} s {way}: times of its samples are off by as much",
                agent.agent,
                skew.abs()
            ));
        }
        self.warnings.extend(warnings);
    }
}

/// `agent a`, `agents a, b and 7 more`.
fn named(agents: &[&str]) -> String {
    match agents {
        [one] => format!("agent {one} is"),
        few if few.len() <= 4 => format!("agents {} are", few.join(", ")),
        [a, b, rest @ ..] => format!("agents {a}, {b} and {} more are", rest.len()),
        [] => String::new(),
    }
}

/// The wall clock.
pub(super) fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallTime(since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
}
