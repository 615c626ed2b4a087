//! How important a line calls itself.

use serde::Serialize;

/// OpenTelemetry's ranges of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Fine-grained debugging.
    Trace,
    /// Debugging.
    Debug,
    /// Something happened.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something went wrong.
    Error,
    /// It can't go on.
    Fatal,
}

impl Severity {
    /// The number of the range's beginning (OpenTelemetry logs data model, "Severity Fields").
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }

    /// The range's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// Words of common loggers, in lower case.
const WORDS: [(&str, Severity); 21] = [
    ("trace", Severity::Trace),
    ("verbose", Severity::Trace),
    ("finest", Severity::Trace),
    ("debug", Severity::Debug),
    ("fine", Severity::Debug),
    ("info", Severity::Info),
    ("information", Severity::Info),
    ("notice", Severity::Info),
    ("success", Severity::Info),
    ("warn", Severity::Warn),
    ("warning", Severity::Warn),
    ("error", Severity::Error),
    ("err", Severity::Error),
    ("severe", Severity::Error),
    ("exception", Severity::Error),
    ("critical", Severity::Fatal),
    ("crit", Severity::Fatal),
    ("fatal", Severity::Fatal),
    ("panic", Severity::Fatal),
    ("alert", Severity::Fatal),
    ("emerg", Severity::Fatal),
];

/// Fields that hold the severity, in JSON and in `name=value` text.
const FIELDS: [&str; 6] = [
    "level",
    "severity",
    "lvl",
    "levelname",
    "log.level",
    "severitytext",
];

/// Words of plain text that are looked at: a logger says it near the beginning.
const LOOKED_AT: usize = 12;

/// Bytes of a line that are looked at.
const BYTES: usize = 16 * 1024;

/// The severity that a line states, if it does.
#[must_use]
pub fn severity(line: &str) -> Option<Severity> {
    let line = &line[..line.floor_char_boundary(BYTES)];
    let text = line.trim_start();
    if text.starts_with('{')
        && let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text)
    {
        return of_object(&fields, 2);
    }
    of_text(text)
}

fn of_object(fields: &serde_json::Map<String, serde_json::Value>, depth: u8) -> Option<Severity> {
    use serde_json::Value;
    let named = |name: &str| FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field));
    fields.iter().find_map(|(name, value)| match value {
        Value::String(word) if named(name) => of_word(word),
        Value::Number(number) if named(name) => of_number(number.as_u64()?),
        // loguru: {"record": {"level": {"name": "INFO"}}}
        Value::Object(inner) if named(name) => match inner.get("name") {
            Some(Value::String(word)) => of_word(word),
            _ => None,
        },
        Value::Object(inner) if depth > 0 && matches!(&**name, "record" | "log") => {
            of_object(inner, depth - 1)
        }
        _ => None,
    })
}

/// pino's and bunyan's numbers: 10 (trace) to 60 (fatal).
fn of_number(number: u64) -> Option<Severity> {
    Some(match number {
        10 => Severity::Trace,
        20 => Severity::Debug,
        30 => Severity::Info,
        40 => Severity::Warn,
        50 => Severity::Error,
        60 => Severity::Fatal,
        _ => return None,
    })
}

fn of_word(word: &str) -> Option<Severity> {
    let known = |(name, _): &&(&str, Severity)| word.eq_ignore_ascii_case(name);
    WORDS.iter().find(known).map(|(_, severity)| *severity)
}

/// A word in capitals, in brackets, before a colon, or the value of a field.
fn of_text(text: &str) -> Option<Severity> {
    text.split_ascii_whitespace()
        .take(LOOKED_AT)
        .find_map(|token| {
            if let Some((name, value)) = token.split_once('=')
                && FIELDS.iter().any(|f| name.eq_ignore_ascii_case(f))
            {
                return of_word(value.trim_matches('"'));
            }
            // Python's own format: `WARNING:root:…`.
            let (first, _) = token.split_once(':').unwrap_or((token, ""));
            let word = first.trim_matches(|c: char| !c.is_ascii_alphabetic());
            let marked = token.ends_with([']', ':', '>', '|']);
            let capitals = word.bytes().all(|b| b.is_ascii_uppercase());
            of_word(word).filter(|_| marked || capitals)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_loggers_are_understood() {
        for (line, expected) in [
            (r#"{"level":"info","message":"x"}"#, Some(Severity::Info)),
            (r#"{"msg":"x","level":50}"#, Some(Severity::Error)),
            (
                r#"{"text":"..","record":{"level":{"name":"WARNING","no":30}}}"#,
                Some(Severity::Warn),
            ),
            (
                "2026-11-21 05:00:00,123 ERROR shop: no stock",
                Some(Severity::Error),
            ),
            ("[warn] low", Some(Severity::Warn)),
            ("ts=1 level=debug msg=x", Some(Severity::Debug)),
            ("CRITICAL:root:out of memory", Some(Severity::Fatal)),
            ("panic: runtime error", Some(Severity::Fatal)),
            ("an error of info about a warning", None),
            ("{\"level\":", None),
            ("", None),
        ] {
            assert_eq!(severity(line), expected, "{line}");
        }
    }
}
