//! Counts of everything told.

use serde::{Deserialize, Serialize};

use super::counts::Counted;

use super::{Cause, ExchangeId, LogVerdict, Loss, Role, Shares, Verdict, WallTime};
use crate::facts::{ExecutionKind, Runtime};
use crate::message::{Flaw, MessageKind, Protocol};
use crate::text::Text;

/// How many of each value were told, without those never told, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts<K: Ord>(pub std::collections::BTreeMap<K, u64>);

impl<K: Ord> Default for Counts<K> {
    fn default() -> Self {
        Self(std::collections::BTreeMap::new())
    }
}

impl<K: Ord + Copy> Counts<K> {
    /// Counts one more.
    pub fn add(&mut self, key: K) {
        self.add_many(key, 1);
    }

    /// Counts `n` more.
    pub fn add_many(&mut self, key: K, n: u64) {
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(n);
    }

    /// How many were counted of those that satisfy `which`.
    pub fn of(&self, which: impl Fn(K) -> bool) -> u64 {
        self.0
            .iter()
            .filter(|(k, _)| which(**k))
            .fold(0, |sum: u64, (_, n)| sum.saturating_add(*n))
    }
}

/// A share with its 95 % Wilson score interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Cases counted.
    pub hits: u64,
    /// Of how many.
    pub n: u64,
    /// `hits / n`; 0 when `n` is 0.
    pub rate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// A number of which only a part was observed, with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub n: u64,
    /// Lower end of the interval; at least what was observed.
    pub low: u64,
    /// Upper end of the interval.
    pub high: u64,
}

/// That it is not known how many there were, beside those that were observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotEstimated {
    /// Why not.
    pub reason: NoEstimate,
    /// System calls that were counted on connections which were left out.
    pub counted: u64,
    /// How many those on observed connections lead to expect.
    pub expected: u64,
}

/// Why it is not known how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoEstimate {
    /// Connections were left out, and nothing was observed that would stand for them.
    NoneObserved,
    /// There were many more or many fewer system calls on connections that were left out than those on observed ones lead to
    /// expect: these are not like those.
    CallsDisagree,
}

/// A cause with how many verdicts it explains.
#[derive(Clone, Debug, Serialize)]
pub struct WhyCount {
    /// The cause.
    pub cause: Cause,
    /// Verdicts that it explains.
    pub count: u64,
    /// The cause in a sentence.
    pub explanation: &'static str,
    /// What mends it, in words of the service's runtime.
    pub fix: &'static str,
    /// Methods and path templates of the calls, where they tell the calls apart from others; at most 5.
    pub routes: Vec<String>,
    /// Exchanges that show it.
    pub samples: Vec<ExchangeId>,
}

/// Calls from a service to a peer.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeSummary {
    /// The other side: its service when observed, else host and port.
    pub peer: String,
    /// Namespace of the other side; empty where none is known.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub peer_namespace: Text,
    /// Calls that were observed.
    pub calls: u64,
    /// All calls, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_not_estimated: Option<NotEstimated>,
    /// Verdicts on them.
    pub verdicts: Counts<Verdict>,
    /// Share of the judged calls on which context was lost.
    pub loss: Rate,
    /// Why.
    pub why: Vec<WhyCount>,
}

/// A reason for which something could not be judged, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason, in words.
    pub reason: String,
    /// Calls and events.
    pub count: u64,
}

/// Logged events of a service.
#[derive(Clone, Debug, Serialize)]
pub struct LogSummary {
    /// Events.
    pub lines: u64,
    /// Verdicts on them.
    pub verdicts: Counts<LogVerdict>,
    /// Share of the judged events that do not carry their request's trace-id.
    pub loss: Rate,
}

/// Whether the executions of a service's processes can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExecutionsCount {
    /// What they are; `None` if they can't be told apart.
    pub kind: Option<ExecutionKind>,
    /// What can't be had, and why, in words.
    pub missing: Vec<String>,
    /// Of how many processes that holds.
    pub processes: u64,
}

/// One service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceSummary {
    /// Its name.
    pub service: String,
    /// Its namespace; empty where none is known.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub namespace: Text,
    /// What it runs on, where recognised.
    pub runtime: Option<Runtime>,
    /// Whether its executions can be told apart; empty if its runtime has none but threads.
    pub executions: Vec<ExecutionsCount>,
    /// Requests that it served, and that were observed.
    pub served: u64,
    /// All requests that it served, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_not_estimated: Option<NotEstimated>,
    /// Of these: how many came with a valid context.
    pub served_with_context: u64,
    /// All calls that it made, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_estimated: Option<Estimate>,
    /// Why that is not known, where sampling left some out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_not_estimated: Option<NotEstimated>,
    /// Its calls, by peer.
    pub edges: Vec<EdgeSummary>,
    /// Its logged events.
    pub logs: LogSummary,
    /// Share of the judged calls, over all edges, on which context was lost.
    pub loss: Rate,
    /// Calls and events that could not be judged, by reason.
    pub inconclusive: Vec<ReasonCount>,
}

/// Traffic that was seen but not observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotObserved {
    /// The service.
    pub service: String,
    /// Its namespace; empty where none is known.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub namespace: Text,
    /// What the connections carry.
    pub protocol: Protocol,
    /// How many connections.
    pub connections: u64,
}

/// Messages that broke the rules of HTTP and so were passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The service.
    pub service: String,
    /// Its namespace; empty where none is known.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub namespace: Text,
    /// Side that it is on.
    pub role: Role,
    /// The other side: host and port of a server, host of a client.
    pub peer: Text,
    /// Which messages.
    pub message: MessageKind,
    /// What is wrong with them.
    pub flaw: Flaw,
    /// That in words.
    pub explanation: &'static str,
    /// How many messages.
    pub count: u64,
}

/// Counts of everything told; the last object of the output.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// When watching began.
    pub start: WallTime,
    /// When it ended.
    pub end: WallTime,
    /// Services, by name.
    pub services: Vec<ServiceSummary>,
    /// Verdicts on all calls.
    pub verdicts: Counts<Verdict>,
    /// Verdicts on all logged events.
    pub log_verdicts: Counts<LogVerdict>,
    /// What was not observed.
    pub not_observed: Vec<NotObserved>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
    /// What was lost, by kind.
    pub losses: Vec<Loss>,
    /// Which share of connections was observed, where that were not all all the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Shares>,
    /// Records that the pipeline took in.
    pub records: u64,
    /// What all of this is derived from, in a form that adds up.
    #[serde(flatten)]
    pub counted: Counted,
}
