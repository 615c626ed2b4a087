//! Whether the executions of the processes that run here can be told apart, and why not.

use std::collections::BTreeMap;

use observer_core::facts::Runtime;
use observer_core::ids::Tgid;

use super::{Check, State};
use crate::facts::{Proc, process};
use crate::runtimes::plan;

/// Processes that are looked at, at most: looking reads their programs.
const MAX_PROCESSES: usize = 256;

/// Processes that are named for one answer, at most.
const MAX_NAMED: usize = 5;

/// An answer: what can be told apart, or what can't and why.
type Answer = Result<String, String>;

/// A check for each answer, with the processes that it is given for.
pub(super) fn checks(proc: &Proc) -> Vec<Check> {
    let mut answers: BTreeMap<(&'static str, Answer), Vec<u32>> = BTreeMap::new();
    let mut looked_at = 0;
    // This one is never watched.
    let others = |pid: u32| pid != std::process::id();
    for found in proc.processes().filter(|found| others(found.pid)) {
        let Some(runtime) = process(proc, Tgid(found.pid)).runtime else {
            continue;
        };
        let Some(name) = name(runtime) else {
            continue;
        };
        if let Some(planned) = plan(&found, runtime) {
            let answer = match planned {
                Ok(plan) if plan.stepped => Err(format!(
                    "{}s, for as large a share of the time as takes a tenth of the CPU time; always with --node precise",
                    plan.kind
                )),
                Ok(plan) if plan.missing.is_empty() => Ok(format!("{}s", plan.kind)),
                Ok(plan) => Err(format!(
                    "{}s, without {}",
                    plan.kind,
                    plan.missing.join("; ")
                )),
                Err(why) => Err(why.to_string()),
            };
            answers.entry((name, answer)).or_default().push(found.pid);
            looked_at += 1;
        }
        if looked_at == MAX_PROCESSES {
            break;
        }
    }
    answers
        .into_iter()
        .map(|((name, answer), pids)| check(name, answer, &pids))
        .collect()
}

/// What a check of a runtime that has executions finer than threads is called.
fn name(runtime: Runtime) -> Option<&'static str> {
    match runtime {
        Runtime::Go => Some("Go processes"),
        Runtime::Python => Some("Python processes"),
        Runtime::Node => Some("Node processes"),
        Runtime::Java => Some("Java processes"),
        Runtime::Rust => Some("tokio processes"),
        Runtime::Proxy => Some("HAProxy processes"),
        _ => None,
    }
}

/// Names processes, the first of many.
pub(super) fn who(pids: &[u32]) -> String {
    let named: Vec<String> = pids.iter().take(MAX_NAMED).map(u32::to_string).collect();
    let more = match pids.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("process {}{more}", named.join(", "))
}

fn check(name: &'static str, answer: Answer, pids: &[u32]) -> Check {
    let who = who(pids);
    match answer {
        Ok(kinds) => Check::ok(name, format!("{kinds} are told apart ({who})")),
        Err(why) => Check::bad(
            name,
            State::Degraded,
            format!("{why} ({who})"),
            "what these processes do is attributed by threads and ids alone where that is not enough",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_named_with_their_answer() {
        let good = check(
            "Go processes",
            Ok("goroutines".into()),
            &[1, 2, 3, 4, 5, 6, 7],
        );
        assert_eq!(good.state, State::Ok);
        let found = "goroutines are told apart (process 1, 2, 3, 4, 5 and 2 more)";
        assert_eq!(good.found, found);
        let bad = check("Node processes", Err("unknown build".into()), &[9]);
        assert_eq!(bad.state, State::Degraded);
        assert_eq!(bad.found, "unknown build (process 9)");
        assert!(bad.advice.is_some());
    }

    #[test]
    fn where_nothing_runs_nothing_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(checks(&Proc::at(root.path())), []);
    }
}
