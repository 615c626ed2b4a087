//! Writes the ids of its trace into a line.

use std::fmt::Write as _;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ids::{SpanId, TraceId};
use crate::text::printable;

/// Fields that an enriched line gains.
const TRACE: &str = "trace_id";
const SPAN: &str = "span_id";

/// A line with its trace: a JSON object gains the fields `trace_id` and `span_id`, instead of those
/// it may have; any other text gets them appended, that of several lines to the first.
///
/// `line` is text made printable, as [`crate::judged::Log::line`] is; so is what is returned.
#[must_use]
pub fn enriched(line: &str, trace: TraceId, span: Option<SpanId>) -> String {
    object(line, trace, span).unwrap_or_else(|| text(line, trace, span))
}

fn text(line: &str, trace: TraceId, span: Option<SpanId>) -> String {
    let (first, rest) = match line.split_once('\n') {
        Some((first, rest)) => (first, Some(rest)),
        None => (line, None),
    };
    let mut out = format!("{first} {TRACE}={trace}");
    if let Some(span) = span {
        // Writing to a string does not fail.
        let _ = write!(out, " {SPAN}={span}");
    }
    if let Some(rest) = rest {
        out.push('\n');
        out.push_str(rest);
    }
    out
}

fn object(line: &str, trace: TraceId, span: Option<SpanId>) -> Option<String> {
    let json = as_json(line.trim());
    if !json.starts_with('{') {
        return None;
    }
    let mut read = serde_json::Deserializer::from_str(&json);
    let fields = read.deserialize_map(Fields).ok()?;
    read.end().ok()?;
    let mut out = String::with_capacity(json.len() + 80);
    out.push('{');
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !matches!(&**name, TRACE | SPAN))
    {
        let name = as_json(&printable(&serde_json::to_string(name).ok()?));
        let _ = write!(out, "{name}:{value},");
    }
    let _ = write!(out, "\"{TRACE}\":\"{trace}\"");
    if let Some(span) = span {
        let _ = write!(out, ",\"{SPAN}\":\"{span}\"");
    }
    out.push('}');
    Some(out)
}

/// The fields of an object in their order, their values as they are.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

/// What was made printable as `\u{…}`, in JSON's notation. In a JSON text such a thing can only have
/// been a character within a string: JSON itself has no `\u{`.
fn as_json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let character = from
            .strip_prefix("\\u{")
            .and_then(|hex| hex.split_once('}'))
            .and_then(|(hex, after)| {
                let c = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)?;
                Some((c, after))
            });
        if let Some((c, after)) = character {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
            rest = after;
        } else {
            // An escape of two characters: what follows the backslash is no backslash of its own.
            let len = from.chars().take(2).map(char::len_utf8).sum();
            out.push_str(&from[..len]);
            rest = &from[len..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::{printable_lines, shows};

    fn ids() -> (TraceId, Option<SpanId>) {
        (TraceId::new(0xab).unwrap(), SpanId::new(0xcd))
    }

    fn with(line: &str) -> String {
        let (trace, span) = ids();
        enriched(line, trace, span)
    }

    const IDS: &str =
        r#""trace_id":"000000000000000000000000000000ab","span_id":"00000000000000cd""#;

    #[test]
    fn objects_gain_fields_and_keep_the_others_as_they_are() {
        assert_eq!(
            with(r#"{"z": 1.50, "a":{"b": [1, 2]}}"#),
            format!(r#"{{"z":1.50,"a":{{"b": [1, 2]}},{IDS}}}"#)
        );
        assert_eq!(with("{}"), format!("{{{IDS}}}"));
        assert_eq!(
            with(r#"{"trace_id":"000","m":"x"}"#),
            format!(r#"{{"m":"x",{IDS}}}"#)
        );
    }

    #[test]
    fn text_gets_them_appended_to_its_first_line() {
        let tail = "trace_id=000000000000000000000000000000ab span_id=00000000000000cd";
        assert_eq!(with("boom\n  at x"), format!("boom {tail}\n  at x"));
        assert_eq!(with("{not json"), format!("{{not json {tail}"));
        assert_eq!(with("[1]"), format!("[1] {tail}"));
        assert_eq!(with(""), format!(" {tail}"));
    }

    proptest! {
        #[test]
        fn what_was_escaped_stays_the_same_value(text: String) {
            let raw = serde_json::json!({ "m": text, format!("k{text}"): 1 }).to_string();
            let told = with(&printable_lines(&raw));
            prop_assert!(told.chars().all(|c| c == '\n' || shows(c)));
            let value: serde_json::Value = serde_json::from_str(&told).unwrap();
            prop_assert_eq!(&value["m"], &text);
            prop_assert_eq!(&value[&format!("k{text}")], 1);
            prop_assert_eq!(&value["span_id"], "00000000000000cd");
        }

        #[test]
        fn any_line_is_enriched(line: String) {
            prop_assert!(with(&printable_lines(&line)).contains("000000000000000000000000000000ab"));
        }
    }
}
