//! Calls from one service to one peer, and why context is lost on them.

use super::counter::OTHER;
use super::tally::Edge;
use super::{extent, rate};
use crate::facts::Runtime;
use crate::judged::counts::{Carried, How, Name, Reckoned};
use crate::judged::{Cause, Counts, EdgeSummary, ExchangeId, Verdict, WhyCount};

/// Routes that are named with a cause.
const NAMED_ROUTES: usize = 5;

/// Exchanges that are named with a cause.
const NAMED_SAMPLES: usize = 3;

/// The verdicts that a cause explains; calls with them are examples of it.
#[must_use]
pub fn verdicts_of(cause: Cause) -> &'static [Verdict] {
    match cause {
        Cause::NotInstrumented
        | Cause::CallNotInstrumented
        | Cause::LostAtHandOff
        | Cause::StrippedByProxy
        | Cause::Sometimes => &[Verdict::Dropped],
        Cause::NewTrace => &[Verdict::Restarted],
        Cause::FormatMismatch => &[Verdict::Translated, Verdict::Restarted],
        Cause::LeakedContext => &[Verdict::Crossed],
        Cause::MalformedWriter => &[Verdict::Mangled],
        Cause::PassedThrough => &[Verdict::Forwarded],
        Cause::TrustBoundary => &[Verdict::Originated, Verdict::Absent],
    }
}

impl Edge {
    pub(super) fn verdicts(&self) -> Counts<Verdict> {
        let mut verdicts = Counts::default();
        for ((verdict, _), n) in &self.calls.0 {
            verdicts.add_many(*verdict, *n);
        }
        verdicts
    }

    fn of(&self, verdict: Verdict, how: How) -> u64 {
        self.calls.of(|cell| cell == (verdict, how))
    }

    fn dropped(&self) -> u64 {
        self.calls.of(|(verdict, _)| verdict == Verdict::Dropped)
    }

    /// Routes on which context is dropped, if it never is carried there; all drops are on them.
    fn routes_without(&self) -> Option<Vec<String>> {
        let dropped = |counts: &Counts<Carried>| counts.of(|c| c == Carried::Dropped);
        let lost = || self.routes.iter().filter(|(_, counts)| dropped(counts) > 0);
        let all = lost().fold(0, |sum: u64, (_, counts)| {
            sum.saturating_add(dropped(counts))
        });
        let apart = all == self.dropped()
            && lost()
                .all(|(name, counts)| name != OTHER && counts.of(|c| c == Carried::Carried) == 0);
        apart.then(|| {
            lost()
                .map(|(name, _)| name.to_string())
                .take(NAMED_ROUTES)
                .collect()
        })
    }

    /// Whether any call on it carries a context that this service may have made or passed on.
    pub(super) fn carries_any(&self) -> bool {
        let carries = |v: Verdict| v.is_judged() && v != Verdict::Dropped;
        self.calls
            .of(|(v, _)| carries(v) || v == Verdict::Originated)
            > 0
    }

    pub(super) fn summary(
        &self,
        peer: &Name,
        runtime: Option<Runtime>,
        service_carries: bool,
        reckoned: Reckoned,
    ) -> EdgeSummary {
        let verdicts = self.verdicts();
        let (calls_estimated, calls_not_estimated) =
            extent(verdicts.of(|_| true), self.left_out, reckoned).told();
        EdgeSummary {
            peer: peer.name.to_string(),
            peer_namespace: peer.namespace.clone(),
            calls: verdicts.of(|_| true),
            calls_estimated,
            calls_not_estimated,
            loss: rate(
                verdicts.of(Verdict::is_loss),
                verdicts.of(Verdict::is_judged),
            ),
            why: self.why(&verdicts, runtime, service_carries),
            verdicts,
        }
    }

    fn why(
        &self,
        verdicts: &Counts<Verdict>,
        runtime: Option<Runtime>,
        service_carries: bool,
    ) -> Vec<WhyCount> {
        let count = |verdict| verdicts.of(|v| v == verdict);
        let other_format = self.of(Verdict::Restarted, How::OtherFormat);
        let uninvited = |v| self.of(v, How::ForRequest);
        let counts = [
            (
                self.why_dropped(runtime, service_carries),
                count(Verdict::Dropped),
            ),
            (
                Cause::NewTrace,
                count(Verdict::Restarted).saturating_sub(other_format),
            ),
            (
                Cause::FormatMismatch,
                other_format.saturating_add(count(Verdict::Translated)),
            ),
            (Cause::LeakedContext, count(Verdict::Crossed)),
            (Cause::MalformedWriter, count(Verdict::Mangled)),
            (Cause::PassedThrough, count(Verdict::Forwarded)),
            (
                Cause::TrustBoundary,
                uninvited(Verdict::Originated).saturating_add(uninvited(Verdict::Absent)),
            ),
        ];
        let mut why: Vec<WhyCount> = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| self.explained(cause, count, runtime))
            .collect();
        why.sort_by(|a, b| b.count.cmp(&a.count).then(a.cause.cmp(&b.cause)));
        why
    }

    fn explained(&self, cause: Cause, count: u64, runtime: Option<Runtime>) -> WhyCount {
        let routes = match cause {
            Cause::CallNotInstrumented => self.routes_without().unwrap_or_default(),
            _ => Vec::new(),
        };
        let samples = verdicts_of(cause)
            .iter()
            .flat_map(|verdict| self.samples.of(verdict.name()))
            .filter_map(|sample| sample.id.parse::<ExchangeId>().ok());
        WhyCount {
            cause,
            count,
            explanation: cause.explanation(),
            fix: cause.fix(runtime),
            routes,
            samples: samples.take(NAMED_SAMPLES).collect(),
        }
    }

    fn why_dropped(&self, runtime: Option<Runtime>, service_carries: bool) -> Cause {
        let carried_elsewhere = [Verdict::Propagated, Verdict::Forwarded, Verdict::Translated]
            .into_iter()
            .any(|verdict| self.of(verdict, How::OtherExecution) > 0);
        let dropped = |how| self.of(Verdict::Dropped, how);
        if runtime == Some(Runtime::Proxy) {
            Cause::StrippedByProxy
        } else if !service_carries {
            Cause::NotInstrumented
        } else if dropped(How::SameExecution) == 0
            && dropped(How::OtherExecution) > 0
            && !carried_elsewhere
        {
            Cause::LostAtHandOff
        } else if !self.carries_any() || self.routes_without().is_some() {
            Cause::CallNotInstrumented
        } else {
            Cause::Sometimes
        }
    }
}
