//! The report: what all forms of it show, and its JSON (docs/schema/observer-report.schema.json).

use observer_core::facts::Runtime;
use observer_core::judged::counts::{Name, Sample};
use observer_core::judged::{
    Cause, Counts, Estimate, LogVerdict, LossKind, NotEstimated, Rate, ReasonCount, Role, Verdict,
    WallTime,
};
use observer_core::message::{Flaw, MessageKind, Protocol};
use serde::{Deserialize, Serialize};

use super::compare::Comparison;

/// Version of the JSON. Further fields do not make a new one.
pub const VERSION: u32 = 1;

/// What is said about a fleet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// `observer-report`.
    pub kind: String,
    /// [`VERSION`].
    pub version: u32,
    /// Version of the program that made it.
    pub program: String,
    /// When it was made.
    pub made: WallTime,
    /// From when on things were counted; absent if no source tells.
    pub since: Option<WallTime>,
    /// Until when.
    pub until: Option<WallTime>,
    /// Where counts came from.
    pub sources: Vec<SourceLine>,
    /// What makes the report less certain than it looks.
    pub warnings: Vec<String>,
    /// All services together.
    pub fleet: Fleet,
    /// Calls from service to service, worst first.
    pub edges: Vec<Edge>,
    /// Services, by name.
    pub services: Vec<Service>,
    /// What was lost on the way, where it is not known whom it touches.
    pub losses: Vec<Lost>,
    /// Records that pipelines took in.
    pub records: u64,
    /// What is other than in an earlier report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// What kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A recording, run through the pipeline.
    Recording,
    /// An output of `--output json`, or a page of an agent that was kept.
    Output,
    /// A running agent.
    Agent,
    /// A Prometheus-compatible server.
    Prometheus,
    /// The watch of `check`.
    Watch,
}

/// How much of a source there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All of it.
    Complete,
    /// A part; the notes say what is missing.
    Partial,
    /// Nothing; the notes say why.
    Unreachable,
}

/// A source, and what there was of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceLine {
    /// File, address or URL.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// How much there was.
    pub state: State,
    /// From when on it counted.
    pub since: Option<WallTime>,
    /// Until when.
    pub until: Option<WallTime>,
    /// Agents that counted.
    pub agents: Vec<AgentLine>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

impl SourceLine {
    /// A source of which nothing is known yet.
    pub(super) fn new(kind: SourceKind, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            state: State::Complete,
            since: None,
            until: None,
            agents: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentLine {
    /// Its name.
    pub agent: String,
    /// Version of its program.
    pub version: String,
    /// When it began to count.
    pub since: Option<WallTime>,
    /// By how much its clock is ahead of the one that it was compared with.
    pub clock_skew_seconds: Option<f64>,
}

impl AgentLine {
    pub(super) fn new(agent: &str, version: &str, since: Option<WallTime>) -> Self {
        let shown = |text| observer_core::text::printable(text).into_owned();
        Self {
            agent: shown(agent),
            version: shown(version),
            since,
            clock_skew_seconds: None,
        }
    }
}

/// A propagation index (docs/report.md), 0–100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// The index.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Share of calls and lines that could be judged, 0–1.
    pub judged: f64,
}

/// Sums over all services.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// Services that did something.
    pub services: u64,
    /// Edges between them, and to what is not observed.
    pub edges: u64,
    /// Requests served, that were observed.
    pub requests: u64,
    /// All requests served, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_not_estimated: Option<NotEstimated>,
    /// All calls, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_not_estimated: Option<NotEstimated>,
    /// Of these: with a valid context.
    pub requests_with_context: u64,
    /// Verdicts on calls.
    pub calls: Counts<Verdict>,
    /// Calls that lost context, of those judged.
    pub call_loss: Rate,
    /// Verdicts on logged events.
    pub lines: Counts<LogVerdict>,
    /// Logged events that lost their request's id, of those judged.
    pub line_loss: Rate,
    /// The index; absent if nothing could be judged.
    pub index: Option<Index>,
}

/// Calls from a service to a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edge {
    /// Who calls.
    pub service: Name,
    /// Who is called.
    pub peer: Name,
    /// Whether the peer is among the services.
    pub observed: bool,
    /// Calls that were observed.
    pub calls: u64,
    /// All calls, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_not_estimated: Option<NotEstimated>,
    /// Verdicts on them.
    pub verdicts: Counts<Verdict>,
    /// Calls that lost context, of those judged.
    pub loss: Rate,
    /// Why, most frequent first.
    pub why: Vec<Why>,
}

/// A cause, how often, and what mends it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// The cause.
    pub cause: Cause,
    /// Whether calls lost context by it; otherwise it is worth knowing only.
    pub loss: bool,
    /// Calls that it explains.
    pub count: u64,
    /// The cause in a sentence.
    pub explanation: String,
    /// What mends it, in words of the service's runtime.
    pub fix: String,
    /// Routes that tell the calls apart.
    pub routes: Vec<String>,
    /// Calls that show it.
    pub examples: Vec<Example>,
}

/// What is wrong with logged events, how often, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineWhy {
    /// The verdict on them.
    pub verdict: LogVerdict,
    /// Logged events of this verdict.
    pub count: u64,
    /// What is wrong, in a sentence.
    pub explanation: String,
    /// What mends it, in words of the service's runtime.
    pub fix: String,
}

/// A call or logged event that shows something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    /// The call or event.
    #[serde(flatten)]
    pub sample: Sample,
    /// Where its trace can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    #[serde(flatten)]
    pub name: Name,
    /// What it runs on.
    pub runtime: Option<Runtime>,
    /// Requests that it served, and that were observed.
    pub requests: u64,
    /// All requests that it served, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_not_estimated: Option<NotEstimated>,
    /// Of these: with a valid context.
    pub requests_with_context: u64,
    /// Of these: with a context that breaks its format's rules.
    pub requests_with_invalid_context: u64,
    /// Calls that it made, and that were observed.
    pub calls: u64,
    /// All calls that it made, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_not_estimated: Option<NotEstimated>,
    /// Verdicts on calls.
    pub call_verdicts: Counts<Verdict>,
    /// Calls that lost context, of those judged.
    pub call_loss: Rate,
    /// Logged events.
    pub lines: u64,
    /// Verdicts on them.
    pub line_verdicts: Counts<LogVerdict>,
    /// Logged events that lost their request's id, of those judged.
    pub line_loss: Rate,
    /// Why, most frequent first.
    #[serde(default)]
    pub line_why: Vec<LineWhy>,
    /// Logged events that lost it.
    pub line_examples: Vec<Example>,
    /// Its index; absent if nothing could be judged.
    pub index: Option<Index>,
    /// Rules of the Instrumentation Score that its traffic says something about.
    pub rules: Vec<Rule>,
    /// What could not be judged, by reason.
    pub inconclusive: Vec<ReasonCount>,
    /// Connections that are not observed.
    pub unobserved: Vec<Unobserved>,
    /// Messages that broke the rules of HTTP and so were passed over.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
    /// What was lost on the way.
    pub losses: Vec<Lost>,
}

/// What a rule of the Instrumentation Score would find, as far as that can be told from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// `SPA-004`.
    pub rule: String,
    /// What it asks for.
    pub asks: String,
    /// Its impact by the specification.
    pub impact: String,
    /// Calls that speak against it; absent where that can't be told from outside.
    pub against: Option<Rate>,
    /// What was measured, or why nothing can be.
    pub says: String,
}

/// Connections that are not observed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unobserved {
    /// What they carry.
    pub protocol: Protocol,
    /// How many.
    pub connections: u64,
}

/// Messages that could not be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unreadable {
    /// Side that the service is on.
    pub role: Role,
    /// The other side: host and port of a server, host of a client.
    pub peer: String,
    /// Which messages.
    pub message: MessageKind,
    /// What is wrong with them.
    pub flaw: Flaw,
    /// That in words.
    pub explanation: String,
    /// How many messages.
    pub count: u64,
}

/// What was lost on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// What.
    pub what: LossKind,
    /// How much.
    pub count: u64,
}
