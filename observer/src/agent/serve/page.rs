//! The status page: what the agent does, at a glance. Plain HTML, no scripts.

use std::fmt::Write as _;

use observer_core::judged::ServiceSummary;
use observer_core::summary::Tally;

use super::super::board::{Board, Snapshot};
use crate::budget::Usage;
use crate::kernel::ProbeState;

/// Services that are shown, at most.
const SERVICES: usize = 200;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>observer</title><style>\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
.note{border-left:.25rem solid #c60;padding-left:.75rem}\
</style></head><body>";

const FOOT: &str = "<p><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/counts\">counts</a> · \
<a href=\"/healthz\">health</a> · <a href=\"/readyz\">readiness</a></p></body></html>\n";

/// The page.
pub fn html(board: &Board, snapshot: &Snapshot, usage: Usage) -> String {
    let mut page = HEAD.to_owned();
    // Writing to a string does not fail.
    let _ = write!(page, "<h1>observer on {}</h1>", escape(&board.agent));
    for note in board.notes() {
        let _ = write!(page, "<p class=\"note\">{}</p>", escape(&note));
    }
    about(board, snapshot, usage, &mut page);
    services(snapshot, &mut page);
    page.push_str(FOOT);
    page
}

fn about(board: &Board, snapshot: &Snapshot, usage: Usage, page: &mut String) {
    let up = std::time::Duration::from_secs(board.uptime().as_secs());
    let probes = snapshot.probes.iter();
    let missing: Vec<&str> = probes
        .filter(|probe| probe.state != ProbeState::Ok)
        .map(|probe| probe.name)
        .collect();
    let missing = match missing.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let kernel = &snapshot.kernel.probes;
    let rows = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("running for", humantime::format_duration(up).to_string()),
        (
            "observed connections",
            format!("{:.1} %", board.keep() * 100.0),
        ),
        ("records", kernel.sent.to_string()),
        ("records lost", kernel.lost.to_string()),
        ("probes missing", missing),
        (
            "processor time",
            format!("{:.1} s", usage.cpu.as_secs_f64()),
        ),
        ("memory", format!("{} MiB", usage.resident >> 20)),
    ];
    page.push_str("<table>");
    for (name, value) in rows {
        let value = escape(&value);
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"
        );
    }
    page.push_str("</table>");
}

fn services(snapshot: &Snapshot, page: &mut String) {
    let mut tally = Tally::default();
    tally.merge(snapshot.counted.clone());
    let mut services = tally.services();
    services.sort_by(|a, b| {
        let more = b.loss.hits.cmp(&a.loss.hits);
        more.then_with(|| a.service.cmp(&b.service))
    });
    page.push_str(
        "<h2>Services</h2><table><tr><th>service</th><th>requests</th><th>calls judged</th>\
         <th>context lost</th><th>log lines judged</th><th>without their trace</th></tr>",
    );
    services
        .iter()
        .take(SERVICES)
        .for_each(|service| row(service, page));
    page.push_str("</table>");
    if services.len() > SERVICES {
        let _ = write!(page, "<p>and {} more</p>", services.len() - SERVICES);
    }
}

fn row(service: &ServiceSummary, page: &mut String) {
    let _ = write!(page, "<tr><td>{}</td>", escape(&service.service));
    let (calls, lines) = (service.loss, service.logs.loss);
    for n in [service.served, calls.n, calls.hits, lines.n, lines.hits] {
        let _ = write!(page, "<td class=\"n\">{n}</td>");
    }
    page.push_str("</tr>");
}

/// Text, in HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use observer_core::judged::WallTime;
    use observer_core::judged::counts::{Cell, Inbound, Name};

    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let board = Board::new("<b>host".into(), WallTime(0));
        board.note("<i>note", true);
        let mut tally = Tally::default();
        let service = Name::plain("<script>alert('1')</script>");
        let context = Inbound::Valid;
        tally.add(Cell::Requests { service, context }, 3);
        let snapshot = Snapshot {
            counted: tally.counted(),
            ..Snapshot::default()
        };
        let html = html(&board, &snapshot, Usage::default());
        for hostile in ["<script", "<b>", "<i>"] {
            assert!(!html.contains(hostile), "{html}");
        }
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
    }
}
