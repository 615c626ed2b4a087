//! What really happened, from the plan, the downstream and the service's own output.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use anyhow::{Result, ensure};

use crate::plan::{Mode, Planned};
use crate::server::Received;
use crate::workload::query;

/// A call or a line: the request that it was made for and the verdict that it should get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Target of the request.
    pub request: String,
    /// Right verdict.
    pub verdict: &'static str,
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Targets of requests that the service got. `Some`: the target of the call that it came from,
    /// made by a service that is watched as well.
    pub requests: HashMap<String, Option<String>>,
    /// Calls, by their target.
    pub calls: HashMap<String, Done>,
    /// Lines, by their text.
    pub lines: HashMap<String, Done>,
}

/// Lines that a service of the test bed writes for each request.
pub const LINES: usize = 4;

impl Truth {
    /// The calls and lines of which `keep` says so; all of the rest.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Done) -> bool) -> Self {
        let kept = |all: &HashMap<String, Done>| {
            let all = all.iter().filter(|(_, done)| keep(done));
            all.map(|(name, done)| (name.clone(), done.clone()))
                .collect()
        };
        Self {
            requests: self.requests.clone(),
            calls: kept(&self.calls),
            lines: kept(&self.lines),
        }
    }

    /// Of a service that got the requests of `plan`, sent `received` and printed `lines`.
    #[must_use]
    pub fn new(plan: &[Planned], received: &[Received], lines: &[String]) -> Self {
        let by_id: HashMap<&str, &Planned> = plan.iter().map(|p| (p.id.as_str(), p)).collect();
        let calls = received
            .iter()
            .filter_map(|call| {
                let planned = by_id.get(call.id()?)?;
                let verdict = match planned.mode {
                    Mode::Leak => leak_verdict(planned, plan, call),
                    _ => planned.call_verdict(),
                };
                Some((
                    call.target.clone(),
                    Done {
                        request: planned.target(),
                        verdict,
                    },
                ))
            })
            .collect();
        let lines = lines
            .iter()
            .filter_map(|line| {
                let planned = by_id.get(line_id(line)?)?;
                let verdict = planned.line_verdict();
                Some((
                    line.clone(),
                    Done {
                        request: planned.target(),
                        verdict,
                    },
                ))
            })
            .collect();
        let requests = plan.iter().map(|p| (p.target(), None)).collect();
        Self {
            requests,
            calls,
            lines,
        }
    }
}

/// Truth id in a line of the workload, text or JSON.
#[must_use]
pub fn line_id(line: &str) -> Option<&str> {
    let rest = line
        .split_once(" id=")
        .or_else(|| line.split_once(r#""id": ""#));
    let (_, rest) = rest.or_else(|| line.split_once(r#""id":""#))?;
    rest.split([' ', '"']).next()
}

/// Whether a line of output belongs to no request.
#[must_use]
pub fn is_background_line(line: &str) -> bool {
    line.contains(r#""bg":"#)
}

/// Checks that a service did what it was asked, and logged so many lines for each request: the bed itself must be right before it judges.
///
/// # Errors
/// What it did otherwise.
pub fn check_service(
    plan: &[Planned],
    received: &[Received],
    lines: &[String],
    lines_each: &RangeInclusive<usize>,
) -> Result<()> {
    let mut calls: HashMap<&str, Vec<&Received>> = HashMap::new();
    for call in received {
        calls
            .entry(call.id().unwrap_or("background"))
            .or_default()
            .push(call);
    }
    let mut printed: HashMap<&str, Vec<&String>> = HashMap::new();
    for line in lines {
        printed
            .entry(line_id(line).unwrap_or("background"))
            .or_default()
            .push(line);
    }
    for planned in plan {
        let mut made = calls.remove(planned.id.as_str()).unwrap_or_default();
        if planned.parallel {
            made.sort_by_key(|call| number(call));
        }
        ensure!(
            made.len() == planned.calls as usize,
            "{planned:?} made {made:?}"
        );
        for (call, n) in made.iter().zip(1..) {
            ensure!(number(call) == n, "{planned:?} made {made:?}");
            ensure!(carries(planned, call), "{planned:?} made {call:?}");
        }
        let lines = printed.remove(planned.id.as_str()).unwrap_or_default();
        ensure!(
            lines_each.contains(&lines.len()),
            "{planned:?} printed {lines:?}"
        );
        for line in lines {
            ensure!(says(planned, line), "{planned:?} printed {line:?}");
        }
    }
    ensure!(
        calls.keys().all(|id| *id == "background"),
        "unplanned calls: {:?}",
        calls.keys()
    );
    Ok(())
}

/// Number of a call; one that a proxy has handed on has none and is the only one.
fn number(call: &Received) -> u32 {
    let query = query(&call.target);
    query.get("n").and_then(|n| n.parse().ok()).unwrap_or(1)
}

fn trace(header: &str) -> &str {
    header.split('-').nth(1).unwrap_or_default()
}

/// The first request has none before it, or one that nobody knows who began to watch after it.
fn leak_verdict(planned: &Planned, plan: &[Planned], call: &Received) -> &'static str {
    let carried = call.traceparent.first().map(|value| trace(value));
    let came_in_with = |p: &Planned| p.inbound.header().map(trace) == carried;
    if came_in_with(planned) {
        "propagated"
    } else if plan.iter().any(came_in_with) {
        planned.call_verdict()
    } else {
        "restarted"
    }
}

fn carries(planned: &Planned, call: &Received) -> bool {
    let inbound = planned.inbound.header();
    let valid = planned.call_verdict() != "originated";
    let same = |header: &str| !valid || inbound.is_some_and(|i| trace(i) == trace(header));
    match (planned.mode, call.traceparent.as_slice()) {
        (Mode::Drop, []) => call.b3_trace.is_none(),
        (Mode::B3, []) => call
            .b3_trace
            .as_deref()
            .is_some_and(|t| !valid || inbound.is_some_and(|i| trace(i) == t)),
        (Mode::Propagate, [one]) => same(one) && Some(one.as_str()) != inbound,
        (Mode::Restart, [one]) => inbound.is_none_or(|i| trace(i) != trace(one)),
        (Mode::Forward, [one]) => Some(one.as_str()) == inbound,
        (Mode::Leak, [_]) => true,
        (Mode::Malformed, [one]) => Some(one.as_str()) != inbound,
        _ => false,
    }
}

fn says(planned: &Planned, line: &str) -> bool {
    let id = planned.inbound.header().map(trace).unwrap_or_default();
    match planned.line_verdict() {
        "linked" => line.contains(id),
        "zero" => line.contains(&"0".repeat(32)),
        "reencoded" => {
            u64::from_str_radix(&id[16..], 16).is_ok_and(|low| line.contains(&low.to_string()))
        }
        _ => !line.contains("trace_id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Mix;
    use crate::workload::Work;

    /// What the workload's own definition would send and print for `plan`.
    fn done(plan: &[Planned]) -> (Vec<Received>, Vec<String>) {
        let mut received = Vec::new();
        let mut lines = Vec::new();
        for planned in plan {
            let work = Work::new(&planned.target(), planned.inbound.header());
            for n in 1..=planned.calls {
                let headers = work.headers();
                let values = |wanted: &str| -> Vec<String> {
                    let same = headers.iter().filter(|(name, _)| *name == wanted);
                    same.map(|(_, value)| value.clone()).collect()
                };
                let single = values("b3").pop().map(|v| v[..32].to_owned());
                received.push(Received {
                    target: work.url("", n),
                    traceparent: values("traceparent"),
                    b3_trace: single.or(values("X-B3-TraceId").pop()),
                });
            }
            lines.extend((0..4).map(|k| work.line(k)));
        }
        (received, lines)
    }

    #[test]
    fn a_leaked_context_is_crossed_when_it_is_another_requests_of_the_plan() {
        let plan = Mix::only(Mode::Leak).plan("q", 2, 3);
        let verdict = |by: &Planned, header: Option<&str>| {
            let call = Received {
                target: format!("/down?id={}&n=1", by.id),
                traceparent: header.map(str::to_owned).into_iter().collect(),
                b3_trace: None,
            };
            Truth::new(&plan, std::slice::from_ref(&call), &[]).calls[&call.target].verdict
        };
        let first = plan[0].inbound.header();
        assert_eq!(verdict(&plan[0], first), "propagated");
        assert_eq!(verdict(&plan[1], first), "crossed");
        let unknown = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(verdict(&plan[1], Some(unknown)), "restarted");
    }

    #[test]
    fn a_right_service_passes_and_every_fault_is_noticed() {
        let plan = Mix::everything().plan("q", 300, 3);
        let (received, lines) = done(&plan);
        check_service(&plan, &received, &lines, &(LINES..=LINES)).unwrap();
        assert_eq!(
            Truth::new(&plan, &received, &lines).lines.len(),
            lines.len()
        );

        assert!(
            check_service(&plan, &received[1..], &lines, &(LINES..=LINES)).is_err(),
            "a lost call"
        );
        assert!(
            check_service(&plan, &received, &lines[1..], &(LINES..=LINES)).is_err(),
            "a lost line"
        );
        for i in 0..received.len() {
            let mut spoiled = received.clone();
            spoiled[i].traceparent = vec!["00-1-2-3".to_owned(); 2];
            assert!(
                check_service(&plan, &spoiled, &lines, &(LINES..=LINES)).is_err(),
                "a wrong header"
            );
        }
    }
}
