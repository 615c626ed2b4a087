//! The judgement: a pure function of a report, an earlier one, and what is asked for.

use observer_core::judged::counts::Name;
use observer_core::judged::{LossKind, Rate};

use crate::cli::check::Limits;
use crate::report::model::{Edge, Report, Service, Why};
use crate::report::{Worse, changed_for_worse};
use crate::sink::text::words;

/// How a check ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As asked for.
    Clean,
    /// It can't be told.
    Inconclusive,
    /// Not as asked for.
    Broken,
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Calls to a peer.
    Calls(Name),
    /// Logged events.
    Lines,
    /// That there was enough to check.
    Enough,
}

/// One thing that was checked.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub service: String,
    pub what: What,
    pub state: State,
    /// What was measured, or why nothing could be.
    pub says: String,
    pub why: Vec<Cause>,
}

/// Why something was lost, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// How often, and why.
    pub why: String,
    pub fix: String,
}

/// All that was checked.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub verdicts: Vec<Verdict>,
}

impl Outcome {
    /// Broken if anything is, else inconclusive if anything is.
    pub(super) fn state(&self) -> State {
        let worst = self.verdicts.iter().map(|v| v.state).max();
        worst.unwrap_or(State::Inconclusive)
    }
}

/// Checks a report.
pub(super) fn judge(report: &Report, baseline: Option<&Report>, limits: &Limits) -> Outcome {
    let asked = |name: &Name| {
        let services = &limits.services;
        services.is_empty()
            || services
                .iter()
                .any(|s| *s == *name.name || *s == name.to_string())
    };
    let before = baseline.map(|before| (before, changed_for_worse(before, report)));
    let known = |subject: Subject<'_>| {
        before
            .as_ref()
            .is_some_and(|(before, worse)| tolerated(before, worse, subject))
    };
    let mut verdicts = Vec::new();
    for edge in report
        .edges
        .iter()
        .filter(|e| asked(&e.service) && e.loss.n > 0)
    {
        verdicts.push(calls(edge, limits, known(Subject::Calls(edge))));
    }
    for service in report.services.iter().filter(|s| asked(&s.name)) {
        if service.line_loss.n > 0 {
            verdicts.push(lines(service, limits, known(Subject::Lines(service))));
        }
    }
    verdicts.extend(enough(report, limits, &asked));
    verdicts.extend(lost(report));
    verdicts.sort_by(|a, b| {
        b.state
            .cmp(&a.state)
            .then_with(|| a.service.cmp(&b.service))
    });
    Outcome { verdicts }
}

#[derive(Clone, Copy)]
enum Subject<'a> {
    Calls(&'a Edge),
    Lines(&'a Service),
}

/// Whether it was lost before, and did not get worse beyond chance.
fn tolerated(before: &Report, worse: &Worse, subject: Subject<'_>) -> bool {
    match subject {
        Subject::Calls(edge) => {
            let same = |e: &&Edge| e.service == edge.service && e.peer == edge.peer;
            let known = before.edges.iter().find(same);
            known.is_some_and(|e| e.loss.hits > 0) && !worse.calls(&edge.service, &edge.peer)
        }
        Subject::Lines(service) => {
            let known = before.services.iter().find(|s| s.name == service.name);
            known.is_some_and(|s| s.line_loss.hits > 0) && !worse.lines(&service.name)
        }
    }
}

fn calls(edge: &Edge, limits: &Limits, known: bool) -> Verdict {
    let (state, says) = measured(edge.loss, limits.drops, known);
    Verdict {
        service: edge.service.to_string(),
        what: What::Calls(edge.peer.clone()),
        state,
        says: format!("context lost on {says}"),
        why: edge.why.iter().filter(|w| w.loss).map(cause).collect(),
    }
}

fn cause(why: &Why) -> Cause {
    Cause {
        why: words::cause(why.count, &why.explanation, &why.routes),
        fix: why.fix.clone(),
    }
}

fn lines(service: &Service, limits: &Limits, known: bool) -> Verdict {
    let (state, says) = measured(service.line_loss, limits.unlinked, known);
    Verdict {
        service: service.name.to_string(),
        what: What::Lines,
        state,
        says: format!("request's id lost on {says}"),
        why: service
            .line_why
            .iter()
            .map(|why| Cause {
                why: words::cause(why.count, &why.explanation, &[]),
                fix: why.fix.clone(),
            })
            .collect(),
    }
}

/// Over the limit is broken only if the interval lies above it: otherwise it may be chance.
fn measured(rate: Rate, limit: f64, known: bool) -> (State, String) {
    let words = words::rate(rate);
    let limit_words = words::percent(limit);
    if rate.rate <= limit {
        (State::Clean, words)
    } else if known {
        let says =
            format!("{words}: more than {limit_words} %, but not worse than in the baseline");
        (State::Clean, says)
    } else if rate.low > limit {
        (State::Broken, format!("{words}, more than {limit_words} %"))
    } else {
        let says = format!(
            "{words}: more than {limit_words} %, but that may be chance; more requests would tell"
        );
        (State::Inconclusive, says)
    }
}

/// Whether there were enough requests, and anything that could be judged.
fn enough(report: &Report, limits: &Limits, asked: &impl Fn(&Name) -> bool) -> Vec<Verdict> {
    let of = |name: &str| {
        let services = report.services.iter();
        services
            .filter(|s| match name {
                "" => asked(&s.name),
                name => s.name.name == name || s.name.to_string() == name,
            })
            .collect::<Vec<_>>()
    };
    let scopes: Vec<&str> = match limits.services.as_slice() {
        [] => vec![""],
        named => named.iter().map(String::as_str).collect(),
    };
    let scopes = scopes.into_iter();
    scopes
        .filter_map(|name| {
            let says = too_little(&of(name), limits.requests)?;
            Some(Verdict {
                service: if name.is_empty() {
                    "all services"
                } else {
                    name
                }
                .to_owned(),
                what: What::Enough,
                state: State::Inconclusive,
                says,
                why: Vec::new(),
            })
        })
        .collect()
}

/// Why what these services did says nothing.
fn too_little(services: &[&Service], least: u64) -> Option<String> {
    let sum = |of: fn(&Service) -> u64| services.iter().map(|s| of(s)).fold(0, u64::saturating_add);
    let (requests, with) = (sum(|s| s.requests), sum(|s| s.requests_with_context));
    if requests == 0 && sum(|s| s.calls) == 0 && sum(|s| s.lines) == 0 {
        return Some("nothing was seen of it: was it among what is watched (what does not run below the command is selected with --all, --comm, --port), and was it asked over plain HTTP/1?".to_owned());
    }
    if requests == 0 {
        return Some("no request was seen to be served: services that do not run below the command are selected with --all, --comm, --port".to_owned());
    }
    if with < least.max(1) {
        return Some(format!(
            "{} of {} came with a context, but at least {} must: let the tests send a traceparent header",
            words::number(with),
            words::count(requests, "request"),
            words::number(least.max(1))
        ));
    }
    if sum(|s| s.call_loss.n) == 0 && sum(|s| s.line_loss.n) == 0 && sum(|s| s.calls + s.lines) > 0
    {
        let mut reasons: Vec<_> = services.iter().flat_map(|s| &s.inconclusive).collect();
        reasons.sort_by_key(|r| std::cmp::Reverse(r.count));
        let reason = reasons
            .first()
            .map_or(String::new(), |r| format!(", mostly because: {}", r.reason));
        return Some(format!("no call or log event could be judged{reason}"));
    }
    None
}

/// Lost records may have shown more; what was judged stands.
fn lost(report: &Report) -> Option<Verdict> {
    let all = report
        .losses
        .iter()
        .chain(report.services.iter().flat_map(|s| &s.losses));
    let records = all.filter(|l| l.what == LossKind::Records).map(|l| l.count);
    let records = records.fold(0, u64::saturating_add);
    (records > 0).then(|| Verdict {
        service: "all services".to_owned(),
        what: What::Enough,
        state: State::Inconclusive,
        says: format!(
            "{}: what they held is not known",
            words::lost(LossKind::Records, records)
        ),
        why: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use observer_core::summary::rate;

    use super::*;
    use crate::report::samples;

    fn limits() -> Limits {
        Limits {
            drops: 0.01,
            unlinked: 0.02,
            services: Vec::new(),
            requests: 1,
            baseline: None,
        }
    }

    /// A report without lost records.
    fn report(lost: u64) -> Report {
        let mut report = samples::of(lost);
        report.losses.clear();
        report.services.iter_mut().for_each(|s| s.losses.clear());
        report
    }

    #[test]
    fn broken_is_what_exceeds_the_limit_beyond_chance() {
        assert_eq!(measured(rate(0, 5), 0.01, false).0, State::Clean);
        assert_eq!(measured(rate(20, 80), 0.01, false).0, State::Broken);
        assert_eq!(measured(rate(1, 20), 0.01, false).0, State::Inconclusive);
        assert_eq!(measured(rate(1, 20), 0.0, false).0, State::Broken);
        assert_eq!(measured(rate(20, 80), 0.01, true).0, State::Clean);
    }

    #[test]
    fn the_broken_edge_is_named_with_cause_and_fix() {
        let outcome = judge(&report(200), None, &limits());
        assert_eq!(outcome.state(), State::Broken);
        let cart = outcome.verdicts.iter().find(|v| {
            v.service == "shop/cart" && matches!(&v.what, What::Calls(p) if p.name == "payments")
        });
        let cart = cart.unwrap();
        assert_eq!(cart.state, State::Broken);
        assert!(!cart.why[0].fix.is_empty());
        let strict = Limits {
            unlinked: 0.0,
            ..limits()
        };
        let outcome = judge(&report(0), None, &strict);
        let log = outcome.verdicts.iter().find(|v| v.what == What::Lines);
        let log = log.unwrap();
        assert_eq!(
            (log.state, log.service.as_str()),
            (State::Broken, "shop/cart")
        );
        assert!(log.why[0].why.starts_with("9 × no id"), "{log:?}");
        assert!(
            log.why[0].fix.contains("OTEL_PYTHON_LOG_CORRELATION"),
            "{log:?}"
        );
    }

    #[test]
    fn only_what_is_asked_for_is_checked() {
        let asked = Limits {
            services: vec!["gateway".to_owned()],
            ..limits()
        };
        assert_eq!(judge(&report(200), None, &asked).state(), State::Clean);
        let unseen = Limits {
            services: vec!["nobody".to_owned()],
            ..limits()
        };
        assert_eq!(
            judge(&report(0), None, &unseen).state(),
            State::Inconclusive
        );
        let many = Limits {
            services: vec!["gateway".to_owned()],
            requests: 5_000,
            ..limits()
        };
        assert_eq!(judge(&report(0), None, &many).state(), State::Inconclusive);
    }

    #[test]
    fn lost_records_leave_a_clean_run_undecided_and_a_broken_one_broken() {
        let asked = Limits {
            services: vec!["gateway".to_owned()],
            ..limits()
        };
        assert_eq!(
            judge(&samples::of(0), None, &asked).state(),
            State::Inconclusive
        );
        assert_eq!(
            judge(&samples::of(200), None, &limits()).state(),
            State::Broken
        );
    }

    #[test]
    fn what_the_baseline_lost_is_let_through_unless_it_got_worse() {
        let asked = Limits {
            services: vec!["cart".to_owned()],
            unlinked: 1.0,
            drops: 0.05,
            ..limits()
        };
        let was = report(200);
        assert_eq!(
            judge(&report(200), Some(&was), &asked).state(),
            State::Clean
        );
        assert_eq!(
            judge(&report(400), Some(&was), &asked).state(),
            State::Broken
        );
        assert_eq!(
            judge(&report(200), Some(&report(0)), &asked).state(),
            State::Broken
        );
    }
}
