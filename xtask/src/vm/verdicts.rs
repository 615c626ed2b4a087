//! What the observer told of a workload, beside what the workload did.

use anyhow::{Context, Result, ensure};
use observer_guest::Truth;
use serde_json::Value;

use super::machine::Run;

/// Fails unless everything that the workload did in the step `watched` was judged, and rightly; `truth` shows what it did.
pub fn told(run: &Run, watched: &str, truth: &str) -> Result<()> {
    let ran = run.step(watched)?;
    ensure!(
        ran.status == Some(0),
        "ends with {:?}: {}",
        ran.status,
        ran.err.trim()
    );
    compare(&ran.out, &run.step(truth)?.out, false)
}

/// As [`told`], but the observer may say nothing, or that it does not know.
pub fn not_wrong(run: &Run, watched: &str, truth: &str) -> Result<()> {
    compare(&run.step(watched)?.out, &run.step(truth)?.out, true)
}

/// Compares the observer's output with the truth, each a line of JSON for each item. With `silence` it may be
/// inconclusive, or say nothing; what it says must be right.
fn compare(output: &str, truth: &str, silence: bool) -> Result<()> {
    let output: Vec<Value> = lines(output).context("reading the observer's output")?;
    let truth: Vec<Truth> = lines(truth).context("reading the truth")?;
    ensure!(!truth.is_empty(), "the workload did nothing");
    let losses = output.iter().filter(|item| item["kind"] == "loss");
    let losses: Vec<String> = losses.map(Value::to_string).collect();
    ensure!(
        silence || losses.is_empty(),
        "records were lost: {}",
        losses.join(" ")
    );
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

    #[test]
    fn what_was_judged_rightly_passes() {
        for silence in [false, true] {
            compare(&format!("{CALL}\n{LINE}\n"), TRUE, silence).expect("is right");
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
            assert!(compare(&output, TRUE, false).is_err(), "{output}");
        }
        assert!(compare("", "", false).is_err(), "nothing was done");
    }

    #[test]
    fn silence_is_no_wrong_verdict_but_an_accusation_is() {
        let unknown = CALL.replace("dropped", "inconclusive");
        compare(&format!("{unknown}\n{{\"kind\":\"loss\"}}"), TRUE, true).expect("says nothing");
        let wrong = CALL.replace("dropped", "propagated");
        assert!(compare(&wrong, TRUE, true).is_err());
    }
}
