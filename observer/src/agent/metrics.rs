//! The page that Prometheus scrapes: the counts (docs/metrics.md), and the agent's own metrics.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use observer_core::judged::counts::Counted;
use observer_core::summary::openmetrics;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::board::{Board, Snapshot};
use crate::budget::Usage;
use crate::kernel::ProbeState;
use crate::otlp::Exported;

/// In which of Prometheus' notations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Format {
    /// The one that an `Accept` header prefers: OpenMetrics if it is named.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        if accept
            .to_ascii_lowercase()
            .contains("application/openmetrics-text")
        {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Series that are left out of what the server tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Edges with series of their own.
    pub edges: usize,
    /// Edges that are counted as `other`.
    pub folded: usize,
}

/// The page. `counted` is what `snapshot` holds, within the bounds for series.
#[must_use]
pub fn page(
    board: &Board,
    snapshot: &Snapshot,
    counted: &Counted,
    folded: Folded,
    usage: Usage,
    format: Format,
) -> String {
    let mut text = openmetrics(counted);
    // Writing to a string does not fail.
    let _ = encode_registry(&mut text, &own(board, snapshot, folded, usage));
    match format {
        Format::OpenMetrics => text.push_str("# EOF\n"),
        Format::Text => text = plain(&text),
    }
    text
}

/// The same in the older format, in which a family has the name of its series. Exemplars must have been
/// left out.
fn plain(text: &str) -> String {
    let types: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let described = ["# TYPE ", "# HELP "]
            .into_iter()
            .find_map(|kind| Some((kind, line.strip_prefix(kind)?)));
        match described {
            Some((kind, rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let (suffix, rest) = match types.get(name) {
                    Some(&"counter") => ("_total", rest),
                    Some(&"info") if rest == "info" => ("_info", "gauge"),
                    Some(&"info") => ("_info", rest),
                    _ => ("", rest),
                };
                out.push_str(&format!("{kind}{name}{suffix} {rest}\n"));
            }
            None if line.starts_with('#') => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

type Labels = Vec<(&'static str, String)>;
type Total = Counter<f64, AtomicU64>;
type Value = Gauge<f64, AtomicU64>;

/// Registers metrics whose values are known already.
struct Own(Registry);

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn float(n: u64) -> f64 {
    n as f64
}

impl Own {
    fn total(&mut self, name: &str, help: &str, value: f64) {
        let counter = Total::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    fn totals(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Total>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn value(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Value::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn values(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Value>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }
}

fn own(board: &Board, snapshot: &Snapshot, folded: Folded, usage: Usage) -> Registry {
    let mut own = Own(Registry::default());
    identity(board, snapshot, &mut own);
    probes(snapshot, &mut own);
    state(board, folded, &mut own);
    export(&board.exported(), &mut own);
    process(usage, &mut own);
    own.0
}

fn identity(board: &Board, snapshot: &Snapshot, own: &mut Own) {
    let info = Info::new(vec![
        ("agent", board.agent.clone()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    own.0.register("observer_agent", "The agent", info);
    let seconds = |time: u64| float(time / 1_000_000) / 1_000.0;
    let mut time = |name: &str, help: &str, at: u64| {
        let gauge = Value::default();
        gauge.set(seconds(at));
        own.0.register_with_unit(name, help, Unit::Seconds, gauge);
    };
    time(
        "observer_agent_start_time",
        "When it began to count",
        board.since.0,
    );
    time(
        "observer_agent_clock",
        "Its clock at this scrape",
        snapshot.now.0,
    );
}

fn probes(snapshot: &Snapshot, own: &mut Own) {
    let sum = &snapshot.kernel.probes;
    own.value(
        "observer_agent_ring_bytes",
        "Size of the ring that records wait in",
        float(snapshot.kernel.ring),
    );
    own.value(
        "observer_agent_ring_waiting_bytes",
        "The most that waited in it at one look since the last scrape",
        float(snapshot.kernel.waited),
    );
    for (name, help, n) in [
        (
            "observer_agent_ring_records",
            "Records that the probes put into the ring",
            sum.sent,
        ),
        (
            "observer_agent_ring_lost",
            "Records for which the ring had no room",
            sum.lost,
        ),
        (
            "observer_agent_captured_bytes",
            "Payload that the probes put into the ring",
            sum.captured,
        ),
        (
            "observer_agent_cut_bytes",
            "Payload that was not needed, or could not be read",
            sum.cut,
        ),
        (
            "observer_agent_faults",
            "Payloads that could not be read from a process's memory",
            sum.faults,
        ),
        (
            "observer_agent_ignored_calls",
            "System calls on connections that are not observed",
            sum.ignored,
        ),
        (
            "observer_agent_unpaired_calls",
            "System calls that could not be followed to their end",
            sum.unpaired,
        ),
    ] {
        own.total(name, help, float(n));
    }
    let label = |name: &str| vec![("probe", name.to_owned())];
    let programs = || snapshot.kernel.programs.iter();
    own.totals(
        "observer_agent_probe_misses",
        "Runs of a probe that the kernel left out because another ran on that CPU",
        programs().map(|p| (label(&p.name), float(p.misses))),
    );
    // The kernel counts these only while kernel.bpf_stats_enabled is 1: not measured is not zero.
    if snapshot.kernel.measured {
        own.totals(
            "observer_agent_probe_runs",
            "Runs of a probe",
            programs().map(|p| (label(&p.name), float(p.runs))),
        );
        own.totals(
            "observer_agent_probe_seconds",
            "Time that a probe ran, in the processes that it ran in",
            programs().map(|p| (label(&p.name), p.nanos as f64 / 1e9)),
        );
    }
    own.values(
        "observer_agent_probe_attached",
        "Whether a probe is attached",
        snapshot.probes.iter().map(|status| {
            let attached = status.state == ProbeState::Ok;
            (label(status.name), f64::from(u8::from(attached)))
        }),
    );
}

fn state(board: &Board, folded: Folded, own: &mut Own) {
    let ready = f64::from(u8::from(board.is_ready()));
    own.value(
        "observer_agent_ready",
        "Whether everything chosen is watched",
        ready,
    );
    own.value(
        "observer_agent_sampling_ratio",
        "Share of connections that is observed; below 1, counts are of that share",
        board.keep(),
    );
    own.value(
        "observer_agent_watched_ratio",
        "Part of the time in which system calls are observed; below 1, counts are of that part",
        board.watched(),
    );
    let [cpu, memory, ring] = board.over_budget();
    let row = |name: &'static str, key: &str, n: u64| (vec![(name, key.to_owned())], float(n));
    own.totals(
        "observer_agent_over_budget_seconds",
        "Seconds above a ceiling of the budget; of the ring, how often it was too full",
        [
            row("ceiling", "cpu", cpu),
            row("ceiling", "memory", memory),
            row("ceiling", "ring", ring),
        ],
    );
    let [failed, fine] = board.reloads();
    own.totals(
        "observer_agent_reloads",
        "Times that the configuration was read again",
        [row("result", "failed", failed), row("result", "ok", fine)],
    );
    own.value(
        "observer_agent_edges",
        "Edges with series of their own",
        float(folded.edges as u64),
    );
    own.value(
        "observer_agent_edges_folded",
        "Edges beyond metrics.edges, whose calls are counted for the peer other",
        float(folded.folded as u64),
    );
}

/// One number of a signal.
type Count = fn(&Exported) -> u64;

fn export(signals: &[Exported], own: &mut Own) {
    if signals.is_empty() {
        return;
    }
    let label = |e: &Exported| ("signal", e.signal.name().to_owned());
    let each = |of: Count| {
        let row = move |e: &Exported| (vec![label(e)], float(of(e)));
        signals.iter().map(row).collect::<Vec<_>>()
    };
    own.values(
        "observer_agent_export_queue_items",
        "Spans or log records that wait to be exported",
        each(|e| e.waiting.items as u64),
    );
    own.values(
        "observer_agent_export_queue_bytes",
        "What they take, about",
        each(|e| e.waiting.bytes as u64),
    );
    own.totals(
        "observer_agent_export_items",
        "Spans or log records that were to be exported",
        each(|e| e.counted.offered),
    );
    own.totals(
        "observer_agent_export_accepted_items",
        "Those that the endpoint has taken",
        each(|e| e.counted.accepted),
    );
    let reasons: [(&str, Count); 3] = [
        ("queue-full", |e| e.counted.overflowed),
        ("refused", |e| e.counted.refused),
        ("rejected", |e| e.counted.rejected),
    ];
    own.totals(
        "observer_agent_export_discarded_items",
        "Those that were given up",
        reasons.into_iter().flat_map(|(reason, of)| {
            let row = move |e: &Exported| {
                let labels = vec![label(e), ("reason", reason.to_owned())];
                (labels, float(of(e)))
            };
            signals.iter().map(row)
        }),
    );
}

/// Names as Prometheus' client libraries have them.
fn process(usage: Usage, own: &mut Own) {
    own.total(
        "process_cpu_seconds",
        "Processor time of the agent",
        usage.cpu.as_secs_f64(),
    );
    own.value(
        "process_resident_memory_bytes",
        "Resident memory of the agent",
        float(usage.resident),
    );
    own.value(
        "process_open_fds",
        "Open descriptors of the agent",
        float(usage.descriptors),
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use observer_core::judged::WallTime;

    use super::*;

    fn page_of(format: Format) -> String {
        let board = Board::new("host \"1\"".into(), WallTime(1_500_000_000));
        let usage = Usage {
            cpu: Duration::from_millis(1_250),
            resident: 7,
            descriptors: 3,
        };
        page(
            &board,
            &Snapshot::default(),
            &Counted::default(),
            Folded::default(),
            usage,
            format,
        )
    }

    #[test]
    fn openmetrics_ends_with_its_mark_and_has_families() {
        let text = page_of(Format::OpenMetrics);
        assert!(text.ends_with("# EOF\n"));
        for line in [
            "# TYPE observer_agent info",
            "observer_agent_info{agent=\"host \\\"1\\\"\",version=",
            "observer_agent_start_time_seconds 1.5",
            "# TYPE process_cpu_seconds counter",
            "process_cpu_seconds_total 1.25",
            "observer_agent_sampling_ratio 1.0",
            "observer_agent_watched_ratio 1.0",
            "observer_agent_over_budget_seconds_total{ceiling=\"cpu\"} 0.0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_older_format_names_counters_by_their_series() {
        let text = page_of(Format::Text);
        for line in [
            "# TYPE observer_agent_info gauge\n",
            "# HELP observer_agent_info The agent.\n",
            "# TYPE process_cpu_seconds_total counter\n",
            "# HELP process_cpu_seconds_total ",
            "process_cpu_seconds_total 1.25\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(
            !text.contains("# EOF") && !text.contains("# UNIT"),
            "{text}"
        );
    }

    #[test]
    fn the_scraper_says_which_format_it_takes() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::of(prometheus), Format::OpenMetrics);
        assert_eq!(Format::of("*/*"), Format::Text);
        assert_eq!(Format::of(""), Format::Text);
    }
}
