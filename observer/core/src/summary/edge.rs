//! Calls from one service to one peer, and why context is lost on them.

use std::collections::BTreeMap;

use smol_str::format_smolstr;

use super::{Circumstances, rate};
use crate::facts::Runtime;
use crate::judged::{Cause, Counts, EdgeSummary, Exchange, ExchangeId, Verdict, WhyCount};
use crate::route::route;
use crate::text::Text;

/// Routes of one edge that are counted apart, at most; calls beyond count as mixed.
const MAX_ROUTES: usize = 64;

/// Routes that are named with a cause.
const NAMED_ROUTES: usize = 5;

/// Exchanges that are kept as samples of a cause.
const SAMPLES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Edge {
    calls: u64,
    pub(super) verdicts: Counts<Verdict>,
    /// Calls for requests that came in without context.
    uninvited: u64,
    /// Restarted calls that carry a format which did not come in.
    other_format: u64,
    dropped: ByThread,
    carried: ByThread,
    routes: BTreeMap<Text, Route>,
    samples: BTreeMap<Verdict, Vec<ExchangeId>>,
}

/// Calls of one method and path template.
#[derive(Clone, Copy, Debug, Default)]
struct Route {
    dropped: u64,
    carried: u64,
}

/// Counts by whether the thread that read the request made the call.
#[derive(Clone, Copy, Debug, Default)]
struct ByThread {
    same: u64,
    other: u64,
}

impl ByThread {
    fn add(&mut self, same: bool) {
        *(if same {
            &mut self.same
        } else {
            &mut self.other
        }) += 1;
    }
}

impl Edge {
    pub(super) fn add(&mut self, exchange: &Exchange, verdict: Verdict, how: Circumstances) {
        self.calls += 1;
        self.verdicts.add(verdict);
        match verdict {
            Verdict::Dropped => self.dropped.add(how.same_execution),
            Verdict::Propagated | Verdict::Forwarded | Verdict::Translated => {
                self.carried.add(how.same_execution);
            }
            Verdict::Restarted if !how.same_format => self.other_format += 1,
            Verdict::Originated | Verdict::Absent if exchange.request.is_some() => {
                self.uninvited += 1;
            }
            _ => {}
        }
        let carries = verdict.is_judged() && verdict != Verdict::Dropped;
        self.route(exchange, verdict == Verdict::Dropped, carries);
        let samples = self.samples.entry(verdict).or_default();
        if samples.len() < SAMPLES {
            samples.push(exchange.id);
        }
    }

    fn route(&mut self, exchange: &Exchange, dropped: bool, carried: bool) {
        let name = format_smolstr!("{} {}", exchange.method, route(&exchange.target));
        if self.routes.len() >= MAX_ROUTES && !self.routes.contains_key(&name) {
            return;
        }
        let route = self.routes.entry(name).or_default();
        route.dropped += u64::from(dropped);
        route.carried += u64::from(carried);
    }

    /// Routes on which context is dropped, if it never is carried there; all drops are on them.
    fn routes_without(&self) -> Option<Vec<String>> {
        let lost = || self.routes.iter().filter(|(_, r)| r.dropped > 0);
        let all: u64 = lost().map(|(_, r)| r.dropped).sum();
        let apart =
            all == self.dropped.same + self.dropped.other && lost().all(|(_, r)| r.carried == 0);
        apart.then(|| {
            lost()
                .map(|(name, _)| name.to_string())
                .take(NAMED_ROUTES)
                .collect()
        })
    }

    /// Whether any call on it carries a context that this service may have made or passed on.
    pub(super) fn carries_any(&self) -> bool {
        self.verdicts
            .of(|v| v.is_judged() && v != Verdict::Dropped || v == Verdict::Originated)
            > 0
    }

    pub(super) fn summary(
        &self,
        peer: &str,
        runtime: Option<Runtime>,
        service_carries: bool,
    ) -> EdgeSummary {
        EdgeSummary {
            peer: peer.to_owned(),
            calls: self.calls,
            verdicts: self.verdicts.clone(),
            loss: rate(
                self.verdicts.of(Verdict::is_loss),
                self.verdicts.of(Verdict::is_judged),
            ),
            why: self.why(runtime, service_carries),
        }
    }

    fn why(&self, runtime: Option<Runtime>, service_carries: bool) -> Vec<WhyCount> {
        let mut why = Vec::new();
        let mut explain = |cause: Cause, count: u64, verdicts: &[Verdict]| {
            if count > 0 {
                let routes = match cause {
                    Cause::CallNotInstrumented => self.routes_without().unwrap_or_default(),
                    _ => Vec::new(),
                };
                let samples = verdicts
                    .iter()
                    .filter_map(|v| self.samples.get(v))
                    .flatten();
                why.push(WhyCount {
                    cause,
                    count,
                    explanation: cause.explanation(),
                    fix: cause.fix(runtime),
                    routes,
                    samples: samples.copied().take(SAMPLES).collect(),
                });
            }
        };
        let count = |verdict| self.verdicts.of(|v| v == verdict);
        let restarted = count(Verdict::Restarted);
        explain(
            self.why_dropped(runtime, service_carries),
            count(Verdict::Dropped),
            &[Verdict::Dropped],
        );
        explain(
            Cause::NewTrace,
            restarted - self.other_format,
            &[Verdict::Restarted],
        );
        explain(
            Cause::FormatMismatch,
            self.other_format + count(Verdict::Translated),
            &[Verdict::Translated, Verdict::Restarted],
        );
        explain(
            Cause::LeakedContext,
            count(Verdict::Crossed),
            &[Verdict::Crossed],
        );
        explain(
            Cause::MalformedWriter,
            count(Verdict::Mangled),
            &[Verdict::Mangled],
        );
        explain(
            Cause::PassedThrough,
            count(Verdict::Forwarded),
            &[Verdict::Forwarded],
        );
        explain(
            Cause::TrustBoundary,
            self.uninvited,
            &[Verdict::Originated, Verdict::Absent],
        );
        why.sort_by(|a, b| b.count.cmp(&a.count).then(a.cause.cmp(&b.cause)));
        why
    }

    fn why_dropped(&self, runtime: Option<Runtime>, service_carries: bool) -> Cause {
        if runtime == Some(Runtime::Proxy) {
            Cause::StrippedByProxy
        } else if !service_carries {
            Cause::NotInstrumented
        } else if self.dropped.same == 0 && self.dropped.other > 0 && self.carried.other == 0 {
            Cause::LostAtHandOff
        } else if !self.carries_any() || self.routes_without().is_some() {
            Cause::CallNotInstrumented
        } else {
            Cause::Sometimes
        }
    }
}
