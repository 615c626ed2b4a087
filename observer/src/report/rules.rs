//! Rules of the Instrumentation Score that propagation touches, and what can be told of them from outside.
//!
//! The score itself is made from exported spans, which nobody can see from outside; so no score is computed here.
//! Rules as of the specification's `rules/` folder, April 2026.

use observer_core::judged::{Counts, ServiceSummary, Verdict};
use observer_core::summary::rate;

use super::model::Rule;

/// What a service's traffic says about the rules.
pub(super) fn rules(calls: &Counts<Verdict>, service: &ServiceSummary) -> Vec<Rule> {
    if service.served == 0 && service.edges.is_empty() {
        return Vec::new();
    }
    vec![
        Rule {
            rule: "SPA-002".to_owned(),
            asks: "Traces do not contain orphan spans".to_owned(),
            impact: "Normal".to_owned(),
            against: None,
            says: "can't be told from outside: whether the parent span was exported is not in the traffic"
                .to_owned(),
        },
        root_spans(calls),
        Rule {
            rule: "RES-005".to_owned(),
            asks: "Resource attribute service.name must be present".to_owned(),
            impact: "Critical".to_owned(),
            against: None,
            says: "can't be told from outside: resources are in what is exported, and code may set them"
                .to_owned(),
        },
    ]
}

/// A trace that begins at a call, although a request with a context was being served, has a root span of
/// kind CLIENT unless the service made another span for it first.
fn root_spans(calls: &Counts<Verdict>) -> Rule {
    let restarted = calls.of(|v| v == Verdict::Restarted);
    let judged = calls.of(Verdict::is_judged);
    Rule {
        rule: "SPA-004".to_owned(),
        asks: "Root spans are not CLIENT spans".to_owned(),
        impact: "Important".to_owned(),
        against: (judged > 0).then(|| rate(restarted, judged)),
        says: "calls that begin a trace of their own while a request with a context is served: \
               their root span is the call's, of kind CLIENT, unless the service made one for the request"
            .to_owned(),
    }
}
