//! The configuration file, as it is written (docs/agent.md, docs/schema/agent-config.schema.json).

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter};

use super::super::export::{Protocol, Signal, WhichSpans};
use super::super::probes::Detail;
use super::super::show::{Logs, Redact};
use super::{KubernetesMode, Listen, Rule};
use crate::cli::size::{Share, Size};

/// What is wrong with the text of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place(*.at))]
pub struct FileError {
    /// Line and column, counted from 1, where they are known.
    pub at: Option<(u64, u64)>,
    /// What is wrong there.
    pub what: String,
}

fn place(at: Option<(u64, u64)>) -> String {
    at.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "))
}

/// The file. What is absent is left to variables, flags and defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Processes to observe; none: all.
    pub include: Vec<Rule>,
    /// Processes not to observe.
    pub exclude: Vec<Rule>,
    /// Whether the system's daemons are observed.
    pub system: Option<bool>,
    /// What is hidden in request targets.
    #[serde(deserialize_with = "named")]
    pub redact: Option<Redact>,
    /// The file that tells the kernel's types.
    pub btf: Option<PathBuf>,
    /// When turns of Node's event loop are told apart.
    #[serde(deserialize_with = "named")]
    pub node: Option<Detail>,
    /// When it is followed what goroutines hand to each other through channels.
    #[serde(deserialize_with = "named")]
    pub go: Option<Detail>,
    /// JSON Lines.
    pub json: Json,
    /// Export.
    pub otlp: Otlp,
    /// Healing.
    pub heal: Heal,
    /// Metrics and status.
    pub metrics: Metrics,
    /// Names from the Kubernetes API.
    pub kubernetes: Kubernetes,
    /// What the agent may use.
    pub budget: Budget,
    /// What the agent may do.
    pub privileges: Privileges,
}

/// JSON Lines.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Json {
    /// Where to; `-` is standard output.
    pub file: Option<String>,
    /// Which log lines.
    #[serde(deserialize_with = "named")]
    pub logs: Option<Logs>,
}

/// Export over OTLP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Where to.
    pub endpoint: Option<String>,
    /// How.
    #[serde(deserialize_with = "named")]
    pub protocol: Option<Protocol>,
    /// Headers to send.
    pub headers: std::collections::BTreeMap<String, String>,
    /// What.
    #[serde(deserialize_with = "all_named")]
    pub signals: Vec<Signal>,
}

/// Healing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heal {
    /// Which spans.
    #[serde(deserialize_with = "named")]
    pub spans: Option<WhichSpans>,
    /// Also what the caller did not sample.
    pub unsampled: Option<bool>,
}

/// Metrics and status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where to listen.
    #[serde(deserialize_with = "parsed")]
    pub listen: Option<Listen>,
    /// Edges with series of their own.
    pub edges: Option<u32>,
    /// Whether counts carry trace-ids.
    pub exemplars: Option<bool>,
}

/// Names from the Kubernetes API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// When.
    #[serde(deserialize_with = "named")]
    pub mode: Option<KubernetesMode>,
    /// This host's node.
    pub node: Option<String>,
    /// Whether well-known labels name services.
    pub labels: Option<bool>,
}

/// What the agent may use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Share of a core.
    #[serde(deserialize_with = "parsed")]
    pub cpu: Option<Share>,
    /// Resident memory.
    #[serde(deserialize_with = "parsed")]
    pub memory: Option<Size>,
    /// Share of connections.
    #[serde(deserialize_with = "parsed")]
    pub sample: Option<Share>,
}

/// What the agent may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privileges {
    /// Whether those that are not needed are given up.
    pub drop: Option<bool>,
    /// Whether what putting probes into new processes needs is kept.
    pub attach: Option<bool>,
}

impl File {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Says where and what, with the key that was probably meant.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        // A file of comments alone is an empty configuration.
        let empty = |line: &str| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        };
        if text.lines().all(empty) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| in_words(&error))
    }
}

fn in_words(error: &Error) -> FileError {
    let error = error.without_snippet();
    let at = error.location().map(|at| (at.line(), at.column()));
    let what = match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => unknown("key", field, expected),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown("value", variant, expected),
        Error::DuplicateMappingKey { key, .. } => format!(
            "the key `{}` is there twice",
            key.as_deref().unwrap_or("of this line")
        ),
        other => DefaultMessageFormatter.format_message(other).into_owned(),
    };
    FileError { at, what }
}

/// Says that something is not known, and what was probably meant.
fn unknown(what: &str, given: &str, expected: &[&str]) -> String {
    let mut near: Vec<_> = expected
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), *name))
        .collect();
    near.sort_unstable();
    let guess = match near.first() {
        Some((distance, name)) if *distance <= 1 + name.len() / 3 => {
            format!("did you mean `{name}`? ")
        }
        _ => String::new(),
    };
    format!(
        "unknown {what} `{given}`; {guess}there are {}",
        expected.join(", ")
    )
}

/// A value of which clap knows the names.
fn named<'de, D: Deserializer<'de>, T: ValueEnum>(from: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| by_name(&text).map_err(D::Error::custom))
        .transpose()
}

fn by_name<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let names = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<_> = names.map(|value| value.get_name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        unknown("value", text, &names)
    })
}

/// A list of such values.
fn all_named<'de, D: Deserializer<'de>, T: ValueEnum>(from: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);
    impl<'de, T: ValueEnum> Visitor<'de> for List<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(text) = seq.next_element::<String>()? {
                list.push(by_name(&text).map_err(A::Error::custom)?);
            }
            Ok(list)
        }
    }
    from.deserialize_seq(List(PhantomData))
}

/// A value that is read from text; numbers are taken as such.
fn parsed<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    struct Scalar<T>(PhantomData<T>);
    impl<T: FromStr<Err = String>> Visitor<'_> for Scalar<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or number")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
            text.parse().map(Some).map_err(E::custom)
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Option<T>, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<T>, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<T>, E> {
            self.visit_str(&number.to_string())
        }
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<Option<T>, E> {
            // YAML 1.1 takes `off` for false.
            self.visit_str(if value { "on" } else { "off" })
        }
        fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
    }
    from.deserialize_str(Scalar(PhantomData))
}
