//! The results as Markdown.

use std::fmt::Write;

use super::{Counts, Results, Row};
use crate::app::App;
use crate::score::{Bucket, Calibration};

/// The results as a page; `taken` says when and on what.
#[must_use]
pub fn markdown(results: &Results, taken: &str) -> String {
    let mut page = format!(
        "# Truth\n\n\
         Made by `cargo xtask truth`. {taken}\n\n\
         Real services under load, watched, and compared with what happened (see [tests/README.md](../tests/README.md)). \
         The observer does not use the ids by which they are compared.\n"
    );
    coverage(&mut page, results);
    control(&mut page, results);
    leaking(&mut page, results);
    inferred(&mut page, results);
    calibration(&mut page, results);
    services(&mut page, results);
    page
}

fn coverage(page: &mut String, results: &Results) {
    page.push_str(
        "\n## Every mode, changing from request to request\n\n\
         Share of calls and lines that are given to a request; in brackets, of those that carry no id which came in, so that \
         only other evidence can tell. *Wrong*: given to a wrong request. *Misjudged*: a wrong verdict, of those judged. *Background*: \
         work for no request that was given to one, of all such work.\n\n\
         | runtime | at once | calls in sequence | calls in parallel | lines | wrong | misjudged | accused | background |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in results
        .rows
        .iter()
        .filter(|row| !matches!(row.load, "propagate" | "leak"))
    {
        let cell = |all: Counts, bare: Counts| match all.all {
            0 => "–".to_owned(),
            _ => format!("{} ({})", percent(all.coverage()), percent(bare.coverage())),
        };
        let all = row.part("all");
        let (sequence, parallel) = (row.part("sequence"), row.part("parallel"));
        let judged = |c: Counts| c.judged_right + c.judged_wrong;
        let name = match row.load {
            "mixed" => row.runtime.to_owned(),
            load => format!("{}, only {load}", row.runtime),
        };
        line(
            page,
            &[
                name,
                row.concurrency.to_string(),
                cell(sequence.calls, row.part("without-id-sequence").calls),
                cell(parallel.calls, row.part("without-id-parallel").calls),
                cell(all.lines, row.part("without-id").lines),
                of(row.wrong(), all.calls.attributed + all.lines.attributed),
                of(
                    all.calls.judged_wrong + all.lines.judged_wrong,
                    judged(all.calls) + judged(all.lines),
                ),
                row.accused().to_string(),
                background(row),
            ],
        );
    }
}

fn control(page: &mut String, results: &Results) {
    let rows: Vec<&Row> = results
        .rows
        .iter()
        .filter(|r| r.load == "propagate")
        .collect();
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "\n## The control: everything carries its context\n\n\
         Whoever is accused here is accused falsely.\n\n\
         | runtime | at once | calls | lines | wrong | accused | background |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let all = row.part("all");
        line(
            page,
            &[
                row.runtime.to_owned(),
                row.concurrency.to_string(),
                percent(all.calls.coverage()),
                percent(all.lines.coverage()),
                of(row.wrong(), all.calls.attributed + all.lines.attributed),
                of(row.accused(), all.calls.seen + all.lines.seen),
                background(row),
            ],
        );
    }
}

fn leaking(page: &mut String, results: &Results) {
    let rows: Vec<&Row> = results.rows.iter().filter(|r| r.load == "leak").collect();
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "\n## Every call carries the context of another request\n\n\
         A service that mixes its requests up: its calls carry the id of the request before, its lines the right one. The trace-id of a call misleads: only other evidence can tell \
         for which request it was made. *Given*: share of calls and lines that are given to a request. *Wrong*: given to a wrong one, of those given. *Verdict right*: told \
         to be `crossed`, of all calls; what is `inconclusive` is neither right nor wrong.\n\n\
         | runtime | at once | calls given | of them wrong | verdict right | verdict wrong | lines given | of them wrong |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let all = row.part("all");
        line(
            page,
            &[
                row.runtime.to_owned(),
                row.concurrency.to_string(),
                percent(all.calls.coverage()),
                of(all.calls.wrong, all.calls.attributed),
                of(all.calls.judged_right, all.calls.all),
                of(all.calls.judged_wrong, all.calls.all),
                percent(all.lines.coverage()),
                of(all.lines.wrong, all.lines.attributed),
            ],
        );
    }
}

fn inferred(page: &mut String, results: &Results) {
    page.push_str(
        "\n## Inferences\n\n\
         What is likely of calls and lines that are given to no request (`--infer`). None of it counts above. *Background*: \
         work for no request of which one was inferred.\n\n\
         | runtime | at once | load | given to none | inferred | of them right | background |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in &results.rows {
        let guesses = row.guesses;
        if guesses.told + guesses.background == 0 {
            continue;
        }
        line(
            page,
            &[
                row.runtime.to_owned(),
                row.concurrency.to_string(),
                row.load.to_owned(),
                guesses.open.to_string(),
                percent(guesses.told as f64 / guesses.open.max(1) as f64),
                of(guesses.right, guesses.told),
                guesses.background.to_string(),
            ],
        );
    }
}

fn calibration(page: &mut String, results: &Results) {
    let mut links = Calibration::default();
    for row in results.rows.iter().filter(|row| row.load != "leak") {
        links.add(&row.links);
    }
    page.push_str(
        "\n## Calibration\n\n\
         Of all links told, inferences and work for no request included and leaking services left out: how many are right, and how many should be by the confidence stated.\n\n\
         | tier | links | right | stated |\n|---|---|---|---|\n",
    );
    for (tier, bucket) in links.by_tier() {
        bucket_line(page, tier, bucket);
    }
    page.push_str("\n| confidence from | links | right | stated |\n|---|---|---|---|\n");
    for (low, bucket) in links.by_confidence() {
        bucket_line(page, &low.to_string(), bucket);
    }
}

fn bucket_line(page: &mut String, name: &str, bucket: Bucket) {
    line(
        page,
        &[
            name.to_owned(),
            bucket.links.to_string(),
            format!("{:.2} %", 100.0 * bucket.share_right()),
            format!("{:.2} %", 100.0 * bucket.mean_stated()),
        ],
    );
}

fn services(page: &mut String, results: &Results) {
    page.push_str("\n## The services\n\n| runtime | what it is |\n|---|---|\n");
    for app in App::ALL {
        if results.rows.iter().any(|row| row.runtime == app.name) {
            line(
                page,
                &[app.name.to_owned(), format!("{}: {}", app.group, app.about)],
            );
        }
    }
    for (title, all) in [("Skipped", &results.skipped), ("Failed", &results.failed)] {
        if !all.is_empty() {
            let _ = writeln!(page, "\n{title}:\n");
        }
        for (name, why) in all {
            let why = why.lines().next().unwrap_or_default();
            let _ = writeln!(page, "- {name}: {why}");
        }
    }
}

fn line(page: &mut String, cells: &[String]) {
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// A share in words that never round up to all.
fn percent(share: f64) -> String {
    let percent = (share * 1000.0).floor() / 10.0;
    format!("{percent} %")
}

fn of(part: usize, all: usize) -> String {
    format!("{part} of {all}")
}

fn background(row: &Row) -> String {
    of(
        row.background_given(),
        row.background_calls.seen + row.background_lines.seen,
    )
}
