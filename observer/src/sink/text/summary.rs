//! The summary as rows: per service its edges and logs with verdicts, rates and causes; then what
//! was not observed and what was lost.

use observer_core::judged::{
    EdgeSummary, Estimate, ExecutionsCount, LogSummary, NotEstimated, ReasonCount, ServiceSummary,
    Shares, Summary, WhyCount,
};

use super::marks::{self, Mark};
use super::words;
use crate::sink::Canvas;
use crate::sink::rows::{Row, Tone};

/// Width of the rule when lines may have any length.
const RULE: usize = 80;

pub(super) fn rows(summary: &Summary, canvas: Canvas) -> Vec<Row> {
    let mut rows = vec![rule(summary, canvas)];
    for service in &summary.services {
        rows.push(Row::default());
        self::service(service, &mut rows);
    }
    if summary.services.is_empty() {
        rows.push(Row::new(
            "No HTTP request, call or log line was seen.",
            Tone::Plain,
        ));
    }
    not_seen(summary, &mut rows);
    rows
}

fn rule(summary: &Summary, canvas: Canvas) -> Row {
    let seconds = summary.end.0.saturating_sub(summary.start.0);
    let row = Row::new("── summary ", Tone::Strong).and(
        &format!(
            "{} UTC, {} ",
            words::date_and_clock(summary.start),
            words::duration(seconds)
        ),
        Tone::Plain,
    );
    let left = canvas.width.unwrap_or(RULE).saturating_sub(row.width());
    row.and(&"─".repeat(left), Tone::Strong)
}

fn service(service: &ServiceSummary, rows: &mut Vec<Row>) {
    let runtime = service.runtime.map_or_else(String::new, |runtime| {
        format!(" ({})", words::runtime(runtime))
    });
    let served = match service.served {
        0 => "served no request".to_owned(),
        n => format!(
            "served {}, {} of them with a context",
            words::count(n, "request"),
            words::number(service.served_with_context)
        ),
    };
    rows.push(
        Row::new(
            &words::named(&service.namespace, &service.service),
            Tone::Strong,
        )
        .and(&runtime, Tone::Faint)
        .then(&served, Tone::Plain),
    );
    rows.extend(
        service
            .served_estimated
            .map(|all| estimated("  ", all, "request")),
    );
    rows.extend(
        service
            .served_not_estimated
            .map(|why| not_estimated("  ", why)),
    );
    for executions in &service.executions {
        self::executions(executions, rows);
    }
    for edge in &service.edges {
        self::edge(edge, rows);
    }
    logs(&service.logs, rows);
    for ReasonCount { reason, count } in &service.inconclusive {
        rows.push(
            Row::new("  ", Tone::Plain)
                .and(
                    &format!("? {} not judged: ", words::number(*count)),
                    Tone::Faint,
                )
                .and(reason, Tone::Faint)
                .wrapped(4),
        );
    }
}

fn executions(count: &ExecutionsCount, rows: &mut Vec<Row>) {
    let told = match count.kind {
        Some(kind) => format!("{kind}s told apart"),
        None => "executions not told apart".to_owned(),
    };
    let mut text = match count.processes {
        1 => format!("{told} in one process"),
        n => format!("{told} in {} processes", words::number(n)),
    };
    if !count.missing.is_empty() {
        text.push_str(if count.kind.is_some() {
            ", without "
        } else {
            ": "
        });
        text.push_str(&count.missing.join("; "));
    }
    let row = Row::new("  ◦ ", Tone::Faint).and(&text, Tone::Faint);
    rows.push(row.wrapped(4));
}

fn edge(edge: &EdgeSummary, rows: &mut Vec<Row>) {
    let row = Row::new("  → ", Tone::Plain)
        .and(
            &words::named(&edge.peer_namespace, &edge.peer),
            Tone::Strong,
        )
        .then(&words::count(edge.calls, "call"), Tone::Plain);
    let marks = edge.verdicts.0.iter().map(|(v, n)| (marks::call(*v), *n));
    rows.push(counted(row, marks));
    rows.extend(
        edge.calls_estimated
            .map(|all| estimated("      ", all, "call")),
    );
    rows.extend(
        edge.calls_not_estimated
            .map(|why| not_estimated("      ", why)),
    );
    if edge.loss.n > 0 {
        let text = format!("context lost on {}", words::rate(edge.loss));
        rows.push(Row::new("      ", Tone::Plain).and(&text, lost(edge.loss.hits)));
    }
    for why in &edge.why {
        self::why(why, rows);
    }
}

/// How many there were in all, where only a share was observed.
fn estimated(indent: &str, all: Estimate, one: &str) -> Row {
    let text = format!(
        "~ an estimated {} in all (95 % interval {}–{})",
        words::count(all.n, one),
        words::number(all.low),
        words::number(all.high)
    );
    Row::new(indent, Tone::Plain)
        .and(&text, Tone::Faint)
        .wrapped(indent.len() + 2)
}

/// Why it is not known how many there were in all.
fn not_estimated(indent: &str, why: NotEstimated) -> Row {
    let text = format!("~ {}", words::not_estimated(why));
    Row::new(indent, Tone::Plain)
        .and(&text, Tone::Faint)
        .wrapped(indent.len() + 2)
}

fn why(why: &WhyCount, rows: &mut Vec<Row>) {
    let samples: Vec<String> = why
        .samples
        .iter()
        .take(3)
        .map(ToString::to_string)
        .collect();
    let mut text = words::cause(why.count, why.explanation, &why.routes);
    if !samples.is_empty() {
        text.push_str(&format!(" (for example {})", samples.join(", ")));
    }
    for (label, text) in [("why", text.as_str()), ("fix", why.fix)] {
        rows.push(
            Row::new("      ", Tone::Plain)
                .and(label, Tone::Strong)
                .and("  ", Tone::Plain)
                .and(text, Tone::Plain)
                .wrapped(11),
        );
    }
}

fn logs(logs: &LogSummary, rows: &mut Vec<Row>) {
    if logs.lines == 0 {
        return;
    }
    let row = Row::new("  ≡ ", Tone::Plain)
        .and("log", Tone::Strong)
        .then(&words::count(logs.lines, "line"), Tone::Plain);
    let marks = logs.verdicts.0.iter().map(|(v, n)| (marks::line(*v), *n));
    rows.push(counted(row, marks));
    if logs.loss.n > 0 {
        let text = format!("request's id lost on {}", words::rate(logs.loss));
        rows.push(Row::new("      ", Tone::Plain).and(&text, lost(logs.loss.hits)));
    }
}

fn counted(row: Row, marks: impl Iterator<Item = (Mark, u64)>) -> Row {
    marks.filter(|(_, n)| *n > 0).fold(row, |row, (mark, n)| {
        row.then(
            &format!("{} {} {}", mark.sign, words::number(n), mark.word),
            mark.tone,
        )
    })
}

fn lost(hits: u64) -> Tone {
    if hits == 0 { Tone::Good } else { Tone::Bad }
}

fn sampling(shares: Shares) -> Row {
    let mut text = format!(
        "sampled: {} % of connections were observed at the least, {} % in the end; counts and rates are of these",
        words::percent(shares.lowest),
        words::percent(shares.last),
    );
    if shares.paused_ns > 0 {
        let seconds = shares.paused_ns as f64 / 1e9;
        let least = words::percent(shares.watched_least);
        text += &format!(
            "; nothing was observed for {seconds:.0} s in all, to keep within the budget ({least} % of the time was observed at the least)"
        );
    }
    if shares.log_writes_left_out > 0 {
        let writes = words::number(shares.log_writes_left_out);
        text += &format!("; {writes} log writes of threads that served others were left out");
    }
    Row::new("", Tone::Plain).and(&text, Tone::Odd).wrapped(2)
}

fn not_seen(summary: &Summary, rows: &mut Vec<Row>) {
    rows.push(Row::default());
    rows.extend(summary.sampling.map(sampling));
    for other in &summary.not_observed {
        let text = format!(
            "not observed: {} of {}",
            words::unobserved(other.protocol, other.connections),
            words::named(&other.namespace, &other.service)
        );
        rows.push(Row::new("", Tone::Plain).and(&text, Tone::Odd).wrapped(2));
    }
    for unreadable in &summary.unreadable {
        let text = format!("could not be read: {}", words::unreadable(unreadable));
        rows.push(Row::new("", Tone::Plain).and(&text, Tone::Odd).wrapped(2));
    }
    for loss in &summary.losses {
        let whom = loss.service.as_deref().unwrap_or("any service");
        let text = format!(
            "lost: {} (touches {whom}); nothing is accused on lost data",
            words::loss(loss)
        );
        rows.push(Row::new("", Tone::Plain).and(&text, Tone::Odd).wrapped(2));
    }
    let records = words::count(summary.records, "record");
    let text = if summary.losses.is_empty() {
        format!("{records} seen, none lost")
    } else {
        format!("{records} seen")
    };
    rows.push(Row::new(&text, Tone::Faint));
}
