//! Healing and export on the command line.

use clap::{ArgAction, Args, ValueEnum};
use observer_core::healing::{Settings, Spans};

use super::error::PlanError;

/// What to heal, and where to export to; the same for `watch`, `logs` and `replay`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Healing and export")]
pub struct HealArgs {
    /// Export spans, log records and metrics over OTLP to ENDPOINT; without one, to what
    /// OTEL_EXPORTER_OTLP_ENDPOINT says, or to http://localhost:4318
    ///
    /// The standard variables OTEL_EXPORTER_OTLP_* are heeded; options go before them.
    #[arg(long, value_name = "ENDPOINT", num_args = 0..=1, default_missing_value = "")]
    pub otlp: Option<String>,
    /// How to speak to the endpoint; without it, gRPC on port 4317 and HTTP elsewhere
    #[arg(long, value_name = "PROTOCOL", value_enum)]
    pub otlp_protocol: Option<Protocol>,
    /// A header to send with each export, NAME=VALUE
    #[arg(long, value_name = "HEADER")]
    pub otlp_header: Vec<String>,
    /// What to export (separate several by commas); all of it by default
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', action = ArgAction::Append)]
    pub otlp_signals: Vec<Signal>,
    /// Which spans to make: where a trace is broken or the application makes none (bridge, the
    /// default with --otlp), of every exchange, or none
    #[arg(long, value_name = "WHICH", value_enum)]
    pub spans: Option<WhichSpans>,
    /// Heal broken traces even if their caller did not sample them
    #[arg(long)]
    pub heal_unsampled: bool,
}

/// Protocols of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    #[value(name = "http/protobuf", alias = "http")]
    Http,
}

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Signal {
    /// Synthetic spans.
    Spans,
    /// Log records.
    Logs,
    /// Counts of verdicts, durations.
    Metrics,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Spans, Self::Logs, Self::Metrics];

    /// The word for it in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}

/// Which spans to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhichSpans {
    /// Where a trace is broken, or the application makes none.
    #[default]
    Bridge,
    /// Of every exchange.
    All,
    /// None.
    Off,
}

impl WhichSpans {
    pub(super) fn meant(self) -> Spans {
        match self {
            Self::Bridge => Spans::Bridge,
            Self::All => Spans::All,
            Self::Off => Spans::Off,
        }
    }
}

/// What to heal, and where to export to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealPlan {
    /// What to heal.
    pub settings: Settings,
    /// Where to export to.
    pub otlp: Option<OtlpPlan>,
}

impl HealPlan {
    /// Whether log lines are exported: then none is to be left out.
    #[must_use]
    pub fn exports_logs(&self) -> bool {
        let exported = self.otlp.as_ref().map(|otlp| &otlp.signals);
        exported.is_some_and(|signals| signals.contains(&Signal::Logs))
    }
}

/// Where to export to, as far as the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpPlan {
    /// The endpoint.
    pub endpoint: Option<String>,
    /// How to speak to it.
    pub protocol: Option<Protocol>,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// What to export.
    pub signals: Vec<Signal>,
}

/// What the arguments mean; nothing if nothing is to be healed.
///
/// # Errors
///
/// See [`PlanError`].
pub(super) fn plan(args: HealArgs) -> Result<Option<HealPlan>, PlanError> {
    if args.otlp.is_none() {
        for (given, flag) in [
            (args.otlp_protocol.is_some(), "--otlp-protocol"),
            (!args.otlp_header.is_empty(), "--otlp-header"),
            (!args.otlp_signals.is_empty(), "--otlp-signals"),
        ] {
            if given {
                return Err(PlanError::NoExport(flag));
            }
        }
    }
    let settings = Settings {
        spans: args.spans.unwrap_or_default().meant(),
        unsampled: args.heal_unsampled,
    };
    let wanted = args.otlp.is_some() || args.spans.is_some() || args.heal_unsampled;
    let read = |text: String| header(&text).ok_or(PlanError::Header(text));
    let headers: Result<Vec<_>, _> = args.otlp_header.into_iter().map(read).collect();
    let (protocol, mut signals, headers) = (args.otlp_protocol, args.otlp_signals, headers?);
    if signals.is_empty() {
        signals = Signal::ALL.to_vec();
    }
    let otlp = args.otlp.map(|endpoint| OtlpPlan {
        endpoint: Some(endpoint).filter(|e| !e.is_empty()),
        protocol,
        headers,
        signals,
    });
    Ok(wanted.then_some(HealPlan { settings, otlp }))
}

/// A header to send, given as `NAME=VALUE`.
pub(super) fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_healed_unless_asked_for() {
        assert_eq!(plan(HealArgs::default()), Ok(None));
        let args = HealArgs {
            spans: Some(WhichSpans::All),
            ..HealArgs::default()
        };
        let all = plan(args).unwrap().unwrap();
        assert_eq!((all.settings.spans, all.otlp), (Spans::All, None));
    }

    #[test]
    fn an_endpoint_may_be_left_to_the_environment() {
        let args = HealArgs {
            otlp: Some(String::new()),
            otlp_header: vec!["a = b=c".into()],
            ..HealArgs::default()
        };
        let otlp = plan(args).unwrap().unwrap().otlp.unwrap();
        assert_eq!(otlp.endpoint, None);
        assert_eq!(otlp.headers, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(otlp.signals, Signal::ALL);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let args = HealArgs {
            otlp_header: vec!["a=b".into()],
            ..HealArgs::default()
        };
        assert_eq!(plan(args), Err(PlanError::NoExport("--otlp-header")));
        let args = HealArgs {
            otlp: Some(String::new()),
            otlp_header: vec!["=b".into()],
            ..HealArgs::default()
        };
        assert_eq!(plan(args), Err(PlanError::Header("=b".into())));
    }
}
