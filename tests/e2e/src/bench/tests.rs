//! The bench must be able to fail: a wrong link counts as wrong, a missing one as missing, a false
//! accusation as such.

use super::*;
use crate::plan::{Inbound, LogMode, Planned};
use crate::score::truth::Truth;
use crate::score::{Guesses, told};
use crate::server::Received;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const APP: App = App::FLASK;

fn plan() -> [Planned; 2] {
    [("a", Mode::Propagate, false), ("b", Mode::Drop, true)].map(|(id, mode, parallel)| Planned {
        id: id.to_owned(),
        mode,
        log: LogMode::Linked,
        inbound: Inbound::Valid(format!("00-{TRACE}-00f067aa0ba902b7-01")),
        calls: 1,
        variant: 0,
        parallel,
    })
}

fn truth() -> Truth {
    let received = ["a", "b"].map(|id| Received {
        target: format!("/down?id={id}&n=1"),
        traceparent: Vec::new(),
        b3_trace: None,
    });
    let lines = ["a", "b"].map(|id| format!("INFO step id={id} k=1 trace_id={TRACE}"));
    Truth::new(&plan(), &received, &lines)
}

/// What an observer tells that gives everything to the request that `owner` says.
fn told_by(owner: impl Fn(&str) -> Option<&'static str>, verdict: &str) -> Vec<String> {
    let link = |id: &str| match owner(id) {
        Some(request) => format!(
            r#""request":"{request}","attribution":{{"tier":"execution","confidence":0.99,"reason":null}}"#
        ),
        None => {
            r#""request":null,"attribution":{"tier":null,"confidence":null,"reason":"no idea"}"#
                .to_owned()
        }
    };
    let mut lines: Vec<String> = plan()
        .iter()
        .map(|planned| {
            format!(
                r#"{{"kind":"exchange","id":"x-{}","role":"server","target":"{}","request":null,"attribution":null,"verdict":null}}"#,
                planned.id,
                planned.target()
            )
        })
        .collect();
    for (id, right) in [("a", "propagated"), ("b", verdict)] {
        lines.push(format!(
            r#"{{"kind":"exchange","id":"c-{id}","role":"client","target":"/down?id={id}&n=1",{},"verdict":"{right}"}}"#,
            link(id)
        ));
        lines.push(format!(
            r#"{{"kind":"log","line":"INFO step id={id} k=1 trace_id={TRACE}",{},"verdict":"linked"}}"#,
            link(id)
        ));
    }
    lines.push(format!(
        r#"{{"kind":"exchange","id":"c-bg","role":"client","target":"/bg?n=1",{},"verdict":"absent"}}"#,
        link("bg")
    ));
    lines
}

fn row(lines: &[String]) -> Row {
    let told = told::read(lines).expect("lines of the contract");
    Row::new(APP, 2, Load::Mixed, &truth(), &told)
}

fn rightly(id: &str) -> Option<&'static str> {
    match id {
        "a" => Some("x-a"),
        "b" => Some("x-b"),
        _ => None,
    }
}

#[test]
fn a_right_attribution_is_complete_and_free_of_errors() {
    let row = row(&told_by(rightly, "dropped"));
    let all = row.part("all");
    assert_eq!((all.calls.attributed, all.lines.attributed), (2, 2));
    assert_eq!((all.calls.judged_right, all.calls.judged_wrong), (2, 0));
    assert_eq!(row.tiers["execution"].right, 4);
    assert!(!row.errors(), "{row}");
}

#[test]
fn a_wrong_attribution_is_wrong() {
    let swapped = |id: &str| rightly(if id == "a" { "b" } else { "a" });
    let row = row(&told_by(|id| (id != "bg").then(|| swapped(id))?, "dropped"));
    assert_eq!(row.wrong(), 4);
    assert_eq!(
        (row.tiers["execution"].links, row.tiers["execution"].right),
        (4, 0)
    );
    assert!(row.errors());
}

#[test]
fn an_attribution_to_a_request_that_nobody_made_is_wrong() {
    let row = row(&told_by(|id| (id == "a").then_some("x-nobody"), "dropped"));
    assert_eq!(row.wrong(), 2);
}

#[test]
fn a_missing_attribution_is_missing_and_no_error() {
    let row = row(&told_by(
        |id| rightly(id).filter(|_| id == "a"),
        "inconclusive",
    ));
    let all = row.part("all");
    assert_eq!(
        (all.calls.all, all.calls.attributed, all.calls.wrong),
        (2, 1, 0)
    );
    assert!((all.calls.coverage() - 0.5).abs() < 1e-9);
    assert!(!row.errors(), "{row}");
}

#[test]
fn what_was_never_told_is_missing() {
    let mut lines = told_by(rightly, "dropped");
    lines.retain(|line| !line.contains("/down?id=a"));
    let all = row(&lines).part("all");
    assert_eq!(
        (all.calls.all, all.calls.seen, all.calls.attributed),
        (2, 1, 1)
    );
}

#[test]
fn a_false_accusation_is_one() {
    let row = row(&told_by(rightly, "restarted"));
    assert_eq!(row.accused(), 1);
    assert_eq!(row.part("all").calls.judged_wrong, 1);
    assert!(row.errors());
}

#[test]
fn work_for_no_request_that_is_given_to_one_is_an_error() {
    let row = row(&told_by(|id| rightly(id).or(Some("x-a")), "dropped"));
    assert_eq!(row.background_given(), 1);
    assert_eq!(
        (row.tiers["execution"].links, row.tiers["execution"].right),
        (5, 4)
    );
    assert!(row.errors());
}

#[test]
fn sequence_parallel_and_what_carries_no_id_are_told_apart() {
    let row = row(&told_by(
        |id| rightly(id).filter(|_| id == "a"),
        "inconclusive",
    ));
    assert!((row.part("sequence").calls.coverage() - 1.0).abs() < 1e-9);
    assert_eq!(row.part("parallel").calls.attributed, 0);
    let bare = row.part("without-id");
    assert_eq!(
        (bare.calls.all, bare.calls.attributed, bare.lines.all),
        (1, 0, 0)
    );
}

#[test]
fn errors_show_in_the_table() {
    let results = |lines: &[String]| Results {
        rows: vec![row(lines)],
        ..Results::default()
    };
    let good = markdown(&results(&told_by(rightly, "dropped")), "");
    assert!(good.contains("| 0 of 4 | 0 of 4 | 0 | 0 of 1 |"), "{good}");
    let bad = markdown(&results(&told_by(|_| Some("x-a"), "restarted")), "");
    assert!(bad.contains("| 2 of 4 | 1 of 4 | 1 | 1 of 1 |"), "{bad}");
}

#[test]
fn a_leak_is_told_apart_and_does_not_spoil_the_calibration() {
    let told = told::read(&told_by(|_| Some("x-a"), "restarted")).expect("lines of the contract");
    let results = Results {
        rows: vec![Row::new(APP, 2, Load::Only(Mode::Leak), &truth(), &told)],
        ..Results::default()
    };
    let page = markdown(&results, "");
    assert!(
        page.contains("| flask | 2 | 100 % | 1 of 2 | 1 of 2 | 1 of 2 | 100 % | 1 of 2 |"),
        "{page}"
    );
    assert!(!page.contains("| execution |"), "{page}");
}

/// What gives nothing to a request, but infers that everything is of `request`.
fn inferring(request: &str) -> Vec<String> {
    let inferred = format!(
        r#""inferred":{{"tier":"inference","request":"{request}","confidence":0.9,"evidence":[]}},"verdict":"inconclusive""#
    );
    told_by(|_| None, "inconclusive")
        .into_iter()
        .map(|line| match line.contains(r#""role":"server""#) {
            true => line,
            false => {
                let (start, _) = line.rsplit_once(r#""verdict""#).expect("a verdict");
                format!("{start}{inferred}}}")
            }
        })
        .collect()
}

#[test]
fn inferences_count_among_the_links_alone() {
    let row = row(&inferring("x-a"));
    let guesses = Guesses {
        open: 4,
        told: 4,
        right: 2,
        background: 1,
        beside: 0,
    };
    assert_eq!(row.guesses, guesses);
    let bucket = row.tiers["inference"];
    assert_eq!((bucket.links, bucket.right), (5, 2));
    assert!(!row.errors() && row.wrong() == 0 && row.background_given() == 0);
    assert_eq!(row.part("all").calls.attributed, 0);
    let page = markdown(
        &Results {
            rows: vec![row],
            ..Results::default()
        },
        "Never",
    );
    assert!(
        page.contains("| flask | 2 | mixed | 4 | 100 % | 2 of 4 | 1 |"),
        "{page}"
    );
}

#[test]
fn an_inference_beside_evidence_is_an_error() {
    let lines = told_by(rightly, "dropped");
    let spoiled: Vec<String> = lines
        .iter()
        .map(|line| {
            let inferred =
                r#""inferred":{"tier":"inference","request":"x-a","confidence":0.9},"verdict""#;
            line.replace(r#""verdict""#, inferred)
        })
        .collect();
    assert!(!row(&lines).errors());
    assert!(row(&spoiled).errors());
}
