//! The scorer must be able to fail: each test feeds it one error.

use super::*;
use crate::plan::{Inbound, LogMode, Mode, Planned};
use crate::server::Received;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn planned(id: &str, mode: Mode) -> Planned {
    Planned {
        id: id.to_owned(),
        mode,
        log: LogMode::Linked,
        inbound: Inbound::Valid(format!("00-{TRACE}-00f067aa0ba902b7-01")),
        calls: 1,
        variant: 0,
        parallel: false,
    }
}

fn truth() -> Truth {
    let plan = [planned("a", Mode::Propagate), planned("b", Mode::Drop)];
    let received = ["a", "b"].map(|id| Received {
        target: format!("/down?id={id}&n=1"),
        traceparent: Vec::new(),
        b3_trace: None,
    });
    let lines = ["a", "b"].map(|id| format!("INFO step id={id} k=1 trace_id={TRACE}"));
    Truth::new(&plan, &received, &lines)
}

/// A faultless output, for tests to spoil.
fn good() -> Vec<String> {
    let exchange = |id: &str, role: &str, target: &str, request: &str, verdict: &str| {
        format!(
            r#"{{"kind":"exchange","id":"{id}","role":"{role}","target":"{target}","request":{request},"parent":null,"attribution":{{"tier":"execution","reason":null}},"verdict":{verdict}}}"#
        )
    };
    let log = |line: &str, request: &str, verdict: &str| {
        format!(
            r#"{{"kind":"log","line":"{line}","request":{request},"attribution":{{"tier":null,"reason":"no request was in flight"}},"verdict":"{verdict}"}}"#
        )
    };
    let target = |id: &str, mode: Mode| planned(id, mode).target();
    vec![
        exchange(
            "x3",
            "client",
            "/down?id=a&n=1",
            r#""x1""#,
            r#""propagated""#,
        ),
        exchange(
            "x1",
            "server",
            &target("a", Mode::Propagate),
            "null",
            "null",
        ),
        exchange("x2", "server", &target("b", Mode::Drop), "null", "null"),
        exchange("x4", "client", "/down?id=b&n=1", r#""x2""#, r#""dropped""#),
        exchange("x5", "client", "/bg?n=1", "null", r#""absent""#),
        log(
            &format!("INFO step id=a k=1 trace_id={TRACE}"),
            r#""x1""#,
            "linked",
        ),
        log(
            &format!("INFO step id=b k=1 trace_id={TRACE}"),
            r#""x2""#,
            "linked",
        ),
        log(r#"{\"bg\":1}"#, "null", "unscoped"),
        r#"{"kind":"summary"}"#.to_owned(),
    ]
}

fn judge(lines: &[String]) -> Result<(), String> {
    score(&truth(), &told::read(lines).unwrap()).meets(Demand::THREAD_PER_REQUEST)
}

/// Replaces `from` by `to` in every line of a good output that contains `line`.
fn spoiled(line: &str, from: &str, to: &str) -> String {
    let lines: Vec<String> = good()
        .iter()
        .map(|l| {
            if l.contains(line) {
                l.replace(from, to)
            } else {
                l.clone()
            }
        })
        .collect();
    assert_ne!(lines, good(), "nothing was spoiled");
    judge(&lines).expect_err("the scorer must notice")
}

#[test]
fn a_faultless_output_passes() {
    judge(&good()).unwrap();
}

#[test]
fn a_wrong_attribution_fails() {
    let error = spoiled("/down?id=a", r#""x1""#, r#""x2""#);
    assert!(error.contains("calls given to wrong requests"), "{error}");
    let error = spoiled("id=a k=1", r#""x1""#, r#""x2""#);
    assert!(error.contains("lines given to wrong requests"), "{error}");
}

#[test]
fn an_attribution_to_an_unknown_request_fails() {
    let error = spoiled("/down?id=a", r#""x1""#, r#""x99""#);
    assert!(error.contains("calls given to wrong requests"), "{error}");
}

#[test]
fn a_false_accusation_fails() {
    let error = spoiled("/down?id=a", "propagated", "dropped");
    assert!(error.contains("calls falsely accused"), "{error}");
    let error = spoiled("id=a k=1", r#""linked""#, r#""missing""#);
    assert!(error.contains("lines falsely accused"), "{error}");
}

#[test]
fn a_wrong_verdict_that_accuses_nobody_fails() {
    let error = spoiled("/down?id=b", "dropped", "absent");
    assert!(error.contains("wrong verdicts on calls"), "{error}");
}

#[test]
fn an_inconclusive_verdict_on_an_attributed_call_fails() {
    let error = spoiled("/down?id=a", "propagated", "inconclusive");
    assert!(error.contains("without their right verdict"), "{error}");
}

#[test]
fn a_lost_call_or_line_fails() {
    for (lost, what) in [
        ("/down?id=a", "calls"),
        ("id=a k=1", "lines"),
        ("/work?id=a", "requests"),
    ] {
        let lines: Vec<String> = good().into_iter().filter(|l| !l.contains(lost)).collect();
        let error = judge(&lines).unwrap_err();
        assert!(error.contains(&format!("too few {what} seen")), "{error}");
    }
}

#[test]
fn a_call_told_twice_fails() {
    let mut lines = good();
    lines.insert(0, lines[0].clone());
    assert!(judge(&lines).unwrap_err().contains("calls told twice"));
}

#[test]
fn background_work_given_to_a_request_or_accused_fails() {
    let error = spoiled("/bg", r#""request":null"#, r#""request":"x1""#);
    assert!(error.contains("background calls given"), "{error}");
    let error = spoiled("/bg", "absent", "dropped");
    assert!(error.contains("background calls accused"), "{error}");
    let error = spoiled(r#"\"bg\""#, "unscoped", "missing");
    assert!(error.contains("background lines accused"), "{error}");
}

#[test]
fn an_accused_export_fails() {
    let error = spoiled(
        "/bg",
        r#"/bg?n=1","request":null,"parent":null,"attribution":{"tier":"execution","reason":null},"verdict":"absent""#,
        r#"/v1/traces","request":null,"parent":null,"attribution":null,"verdict":"dropped""#,
    );
    assert!(error.contains("telemetry export accused"), "{error}");
}

#[test]
fn an_abstention_without_a_reason_fails() {
    let lines: Vec<String> = good()
        .iter()
        .map(|l| {
            l.replace(
                r#""request":"x1","parent":null,"attribution":{"tier":"execution","reason":null}"#,
                r#""request":null,"parent":null,"attribution":{"tier":null,"reason":null}"#,
            )
            .replace("propagated", "inconclusive")
        })
        .collect();
    let judged = score(&truth(), &told::read(&lines).unwrap()).meets(Demand::SHARED_THREADS);
    assert!(judged.unwrap_err().contains("without a reason"));
}

#[test]
fn a_wrong_or_missing_parent_is_told_apart() {
    let mut truth = truth();
    let target = planned("b", Mode::Drop).target();
    truth
        .requests
        .insert(target, Some("/down?id=a&n=1".to_owned()));
    let judged = |parent: &str| {
        let lines: Vec<String> = good()
            .iter()
            .map(|l| {
                if l.contains(r#""x2","role":"server""#) {
                    l.replace(r#""parent":null"#, parent)
                } else {
                    l.clone()
                }
            })
            .collect();
        score(&truth, &told::read(&lines).unwrap()).requests
    };
    assert_eq!(judged(r#""parent":"x3""#).right, 1);
    assert_eq!(judged(r#""parent":"x4""#).wrong, 1);
    assert_eq!(judged(r#""parent":null"#).silent, 1);
}

#[test]
fn an_output_without_its_summary_fails() {
    let lines = &good()[..8];
    assert!(judge(lines).unwrap_err().contains("summary"));
}
