//! What is other than in an earlier report. Whether a rate changed is told by an interval, not by eye.

use std::collections::BTreeMap;

use observer_core::judged::counts::Name;
use observer_core::judged::{Rate, WallTime};
use serde::{Deserialize, Serialize};

use super::model::Report;
use super::newcombe::{Difference, difference, quantile};

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Subject {
    /// Calls of a service to a peer.
    Calls {
        /// Who calls.
        service: Name,
        /// Who is called.
        peer: Name,
    },
    /// Logged events of a service.
    Lines {
        /// Whose.
        service: Name,
    },
}

/// How something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// More is lost, beyond chance.
    Worse,
    /// It was not there before, and loses context.
    New,
    /// Less is lost, beyond chance.
    Better,
    /// It lost context, and is no longer there.
    Gone,
}

/// A change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// How.
    pub way: Way,
    /// Of what.
    #[serde(flatten)]
    pub subject: Subject,
    /// What was lost before.
    pub before: Option<Rate>,
    /// What is lost now.
    pub now: Option<Rate>,
    /// Difference of the rates with its interval; absent where one of them is missing.
    pub difference: Option<Difference>,
}

/// All that changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// When the earlier report was made.
    pub baseline: WallTime,
    /// Rates that are in both.
    pub compared: u64,
    /// Confidence of each interval; together they are wrong in 5 % of comparisons at most.
    pub confidence: f64,
    /// What changed, worst first.
    pub changes: Vec<Change>,
}

/// All chance of a wrong change among everything compared.
const WRONG: f64 = 0.05;

/// Compares with an earlier report.
pub(super) fn compare(before: &Report, now: &Report) -> Comparison {
    let (was, is) = (rates(before), rates(now));
    let both = was
        .keys()
        .filter(|subject| is.contains_key(*subject))
        .count();
    // Bonferroni: of 2 000 unchanged edges, 100 would seem to have changed otherwise.
    let each = WRONG / (both.max(1) as f64);
    let z = quantile(1.0 - each / 2.0);
    let mut changes: Vec<Change> = Vec::new();
    for (subject, rate) in &is {
        changes.extend(change(subject, was.get(subject).copied(), Some(*rate), z));
    }
    for (subject, rate) in was.iter().filter(|(subject, _)| !is.contains_key(*subject)) {
        changes.extend(change(subject, Some(*rate), None, z));
    }
    let size = |c: &Change| c.difference.map_or(0.0, |d| d.value.abs());
    changes.sort_by(|a, b| {
        let larger = || size(b).total_cmp(&size(a));
        a.way
            .cmp(&b.way)
            .then_with(larger)
            .then_with(|| a.subject.cmp(&b.subject))
    });
    Comparison {
        baseline: before.made,
        compared: both as u64,
        confidence: 1.0 - each,
        changes,
    }
}

/// What got worse, or is new and loses context.
#[derive(Debug)]
pub(crate) struct Worse(std::collections::BTreeSet<Subject>);

impl Worse {
    pub(super) fn new(comparison: Comparison) -> Self {
        let worse = comparison.changes.into_iter();
        let worse = worse.filter(|c| matches!(c.way, Way::Worse | Way::New));
        Self(worse.map(|c| c.subject).collect())
    }

    /// Whether calls on this edge did.
    pub(crate) fn calls(&self, service: &Name, peer: &Name) -> bool {
        let (service, peer) = (service.clone(), peer.clone());
        self.0.contains(&Subject::Calls { service, peer })
    }

    /// Whether this service's log events did.
    pub(crate) fn lines(&self, service: &Name) -> bool {
        let service = service.clone();
        self.0.contains(&Subject::Lines { service })
    }
}

/// Everything of which a share was lost, where anything was judged.
fn rates(report: &Report) -> BTreeMap<Subject, Rate> {
    let calls = report.edges.iter().map(|edge| {
        let (service, peer) = (edge.service.clone(), edge.peer.clone());
        (Subject::Calls { service, peer }, edge.loss)
    });
    let lines = report.services.iter().map(|service| {
        let subject = Subject::Lines {
            service: service.name.clone(),
        };
        (subject, service.line_loss)
    });
    calls.chain(lines).filter(|(_, rate)| rate.n > 0).collect()
}

fn change(subject: &Subject, before: Option<Rate>, now: Option<Rate>, z: f64) -> Option<Change> {
    let difference = before
        .zip(now)
        .map(|(before, now)| difference(before, now, z));
    let way = match (before, now, difference) {
        (Some(_), Some(_), Some(d)) if d.low > 0.0 => Way::Worse,
        (Some(_), Some(_), Some(d)) if d.high < 0.0 => Way::Better,
        (None, Some(now), _) if now.hits > 0 => Way::New,
        (Some(before), None, _) if before.hits > 0 => Way::Gone,
        _ => return None,
    };
    Some(Change {
        way,
        subject: subject.clone(),
        before,
        now,
        difference,
    })
}
