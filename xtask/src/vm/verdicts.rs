//! What the observer told of a workload, beside what the workload did.

use anyhow::{Context, Result, ensure};
use observer_guest::Truth;
use serde_json::Value;

use super::machine::Run;

/// What must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Everything; nothing may be lost.
    All,
    /// The same, but for what a few records that were lost may have told. A task that is preempted inside a map operation of
    /// `bpf(2)` keeps the kernel from running any program of perf's on its CPU until it goes on (docs/journal/kernels.md): on
    /// a host without time for the machine that may take as long as ten records.
    AllButLost,
    /// Anything, or nothing, if it is right.
    Right,
}

/// Of [`Demand::AllButLost`]: one record in so many may be lost. Of raw tracepoints that are preempted it is one in four.
const LOST_IN: u64 = 20;

/// How `doctor` tells that calls are seen through perf.
const PERF: &str = "calls are seen through perf";

/// Fails unless everything that the workload did in the step `watched` was judged, and rightly; `truth` shows what it did.
pub fn told(run: &Run, watched: &str, truth: &str) -> Result<()> {
    let ran = run.step(watched)?;
    ensure!(
        ran.status == Some(0),
        "ends with {:?}: {}",
        ran.status,
        ran.err.trim()
    );
    let demand = match run.step("doctor")?.out.contains(PERF) {
        true => Demand::AllButLost,
        false => Demand::All,
    };
    compare(&ran.out, &run.step(truth)?.out, demand)
}

/// As [`told`], but the observer may say nothing, or that it does not know.
pub fn not_wrong(run: &Run, watched: &str, truth: &str) -> Result<()> {
    compare(
        &run.step(watched)?.out,
        &run.step(truth)?.out,
        Demand::Right,
    )
}

/// Compares the observer's output with the truth, each a line of JSON for each item.
fn compare(output: &str, truth: &str, demand: Demand) -> Result<()> {
    let output: Vec<Value> = lines(output).context("reading the observer's output")?;
    let truth: Vec<Truth> = lines(truth).context("reading the truth")?;
    ensure!(!truth.is_empty(), "the workload did nothing");
    // It may be inconclusive, or say nothing; what it says must be right.
    let silence = demand == Demand::Right || !nothing_is_lost(&output, demand)?;
    let mut wrong = Vec::new();
    for truth in &truth {
        let (what, verdict, told): (_, _, Vec<&Value>) = match truth {
            Truth::Call { target, verdict } => {
                let of = |item: &&Value| item["role"] == "client" && item["target"] == **target;
                (target, verdict, output.iter().filter(of).collect())
            }
            Truth::Line { message, verdict } => {
                let text = format!("\"{message}\"");
                let of = |item: &&Value| {
                    let line = item["line"].as_str().unwrap_or_default();
                    item["kind"] == "log" && line.contains(&text)
                };
                (message, verdict, output.iter().filter(of).collect())
            }
        };
        match told.as_slice() {
            [item] if item["verdict"] == **verdict => {}
            [item] if silence && item["verdict"] == "inconclusive" => {}
            [] if silence => {}
            [item] => wrong.push(format!("{what} is {verdict}, told as {}", item["verdict"])),
            told => wrong.push(format!("{what} was told {} times", told.len())),
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} are wrong: {}",
        wrong.len(),
        truth.len(),
        wrong.join("; ")
    );
    Ok(())
}

/// Whether no record was lost.
///
/// # Errors
///
/// If more was than may be.
fn nothing_is_lost(output: &[Value], demand: Demand) -> Result<bool> {
    let losses: Vec<_> = (output.iter())
        .filter(|item| item["kind"] == "loss")
        .collect();
    if losses.is_empty() {
        return Ok(true);
    }
    let of_records = losses.iter().filter(|loss| loss["what"] == "records");
    let counts: Vec<u64> = of_records.filter_map(|l| l["count"].as_u64()).collect();
    let lost: u64 = counts.iter().sum();
    let summary = output.iter().find(|item| item["kind"] == "summary");
    let records = summary.and_then(|summary| summary["records"].as_u64());
    let records = records.unwrap_or_default();
    ensure!(
        demand == Demand::AllButLost && counts.len() == losses.len() && lost * LOST_IN <= records,
        "of {records} records were lost: {losses:?}"
    );
    println!("    {lost} of {records} records were lost: not every verdict could be told");
    Ok(false)
}

fn lines<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE: &str = r#"{"did":"call","target":"/leaf/dropping/1","verdict":"dropped"}
{"did":"line","message":"worked on /dropping/1","verdict":"linked"}"#;
    const CALL: &str =
        r#"{"kind":"exchange","role":"client","target":"/leaf/dropping/1","verdict":"dropped"}"#;
    const LINE: &str = r#"{"kind":"log","line":"{\"message\":\"worked on /dropping/1\",\"trace_id\":\"1\"}","verdict":"linked"}"#;

    const SUMMARY: &str = r#"{"kind":"summary","records":1000}"#;

    fn loss(what: &str, count: u32) -> String {
        format!(r#"{{"kind":"loss","what":"{what}","count":{count}}}"#)
    }

    #[test]
    fn what_was_judged_rightly_passes() {
        for demand in [Demand::All, Demand::AllButLost, Demand::Right] {
            compare(&format!("{CALL}\n{LINE}\n"), TRUE, demand).expect("is right");
        }
    }

    #[test]
    fn a_few_lost_records_excuse_silence_but_no_wrong_verdict() {
        let lost = format!("{}\n{SUMMARY}", loss("records", 10));
        let unknown = CALL.replace("dropped", "inconclusive");
        let wrong = CALL.replace("dropped", "propagated");
        compare(&format!("{unknown}\n{lost}"), TRUE, Demand::AllButLost).expect("is excused");
        for (output, demand) in [
            (format!("{CALL}\n{LINE}\n{lost}"), Demand::All),
            (format!("{wrong}\n{LINE}\n{lost}"), Demand::AllButLost),
            (format!("{unknown}\n{LINE}\n{SUMMARY}"), Demand::AllButLost),
            (
                format!("{}\n{SUMMARY}", loss("records", 51)),
                Demand::AllButLost,
            ),
            (
                format!("{}\n{SUMMARY}", loss("evicted", 1)),
                Demand::AllButLost,
            ),
            (loss("records", 1), Demand::AllButLost),
        ] {
            assert!(compare(&output, TRUE, demand).is_err(), "{output}");
        }
    }

    #[test]
    fn wrong_missing_and_repeated_verdicts_fail() {
        let wrong = CALL.replace("dropped", "propagated");
        for output in [
            format!("{wrong}\n{LINE}"),
            CALL.to_owned(),
            format!("{CALL}\n{CALL}\n{LINE}"),
            format!("{CALL}\n{LINE}\n{{\"kind\":\"loss\"}}"),
            format!("{CALL}\n{LINE}\nnonsense"),
        ] {
            assert!(compare(&output, TRUE, Demand::All).is_err(), "{output}");
        }
        assert!(compare("", "", Demand::All).is_err(), "nothing was done");
    }

    #[test]
    fn silence_is_no_wrong_verdict_but_an_accusation_is() {
        let unknown = CALL.replace("dropped", "inconclusive");
        compare(
            &format!("{unknown}\n{{\"kind\":\"loss\"}}"),
            TRUE,
            Demand::Right,
        )
        .expect("says nothing");
        let wrong = CALL.replace("dropped", "propagated");
        assert!(compare(&wrong, TRUE, Demand::Right).is_err());
    }
}
