//! One request as rows.
//!
//! ```text
//! 04:16:35.123  cart  GET /cart/42?coupon=…  200  18.4 ms  from gateway  w3c 4bf92f35…/00f067aa…
//!   ├ ✓ propagated    call payments  POST /charge  201  6.1 ms  (execution 99 %)
//!   ├ ✗ missing       stdout  no discount  (execution 99 %)
//!   ╰ 200 after 18.4 ms: 1 call; 1 line, 1 without its id
//! ```

use observer_core::judged::{Attribution, Exchange, Finding, Log, Loss, Sampling};

use super::marks::{self, Mark};
use super::words;
use crate::sink::rows::{Row, Tone};
use crate::sink::trees::{Part, Tree};

/// Before a part, and before what is said about it in further rows.
const BRANCH: &str = "  ├ ";
const TRUNK: &str = "  │                 ";
const END: &str = "  ╰ ";

/// The rows of a tree, or of one thing by itself.
pub(super) fn rows(tree: &Tree) -> Vec<Row> {
    let mut rows = Vec::new();
    let Some(request) = &tree.request else {
        for part in &tree.parts {
            alone(tree, part, &mut rows);
        }
        return rows;
    };
    rows.push(headline(request));
    findings(TRUNK, &request.findings, &mut rows);
    for part in &tree.parts {
        let row = Row::new(BRANCH, Tone::Faint);
        rows.push(body(row, part));
        remarks(TRUNK, part, &mut rows);
    }
    if !tree.parts.is_empty() {
        rows.push(closing(request, &tree.parts));
    }
    rows
}

/// What was not seen.
pub(super) fn loss(loss: &Loss) -> Row {
    let whom = loss.service.as_deref().unwrap_or("any service");
    Row::new(&words::clock(loss.until), Tone::Faint)
        .then("! lost", Tone::Odd)
        .then_elastic(
            &format!(
                "{}, since {}; touches {whom}",
                words::loss(loss),
                words::clock(loss.since),
            ),
            Tone::Plain,
        )
}

/// Which share of connections is observed from now on.
pub(super) fn sampling(sampling: &Sampling) -> Row {
    let share = words::percent(sampling.share);
    Row::new(&words::clock(sampling.time), Tone::Faint)
        .then("! sampled", Tone::Odd)
        .then_elastic(
            &format!(
                "{share} % of connections are observed from now on{}",
                for_a_part(sampling.watched)
            ),
            Tone::Plain,
        )
}

/// For which part of the time, where that is not all of it.
fn for_a_part(watched: f64) -> String {
    match watched < 1.0 {
        true => format!(", for {} % of the time", words::percent(watched)),
        false => String::new(),
    }
}

fn headline(request: &Exchange) -> Row {
    let row = Row::new(&words::clock(request.start), Tone::Faint)
        .then(&request.service, Tone::Strong)
        .then(&request.method, Tone::Plain)
        .and(" ", Tone::Plain)
        .elastic(&request.target, Tone::Plain);
    let row = answered(row, request);
    let row = match &request.peer_service {
        Some(service) => row.then(&format!("from {service}"), Tone::Plain),
        None => row,
    };
    let row = match &request.context {
        Some(context) => row.then(&words::context(context), Tone::Faint),
        None => row.then("no context", Tone::Odd),
    };
    row.then(&request.id.to_string(), Tone::Faint)
}

fn answered(row: Row, exchange: &Exchange) -> Row {
    let tone = match exchange.status {
        Some(100..=399) if exchange.unfinished.is_none() => Tone::Plain,
        _ => Tone::Odd,
    };
    let row = row.then(&words::answer(exchange), tone);
    match exchange.duration_ns {
        Some(nanos) => row.then(&words::duration(nanos), Tone::Faint),
        None => row,
    }
}

/// Verdict and what it is about.
fn body(row: Row, part: &Part) -> Row {
    match part {
        Part::Call(call) => call_body(row, call),
        Part::Line(line) => line_body(row, line),
    }
}

fn marked(row: Row, mark: Mark) -> Row {
    row.and(&mark.padded(), mark.tone)
}

fn call_body(row: Row, call: &Exchange) -> Row {
    let row = match call.verdict {
        Some(verdict) => marked(row, marks::call(verdict)),
        None => row.and(&format!("  {:<12}", ""), Tone::Plain),
    };
    let row = row
        .then(&format!("call {}", words::peer(call)), Tone::Strong)
        .then(&call.method, Tone::Plain)
        .and(" ", Tone::Plain)
        .elastic(&call.target, Tone::Plain);
    let row = answered(row, call);
    let row = match &call.attribution {
        Some(attribution) => linked(row, attribution),
        None => row,
    };
    row.then(&call.id.to_string(), Tone::Faint)
}

fn line_body(row: Row, line: &Log) -> Row {
    let row = marked(row, marks::line(line.verdict)).then(&line.source, Tone::Faint);
    let mut lines = line.line.lines();
    let row = row.then_elastic(lines.next().unwrap_or_default(), Tone::Plain);
    let row = match lines.count() {
        0 => row,
        1 => row.then("(+1 line)", Tone::Faint),
        more => row.then(&format!("(+{more} lines)"), Tone::Faint),
    };
    linked(row, &line.attribution)
}

fn linked(row: Row, attribution: &Attribution) -> Row {
    match words::link(attribution) {
        link if link.is_empty() => row,
        link => row.then(&format!("({link})"), Tone::Faint),
    }
}

/// Why nothing is known, what is likely then, and facts beside the verdict.
fn remarks(indent: &str, part: &Part, rows: &mut Vec<Row>) {
    let (attribution, inferred) = match part {
        Part::Call(call) => (call.attribution.as_ref(), call.inferred),
        Part::Line(line) => (Some(&line.attribution), line.inferred),
    };
    if let Some(reason) = attribution.and_then(|a| a.reason.as_ref()) {
        rows.push(remark(indent, &format!("because {reason}"), Tone::Faint));
    }
    if let Some(inferred) = inferred {
        let row = Row::new(indent, Tone::Faint);
        rows.push(row.elastic(&words::inferred(&inferred), Tone::Faint));
    }
    if let Part::Call(call) = part {
        findings(indent, &call.findings, rows);
    }
}

fn findings(indent: &str, findings: &[Finding], rows: &mut Vec<Row>) {
    for finding in findings {
        rows.push(remark(indent, &words::finding(finding), Tone::Odd));
    }
}

fn remark(indent: &str, text: &str, tone: Tone) -> Row {
    Row::new(indent, Tone::Faint).elastic(&format!("↳ {text}"), tone)
}

/// Something by itself: its request is not known, or was shown earlier.
fn alone(tree: &Tree, part: &Part, rows: &mut Vec<Row>) {
    let service = match part {
        Part::Call(call) => &call.service,
        Part::Line(line) => &line.service,
    };
    let row = Row::new(&words::clock(part.time()), Tone::Faint)
        .then(service, Tone::Strong)
        .and("  ", Tone::Plain);
    rows.push(body(row, part));
    let indent = " ".repeat(14);
    if let Some(earlier) = &tree.earlier {
        let text = format!(
            "done for {} {} ({}), above",
            earlier.method, earlier.target, earlier.id
        );
        rows.push(remark(&indent, &text, Tone::Faint));
    }
    remarks(&indent, part, rows);
}

fn closing(request: &Exchange, parts: &[Part]) -> Row {
    let (mut calls, mut lost_calls, mut lines, mut lost_lines) = (0, 0, 0, 0);
    for part in parts {
        match part {
            Part::Call(call) => {
                calls += 1;
                lost_calls += u64::from(call.verdict.is_some_and(|v| v.is_loss()));
            }
            Part::Line(line) => {
                lines += 1;
                lost_lines += u64::from(line.verdict.is_loss());
            }
        }
    }
    let answer = match request.duration_ns {
        Some(nanos) => format!(
            "{} after {}",
            words::answer(request),
            words::duration(nanos)
        ),
        None => words::answer(request),
    };
    let mut row = Row::new(END, Tone::Faint).and(&answer, Tone::Plain);
    for (count, one, lost, how) in [
        (calls, "call", lost_calls, "lost context"),
        (lines, "line", lost_lines, "without its id"),
    ] {
        if count > 0 {
            row = row.then(&words::count(count, one), Tone::Faint);
        }
        if lost > 0 {
            row = row.and(&format!(", {lost} {how}"), Tone::Bad);
        }
    }
    row
}
